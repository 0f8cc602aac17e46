"""The objects that a file names, one address a line: `s3://bucket/key`, or paths of files.

All are of one bucket, or all are files. Each is looked up by itself, some at a time, in the order
of the file, so nothing is listed that was not asked for. One that is not there is an entry all the
same, and is accounted for as gone when it is read. The file is read as it is needed: memory is
bounded whatever its length.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from mapreduce.errors import StoreError, UsageError
from mapreduce.objects import Entry, Location
from mapreduce.objects.archives import is_like_member
from mapreduce.objects.file_names import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE: Final = 16
CHUNK: Final = 1024  # keys that are looked up before the next are read
S3: Final = "s3://"
BOM: Final = "\ufeff"  # begins what some editors save
MISSING: Final = "missing"  # no object has this etag: what reads it finds out that it is gone


class Looked(Protocol):
    """A store in which one key can be looked up."""

    def entry_of(self, key: str) -> Entry | None:
        """Give what is there; None for nothing."""

    def locate(self, entry: Entry) -> Location:
        """Where a worker reads it."""


class KeyList:
    """A store of the objects that a file names. Each was typed, so none is hidden by its name.

    Parameters
    ----------
    path
        The file.
    bucket_of
        Gives the store of a bucket by its name.
    files
        The store of all files of this machine, by absolute path without its first slash.

    Raises
    ------
    UsageError
        There is no such file on this machine, or it names nothing.
    """

    prefix = None

    def __init__(
        self, path: str | Path, bucket_of: Callable[[str], Looked], files: Callable[[], Looked]
    ) -> None:
        if str(path).startswith(S3):
            raise UsageError(
                f"@{path}: a list of addresses is a file on this machine: copy it here, or name a"
                " manifest.json of an S3 Inventory"
            )
        self.path = Path(path)
        first = next(self._lines(), None)
        if first is None:
            raise UsageError(f"{path}: expected one address per line, such as s3://bucket/key")
        number, address = first
        self._start = self._bucket(address, number) if address.startswith(S3) else ""
        self._store = bucket_of(self._start[len(S3) : -1]) if self._start else files()

    @property
    def name(self) -> str:
        """The file, as it is typed."""
        return f"@{self.path}"

    @property
    def base(self) -> str:
        """What stands before each key: the bucket, or the root of all files."""
        return self._start or "/"

    def entries(self) -> Iterator[Entry]:
        """Every object that the file names, in its order.

        Raises
        ------
        UsageError
            A line names no object of the bucket, or no file.
        StoreError
            The store gives no answer.
        """
        keys = (self._key(address, number) for number, address in self._lines())
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look") as pool:
            while chunk := list(itertools.islice(keys, CHUNK)):
                yield from pool.map(self._entry, chunk)

    def locate(self, entry: Entry) -> Location:
        """Where it is read."""
        return self._store.locate(entry)

    def _entry(self, key: str) -> Entry:
        return self._store.entry_of(key) or Entry(key, 1, MISSING)

    def _key(self, address: str, number: int) -> str:
        if is_like_member(address):
            raise UsageError(
                f"{self.path}, line {number}: {address!r} is a member of an archive: name the"
                " archive, and choose members with --match"
            )
        if self._start:
            if not address.startswith(self._start) or address == self._start:
                raise UsageError(
                    f"{self.path}, line {number}: expected an object such as {self._start}key,"
                    f" got {address!r}; objects of another bucket need a list of their own"
                )
            if not _is_utf8(address):
                raise UsageError(
                    f"{self.path}, line {number}: {address!r} is not UTF-8, as keys are: save the"
                    " file as UTF-8"
                )
            return address.removeprefix(self._start)
        if "://" in address:
            raise UsageError(
                f"{self.path}, line {number}: expected a file, like the lines before, got"
                f" {address!r}"
            )
        path = os.path.abspath(address)  # noqa: PTH100 - resolves no link
        return text_of(path.removeprefix("/"))

    def _bucket(self, address: str, number: int) -> str:
        bucket, slash, _ = address[len(S3) :].partition("/")
        if not bucket or not slash:
            raise UsageError(
                f"{self.path}, line {number}: expected s3://bucket/key, got {address!r}"
            )
        return f"{S3}{bucket}/"

    def _lines(self) -> Iterator[tuple[int, str]]:
        try:
            with self.path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
                for number, line in enumerate(file, 1):
                    if "\0" in line:
                        raise UsageError(
                            f"{self.path}, line {number}: it holds a NUL, so this is no list of"
                            " addresses in UTF-8: save it as UTF-8, one address per line"
                        )
                    if address := line.removeprefix(BOM).rstrip("\r\n"):
                        yield number, address
        except FileNotFoundError:
            raise UsageError(f"no file {self.path}: @FILE names a file of addresses") from None
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error


def _is_utf8(address: str) -> bool:
    try:
        address.encode()
    except UnicodeEncodeError:
        return False
    return True
