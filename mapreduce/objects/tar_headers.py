"""The members of a tar archive, read from header to header: what lies between is not fetched.

`tarfile` ends quietly at a header that it cannot read; here an archive must end as POSIX says, with
a block of zeros, and with nothing but zeros behind it. What a member's headers say of their own
length is not trusted: so much is read of them, and no more.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Final

from mapreduce.errors import ObjectError
from mapreduce.objects.file_names import text_of
from mapreduce.objects.members import NO_FILE, PLAIN, Member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.objects import Entry
    from mapreduce.objects.object_file import ObjectFile

BLOCK_BYTES: Final = 1 << 20
HEADERS_BYTES: Final = 1 << 20  # of a member, with its long names


def members_of_tar(file: ObjectFile, archive: Entry) -> Iterator[Entry]:
    """Give the members in the archive's order, without folders.

    Raises
    ------
    ObjectError
        `unreadable`: it is damaged or cut off, or something follows its end.
    """
    headers, end = _Headers(file), 0
    try:
        with tarfile.TarFile(
            fileobj=headers,  # type: ignore[arg-type] # nothing is written
            errors="surrogateescape",
            encoding="utf-8",
        ) as tar:
            while (info := tar.next()) is not None:
                if info.size < 0 or tar.offset <= end:
                    raise ObjectError("unreadable", f"{info.name!r} has a size below zero")
                end, headers.left = tar.offset, HEADERS_BYTES
                tar.members = []  # type: ignore[attr-defined] # or it would hold all of them
                if not info.isdir():
                    yield _member(archive, info)
            _check_end(file, tar.offset)
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise ObjectError("unreadable", f"it is damaged, or no tar archive ({error})") from None


class _Headers:
    """An archive's file as `tarfile` reads it: only so much for one member."""

    def __init__(self, file: ObjectFile) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        self.left = HEADERS_BYTES

    def read(self, n: int = -1, /) -> bytes:
        if not 0 <= n <= self.left:
            raise ObjectError("unreadable", f"headers of a member of over {HEADERS_BYTES:,} bytes")
        self.left -= n
        return self._file.read(n)


def _member(archive: Entry, info: tarfile.TarInfo) -> Entry:
    is_file = info.isreg() and not info.issparse()
    name = text_of(info.name.removeprefix("./"))
    if is_file:
        return Member(archive, info.offset_data, info.size, PLAIN).entry(name, info.size)
    # a byte at least: nothing is opened to read none, and it is told when it is
    return Member(archive, info.offset_data, info.size, NO_FILE).entry(name, max(1, info.size))


def _check_end(file: ObjectFile, end: int) -> None:
    file.seek(end)
    first = file.read(tarfile.BLOCKSIZE)
    if len(first) < tarfile.BLOCKSIZE:
        raise ObjectError("unreadable", "it is cut off")
    rest = first
    while rest:
        if rest.count(0) < len(rest):
            raise ObjectError("unreadable", "it is damaged, or something follows its end")
        rest = file.read(BLOCK_BYTES)
