"""What a finished run keeps so that it can be added to others: its sums, and what they cover.

`sums.partial` is the merged partial as it is packed: its SHA-256 is the run's digest.
`sums.objects` lists the objects, for their owner alone, since it tells keys. Both are the same
bytes for the same run, whatever engine it ran on and however often it was interrupted.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.atomic_file import whole
from mapreduce.errors import MapReduceError, PartialError
from mapreduce.job.side_file import copied
from mapreduce.runs import journal_file, object_list
from mapreduce.runs.object_list import Covered, Head
from mapreduce.tables import encoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mapreduce.job.side_file import Seal
    from mapreduce.ledger import Ledger
    from mapreduce.runs.result import Result
    from mapreduce.tables.partial import Partial
    from mapreduce.tables.table import Schema

PARTIAL: Final = "sums.partial"
OBJECTS: Final = "sums.objects"
SUMS: Final = (PARTIAL, OBJECTS)
SMALL_BYTES: Final = 1 << 16  # of a side input that is kept too


def write_sums(folder: Path, result: Result) -> list[Path]:
    """Write both files of a run; none where it does not know what it covers."""
    covers = result.covers
    if covers is None:
        return []
    paths = [folder / name for name in SUMS]
    with whole(paths[0], private=True) as path, path.open("wb") as file:
        for piece in encoding.pieces(result.partial):
            file.write(piece)
    head = Head(
        covers.identity, covers.base, covers.listed, covers.ignored, result.ledger, covers.files
    )
    with whole(paths[1], private=True) as path, path.open("wb") as file:
        object_list.write_list(file, head, covers.objects)
    return paths


def read_partial(path: Path, schemas: Sequence[Schema]) -> Partial:
    """Read `sums.partial` where it lies: its columns stay on the disk until they are used.

    Raises
    ------
    MapReduceError
        Where it is no partial of these tables.
    """
    try:
        with path.open("rb") as file:
            packed = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return encoding.unpack(memoryview(packed), schemas)
    except OSError as error:
        raise MapReduceError(f"{path} cannot be read: {error.strerror}") from None
    except (PartialError, ValueError) as error:
        raise MapReduceError(f"{path} cannot be used: {error}") from None


def small_files(seals: Mapping[str, Seal]) -> dict[str, bytes]:
    """Read a job's side inputs that are small, by parameter: a time zone, not a map.

    Raises
    ------
    JobError
        Where one has changed since the run began.
    """
    found = {}
    for name, seal in seals.items():
        if seal.size_bytes <= SMALL_BYTES:
            parts: list[bytes] = []
            copied(seal, parts.append)
            found[name] = b"".join(parts)
    return found


def planned(folder: Path, base: str, ledger: Ledger) -> Iterator[Covered]:
    """Give the objects of the run whose journal lies in a folder, as they were listed."""
    reasons = {bad.ordinal: bad.reason for bad in ledger.quarantined}
    for split in journal_file.splits_in(folder):
        for piece in split.pieces:
            if piece.start == 0:
                reason = reasons.get(piece.ordinal, "")
                yield Covered(base + piece.key, piece.etag, piece.size_bytes, reason)


def retried(folder: Path, base: str, ledger: Ledger, tried: Iterable[str]) -> Iterator[Covered]:
    """Give the objects of a finished run of which some were tried again.

    Parameters
    ----------
    folder
        Where the journal of the retry is, and the list of the run before.
    ledger
        The whole account as it is now.
    tried
        Keys of the objects that were tried again.
    """
    now: Mapping[str, Covered] = {
        base + piece.key: Covered(base + piece.key, piece.etag, piece.size_bytes)
        for split in journal_file.splits_in(folder)
        for piece in split.pieces
        if piece.start == 0
    }
    again = {base + key for key in tried}
    reasons = {base + bad.key: bad.reason for bad in ledger.quarantined}
    for one in object_list.objects_in(folder / OBJECTS):
        if one.address in again:
            reason = reasons.get(one.address, "")
            yield msgspec.structs.replace(now.get(one.address, one), reason=reason)
        else:
            yield one
