"""What has been seen before, in bounded memory: an index on disk that grows as it must.

Texts are kept as 64-bit hashes, salted anew in each process: among ten million different ones two
are taken for the same once in 350,000 runs, and not again in the next.
"""

from __future__ import annotations

import contextlib
import sqlite3
from array import array
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CACHE_KIB: Final = 8192  # what is beyond lies in a file without a name
SPOOL_HASHES: Final = 8192


class Seen:
    """A set of texts."""

    def __init__(self) -> None:
        self._base: sqlite3.Connection | None = None

    def add(self, text: str) -> bool:
        """Take a text in; tell whether it is new."""
        with _told():
            made = self._opened().execute("insert or ignore into seen values (?)", (hash(text),))
        return made.rowcount == 1

    def take(self, hashes: Iterable[int]) -> None:
        """Take in what is known by its hash."""
        with _told():
            self._opened().executemany(
                "insert or ignore into seen values (?)", ((one,) for one in hashes)
            )

    def close(self) -> None:
        """Give the file back."""
        if self._base is not None:
            self._base.close()
            self._base = None

    def _opened(self) -> sqlite3.Connection:
        if self._base is None:
            # "": a file without a name; one thread at a time, and any may close it
            self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._base.execute(f"pragma cache_size = -{CACHE_KIB}")
            self._base.execute("pragma journal_mode = off")
            self._base.execute("create table seen (hash integer primary key)")
            self._base.execute("begin")
        return self._base


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise MapReduceError(
            f"listed keys are recorded in a temporary file, which cannot be written: {error}."
            " Free some space where TMPDIR is; the same command resumes the run"
        ) from None


class InOrder:
    """The same for texts that mostly come in order: while they do, none is looked up.

    Stores list by the bytes of a key, or as folders do, where `/` comes before all else; `Seen`
    takes over where neither holds any longer.
    """

    def __init__(self) -> None:
        self._last = self._last_path = ""
        self._by_bytes = self._by_path = True
        self._first = True
        self._hashes = array("q")
        self._spool = TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._seen: Seen | None = None

    def add(self, text: str) -> bool:
        """Take a text in; tell whether it is new."""
        if self._seen is not None:
            return self._seen.add(text)
        path = text.replace("/", "\0")
        if not self._first:
            self._by_bytes = self._by_bytes and text > self._last
            self._by_path = self._by_path and path > self._last_path
        if not (self._by_bytes or self._by_path):
            self._seen = Seen()
            self._seen.take(self._spooled())
            return self._seen.add(text)
        self._first, self._last, self._last_path = False, text, path
        self._hashes.append(hash(text))
        if len(self._hashes) >= SPOOL_HASHES:
            self._hashes.tofile(self._spool)
            del self._hashes[:]
        return True

    def close(self) -> None:
        """Give the files back."""
        self._spool.close()
        if self._seen is not None:
            self._seen.close()

    def _spooled(self) -> Iterator[int]:
        self._spool.flush()
        self._spool.seek(0)
        while piece := self._spool.read(SPOOL_HASHES * 8):
            yield from array("q", piece)
        yield from self._hashes
