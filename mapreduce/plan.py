"""Listing -> manifest -> splits: which objects there are, and which are read together.

A manifest is the listing with an ordinal for each object that is not ignored. A split is a run of
consecutive ordinals packed by bytes, with an open cost for small files so that later splits are no
longer than earlier ones; the first splits are small, so that every worker starts at once. No JSON
document is divided; a large object of lines may be, by byte range. Pure: it lists nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.errors import MapReduceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mapreduce.objects import Entry

OPEN_COST_BYTES: Final = 1 << 17
SPLIT_BYTES: Final = 32 << 20
FIRST_SPLIT_BYTES: Final = 2 << 20
MIN_RANGE_BYTES: Final = 1 << 16  # of a divided object: each range is a request, and a task
SPLITS_A_STEP: Final = 16
MAX_OBJECTS: Final = 1024
TO_THE_END: Final = -1
WITHIN_ARCHIVE: Final = ".zip!/"  # of a key: unpacked from its beginning
PACKED_ENDINGS: Final = (".gz", ".zst", ".bz2", ".xz")  # by name not to be divided


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """One object of the manifest, or the byte range [start, stop) of one made of lines."""

    ordinal: int
    key: str
    size_bytes: int
    etag: str
    start: int = 0
    stop: int = TO_THE_END

    @property
    def whole(self) -> bool:
        """Whether this is all of the object."""
        return self.start == 0 and self.stop == TO_THE_END

    @property
    def read_bytes(self) -> int:
        """How many bytes of the object this piece owns."""
        return (self.size_bytes if self.stop == TO_THE_END else self.stop) - self.start


class Split(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive pieces of the manifest that one attempt reads."""

    number: int
    pieces: tuple[Piece, ...]

    @property
    def read_bytes(self) -> int:
        """How many bytes its pieces own together."""
        return sum(p.read_bytes for p in self.pieces)


class Planner:
    """Packs entries, as they are listed, into splits.

    Parameters
    ----------
    split_bytes
        Size a split aims at; None lets it grow from small first splits to 32 MiB.
    divisible
        Whether large plain objects may be divided by byte range (formats of lines without a
        distinct count).
    """

    def __init__(self, *, split_bytes: int | None = None, divisible: bool = False) -> None:
        if split_bytes is not None and split_bytes < 1:
            raise UsageError(f"a split is 1 byte or more, got {split_bytes}")
        self.split_bytes = split_bytes
        self.divisible = divisible
        self.objects = 0
        self.object_bytes = 0
        self.splits = 0
        self._pieces: list[Piece] = []
        self._cost = 0

    def splits_of(self, entries: Iterable[Entry]) -> Iterator[Split]:
        """Give splits as soon as they are full, the rest at the end."""
        for entry in entries:
            piece = Piece(self.objects, entry.key, entry.size_bytes, entry.etag)
            self.objects += 1
            self.object_bytes += entry.size_bytes
            if (
                self.divisible
                and entry.size_bytes > 2 * self._range
                and not entry.key.endswith(PACKED_ENDINGS)
                and WITHIN_ARCHIVE not in entry.key.lower()
            ):
                yield from self._flush()
                yield from self._divided(piece)
                continue
            cost = entry.size_bytes + OPEN_COST_BYTES
            full = self._cost + cost > self._aim or len(self._pieces) >= MAX_OBJECTS
            if self._pieces and full:
                yield from self._flush()
            self._pieces.append(piece)
            self._cost += cost
        yield from self._flush()

    @property
    def _aim(self) -> int:
        if self.split_bytes is not None:
            return self.split_bytes
        step = min(self.splits // SPLITS_A_STEP, 8)
        return min(FIRST_SPLIT_BYTES << step, SPLIT_BYTES)

    @property
    def _range(self) -> int:
        return max(self._aim, MIN_RANGE_BYTES)

    def _divided(self, piece: Piece) -> Iterator[Split]:
        step = self._range
        for start in range(0, piece.size_bytes, step):
            stop = min(start + step, piece.size_bytes)
            yield self._numbered((msgspec.structs.replace(piece, start=start, stop=stop),))

    def _flush(self) -> Iterator[Split]:
        if self._pieces:
            pieces, self._pieces, self._cost = tuple(self._pieces), [], 0
            yield self._numbered(pieces)

    def _numbered(self, pieces: tuple[Piece, ...]) -> Split:
        self.splits += 1
        return Split(self.splits - 1, pieces)


class Cover:
    """Checks that splits cover the manifest exactly: every byte of every object once.

    Raises
    ------
    MapReduceError
        From `add` and `close`, naming the object. It is a fault of this program, never of input.
    """

    def __init__(self) -> None:
        self._next = 0
        self._reached = 0

    def add(self, split: Split) -> None:
        """Take the next split, in the order of their numbers."""
        for piece in split.pieces:
            if piece.ordinal != self._next or piece.start != self._reached:
                raise MapReduceError(
                    f"the plan is broken at {piece.key!r}: expected object {self._next} from byte"
                    f" {self._reached}, got object {piece.ordinal} from byte {piece.start}"
                )
            if piece.stop in (TO_THE_END, piece.size_bytes):
                self._next, self._reached = piece.ordinal + 1, 0
            else:
                self._reached = piece.stop

    def close(self, objects: int) -> None:
        """Check that nothing is missing at the end."""
        if self._next != objects or self._reached:
            raise MapReduceError(
                f"the plan is broken: {objects} objects listed, splits cover {self._next}"
            )
