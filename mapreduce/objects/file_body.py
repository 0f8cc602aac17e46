"""A file as an object: its etag, and its bytes, known to be of one version.

The etag is when the content changed last, its size, and when the file's status did: whoever
replaces a file and keeps the first two (`cp -p`, `rsync -a`, `mv`) cannot keep the third. Another
machine may see the third otherwise, and is held to the first two alone. It is looked at when the
file is opened and again when its last byte has been read, so that a file written to under way is
noticed, never mixed. Faults of
one file are that object's (`ObjectError`); a machine out of file handles, a mount that went
away or a folder that is gone as a whole is the store's (`StoreError`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mapreduce.errors import MapReduceError, ObjectError, StoreError
from mapreduce.objects.file_names import name_of

if TYPE_CHECKING:
    from mapreduce.objects import Entry

# Not the file's own fault: handles or memory ran out, or a network mount broke.
_STORE_WIDE = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.ETIMEDOUT,
}
_SEEN_BY_ALL, _ALL = 2, 3  # parts of an etag that another machine, and this one, see alike
_MOST_AT_ONCE = 1 << 30  # one read(2) gives 2 GiB at most


def file_etag(status: os.stat_result) -> str:
    """Name the version of a file: last change in ns, size, last change of status in ns; in hex."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ctime_ns:x}"


def announce(path: str) -> None:
    """Tell the kernel that all of a file will be read soon, where it takes such a hint."""
    if not hasattr(os, "posix_fadvise"):
        return
    with contextlib.suppress(OSError):  # whatever is wrong is told when it is read
        fd = os.open(name_of(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(fd)


class FileBody:
    r"""Bytes `start` to `stop` of a file, checked to be the version that was listed.

    Parameters
    ----------
    path
        The file, as `names.text_of` writes it.
    entry
        What was listed.
    start, stop
        Range in bytes; `stop` at most the size.
    elsewhere
        Whether it was listed by another machine.

    Raises
    ------
    ObjectError
        `gone`, `changed` or `unreadable`; from `read` too.
    StoreError
        The folder as a whole is missing, or this machine ran out of something.
    """

    __slots__ = ("_entry", "_fd", "_left", "_parts")
    unchecked = False

    def __init__(
        self, path: str, entry: Entry, start: int, stop: int, *, elsewhere: bool = False
    ) -> None:
        self._entry = entry
        self._parts = _SEEN_BY_ALL if elsewhere else _ALL
        self._left = stop - start
        self._fd = _opened(path, entry.key)
        try:
            self._check()
            if start:
                os.lseek(self._fd, start, os.SEEK_SET)
        except BaseException:
            self.close()
            raise

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes, in one read of the file where it answers in one."""
        wanted = self._left if n < 0 else min(n, self._left)
        if wanted <= 0:
            return b""
        pieces = [self._piece(wanted)]
        missing = wanted - len(pieces[0])
        while n < 0 and missing:
            pieces.append(self._piece(missing))
            missing -= len(pieces[-1])
        if not self._left:
            self._check()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _piece(self, wanted: int) -> bytes:
        try:
            piece = os.read(self._fd, min(wanted, _MOST_AT_ONCE))
        except OSError as error:
            raise _fault(error, self._entry.key) from error
        if not piece:
            raise ObjectError("changed", f"{self._entry.key} was truncated while it was read")
        self._left -= len(piece)
        return piece

    def _check(self) -> None:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise ObjectError("unreadable", f"{self._entry.key} is not a regular file")
        found, known = file_etag(status).split("-"), self._entry.etag.split("-")
        if found[: self._parts] == known[: self._parts]:
            return
        how = (
            ""
            if found[:2] != known[:2]
            else " (written, renamed, linked, or its permissions changed)"
        )
        raise ObjectError(
            "changed",
            f"{self._entry.key}: version {self._entry.etag} was listed,"
            f" {'-'.join(found)} is there now{how}",
        )


def _opened(path: str, key: str) -> int:
    # O_NONBLOCK: a named pipe must not wait for a writer; on regular files it means nothing.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(name_of(path), flags)
    except FileNotFoundError as error:
        root = path.removesuffix(key)
        if not Path(os.fsdecode(name_of(root))).is_dir():
            raise StoreError(
                f"the folder {root} has disappeared; is its disk mounted? Resume when it is back"
            ) from error
        raise ObjectError("gone", f"{key}: no such file") from error
    except OSError as error:
        raise _fault(error, key) from error


def _fault(error: OSError, key: str) -> MapReduceError:
    what = error.strerror or type(error).__name__
    if error.errno in _STORE_WIDE:
        return StoreError(
            f"reading {key}: {what}; the machine or the mount is at fault, not the file: resume"
            " the run"
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ObjectError("gone", f"{key}: {what}")
    return ObjectError("unreadable", f"{key}: {what}")
