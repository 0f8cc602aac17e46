"""Objects fetched ahead, while the one before is decoded.

What has a URL is read by threads; of files the kernel is told, and reads them ahead by itself.
Order is kept; what is held is bounded in objects and in bytes. Objects are held as they are stored
and unpacked when their turn comes, so that of many bombs one at a time unfolds. An object's own
fault is handed on in its place, a fault of the store is raised. Of objects to be streamed the small
ones are fetched ahead; the others are opened when their turn comes.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from mapreduce.errors import ObjectError
from mapreduce.objects import Entry, Location
from mapreduce.objects.body import BytesBody
from mapreduce.objects.file_body import announce
from mapreduce.objects.file_kinds import HEAD_BYTES, refuse_packed_again
from mapreduce.objects.foreign_answers import described
from mapreduce.objects.unpacked import read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mapreduce.objects.reader import Reader
    from mapreduce.plan import Piece

AHEAD_OBJECTS: Final = 4
AHEAD_BYTES: Final = 16 << 20
SMALL_BYTES: Final = 1 << 20  # of an object to be streamed: a request takes longer than its bytes
CACHED_BYTES_PER_S: Final = 1e9  # a file that comes quicker was in memory: so is the next, likely


def entry_of(piece: Piece) -> Entry:
    """Give the listed entry that a piece is of."""
    return Entry(piece.key, piece.size_bytes, piece.etag)


@dataclass(frozen=True, slots=True)
class _Later:
    """A file's bytes, read when they are asked for: a thread would cost more than it saves."""

    read: Callable[[Piece, Location], tuple[bytes, bool]]
    piece: Piece
    location: Location

    def result(self) -> tuple[bytes, bool]:
        return self.read(self.piece, self.location)

    def cancel(self) -> None:
        """Nothing has begun."""


_Fetch: TypeAlias = "Future[tuple[bytes, bool]] | _Later"


class Fetcher:
    """Reads whole objects ahead of their use.

    Parameters
    ----------
    reader
        How to read a location.
    cap_bytes
        Most bytes one object may hold, unpacked.

    Attributes
    ----------
    unchecked
        Whether the object that was given last came with nothing to hold it against.
    """

    def __init__(self, reader: Reader, cap_bytes: int) -> None:
        self._reader = reader
        self._cap_bytes = cap_bytes
        self.waited_s = 0.0
        self.unchecked = False
        self._cached = False
        self._requests = AHEAD_OBJECTS
        self._threads = ThreadPoolExecutor(AHEAD_OBJECTS, thread_name_prefix="fetch")

    def set_requests(self, requests: int) -> None:
        """Read at most so many objects at once; 0 for as many as are fetched ahead.

        Between two splits only: what was fetched ahead is dropped.
        """
        requests = min(requests or AHEAD_OBJECTS, AHEAD_OBJECTS)
        if requests != self._requests:
            self.close()
            self._requests = requests
            self._threads = ThreadPoolExecutor(requests, thread_name_prefix="fetch")

    def close(self) -> None:
        """End the threads; what was fetched ahead is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def documents(
        self, pieces: Sequence[Piece], locations: Sequence[Location]
    ) -> Iterator[tuple[Piece, bytes | ObjectError]]:
        """Give each object's bytes, or its fault, in order.

        Raises
        ------
        StoreError
            Where the store as a whole failed.
        """
        for piece, _, future in self._ahead(pieces, locations, self._begun):
            assert future is not None  # noqa: S101 - all are fetched
            document = self._document(piece, future)
            del future
            yield piece, document
            del document

    def nearer(
        self, pieces: Sequence[Piece], locations: Sequence[Location]
    ) -> Iterator[tuple[Piece, Location | ObjectError]]:
        """Give where to open each object, or its fault, in order: a small one from the web is here.

        Raises
        ------
        StoreError
            Where the store as a whole failed.
        """
        for piece, location, future in self._ahead(pieces, locations, self._begun_if_small):
            self.unchecked = False
            if future is None:
                yield piece, location
                continue
            found: Location | ObjectError
            try:
                found = Location(body=self._stored(piece, future))
            except ObjectError as error:
                found = error
            yield piece, found

    def _ahead(
        self,
        pieces: Sequence[Piece],
        locations: Sequence[Location],
        begun: Callable[[Piece, Location], _Fetch | None],
    ) -> Iterator[tuple[Piece, Location, _Fetch | None]]:
        ahead: deque[tuple[Piece, Location, _Fetch | None]] = deque()
        waiting = deque(zip(pieces, locations, strict=True))
        held_bytes = 0
        try:
            while ahead or waiting:
                while waiting and len(ahead) < AHEAD_OBJECTS:
                    if ahead and held_bytes + waiting[0][0].size_bytes > AHEAD_BYTES:
                        break
                    piece, location = waiting.popleft()
                    held_bytes += piece.size_bytes
                    ahead.append((piece, location, begun(piece, location)))
                held_bytes -= ahead[0][0].size_bytes
                yield ahead.popleft()  # held by whoever takes it, alone
        finally:
            for _, _, future in ahead:
                if future is not None:
                    future.cancel()

    def _begun(self, piece: Piece, location: Location) -> _Fetch:
        if location.url is not None:
            return self._threads.submit(self._read_capped, piece, location)
        if location.path is not None and not self._cached:
            announce(location.path)
        return _Later(self._read_capped, piece, location)

    def _begun_if_small(self, piece: Piece, location: Location) -> _Fetch | None:
        is_small = piece.whole and 0 < piece.size_bytes <= SMALL_BYTES
        if location.url is None or not is_small:
            return None
        return self._threads.submit(self._read, piece, location)

    def _stored(self, piece: Piece, future: _Fetch) -> bytes:
        """Wait for the bytes as they are stored."""
        started = time.monotonic()
        try:
            stored, self.unchecked = future.result()
        finally:
            waited_s = time.monotonic() - started
            self.waited_s += waited_s
            self._cached = piece.size_bytes > waited_s * CACHED_BYTES_PER_S
        return stored

    def _document(self, piece: Piece, future: _Fetch) -> bytes | ObjectError:
        try:
            stored = self._stored(piece, future)
            document = read_all(BytesBody(stored), piece.key, self._cap_bytes)
            refuse_packed_again(document[:HEAD_BYTES], piece.key)
            _refuse_xml(document)
        except ObjectError as error:
            return error
        return document

    def _read_capped(self, piece: Piece, location: Location) -> tuple[bytes, bool]:
        if piece.size_bytes > self._cap_bytes:
            raise ObjectError("too_large", f"{piece.size_bytes:,} bytes, cap {self._cap_bytes:,}")
        return self._read(piece, location)

    def _read(self, piece: Piece, location: Location) -> tuple[bytes, bool]:
        """Read the bytes as they are stored, and tell whether they are unchecked."""
        with self._reader.open(entry_of(piece), location) as body:
            return body.read(), body.unchecked


def _refuse_xml(document: bytes) -> None:
    """Refuse what is certainly no JSON by its name: a page that a login sent, say.

    Raises
    ------
    ObjectError
        `not_json`.
    """
    head = document[:64].lstrip()
    if head.startswith(b"<"):
        raise ObjectError("not_json", f"it is {described(document[:4096])}, not JSON")
