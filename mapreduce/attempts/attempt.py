"""One split -> one partial and one ledger: fetch ahead, decode, map, combine.

An object's rows join the partial only when all of it has been read without a fault, so a
quarantined object leaves no trace in the sums. The same code runs under every engine. Memory is
bounded by the rows held, never by the number or size of objects.
"""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mapreduce.attempts.combiner import ROWS_HELD, Combiner
from mapreduce.attempts.prefetch import Fetcher
from mapreduce.attempts.reading import Reading, Readings
from mapreduce.errors import AlteredError, JobError, ObjectError
from mapreduce.formats.parsed import NOT_A_RECORD, Parsed, joined
from mapreduce.job.side_file import side_files
from mapreduce.job.views import Records
from mapreduce.ledger import SAMPLES_PER_REASON, Dropped, Ledger, NanRecords, Quarantined
from mapreduce.limits import Limits, MapError
from mapreduce.objects.verified_body import READS, settle
from mapreduce.tables.table import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from mapreduce.job.job import Job
    from mapreduce.objects import Location
    from mapreduce.objects.reader import Reader
    from mapreduce.plan import Piece
    from mapreduce.tables.partial import Partial


@dataclass(slots=True)
class _Account:
    """What one object brought so far, before it is known to be whole."""

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    samples: list[tuple[str, int, str]] = field(default_factory=list)
    sampled: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    rows: list[Rows] = field(default_factory=list)
    nan: NanRecords = field(default_factory=NanRecords)

    def drop(self, reason: str, places: npt.NDArray[np.int64]) -> None:
        """Count records that the job dropped after they were read."""
        self.kept -= len(places)
        self.dropped[reason] = self.dropped.get(reason, 0) + len(places)
        for place in places[:SAMPLES_PER_REASON].tolist():
            self.sampled[reason] = self.sampled.get(reason, 0) + 1
            if self.sampled[reason] <= SAMPLES_PER_REASON:
                self.samples.append((reason, place, ""))


class AttemptRunner:
    """Runs a job over the pieces of splits, one split at a time.

    Parameters
    ----------
    job
        The job.
    reader
        How a location is read.
    limits
        Caps.
    """

    def __init__(self, job: Job, reader: Reader, limits: Limits) -> None:
        self._job = job
        self._tables = job.stored_tables()
        self._side_files = side_files(job)
        self._limits = limits
        self._fetcher = Fetcher(reader, limits.object_cap_bytes)
        self._readings = Readings(job.records, self._fetcher, reader, limits)

    @property
    def waited_s(self) -> float:
        """Seconds spent so far waiting for objects."""
        return self._fetcher.waited_s

    def set_requests(self, requests: int) -> None:
        """Have at most so many requests to the store in flight; 0 for as many as usual."""
        self._fetcher.set_requests(requests)

    def close(self) -> None:
        """End the fetching threads."""
        self._fetcher.close()

    def run(
        self,
        pieces: Sequence[Piece],
        locations: Sequence[Location],
        on_object: Callable[[Piece], None] = lambda _: None,
    ) -> tuple[Partial, Ledger]:
        """Read, map and combine all pieces.

        `on_object` is called before each object is decoded, so that whoever watches knows which
        one was at work when this process dies.

        Raises
        ------
        MapError, JobError
            The job is at fault: the run stops.
        StoreError
            The store as a whole failed.
        """
        ledger = Ledger(dropped={}, quarantined=[], samples=[], refused_keys={})
        combiner = Combiner(self._tables, self._limits.max_keys)
        where = {piece.ordinal: at for piece, at in zip(pieces, locations, strict=True)}
        sampled: dict[str, int] = {}
        for reading in self._readings.of(pieces, locations):
            piece = reading.piece
            on_object(piece)
            try:
                account = self._read_through(reading, combiner)
            except ObjectError as error:
                combiner.forget()
                why = self._readings.explained(piece, where[piece.ordinal], error)
                quarantined = Quarantined(
                    piece.ordinal, piece.key, piece.etag, why.reason, why.place
                )
                ledger.quarantined.append(quarantined)
            else:
                combiner.accept(piece, account.rows)
                _book(ledger, piece, account, sampled)
                ledger.unchecked += reading.unchecked
        result = combiner.partial()
        ledger.check()
        for file in self._side_files:
            file.check()
        return result, ledger

    def _read_through(self, reading: Reading, combiner: Combiner) -> _Account:
        """Take all of an object; one that was altered on its way is read again a few times."""
        for last in (*[False] * (READS - 1), True):
            account = _Account()
            try:
                with contextlib.closing(reading.blocks):
                    self._take_all(reading, account, combiner)
            except AlteredError:
                combiner.forget()
                if last or reading.again is None:
                    raise
                reading.blocks = reading.again()
            else:
                break
        return account

    def _take_all(self, reading: Reading, account: _Account, combiner: Combiner) -> None:
        try:
            blocks: Iterable[Parsed] = reading.blocks
            if self._job.whole_objects:
                blocks = [self._together(reading.blocks)]
            for parsed in blocks:
                self._take(reading.piece, parsed, account, combiner)
        except (ObjectError, JobError):
            if reading.body is not None:  # perhaps it is the way's fault, which the rest will tell
                settle(reading.body)
            raise

    def _together(self, blocks: Iterable[Parsed]) -> Parsed:
        """Give all records of an object at once, where memory holds them."""
        parts, size = [], 0
        for parsed in blocks:
            parts.append(parsed)
            size += sum(column.nbytes for column in parsed.columns.values())
            if size > self._limits.object_cap_bytes:
                raise ObjectError(
                    "too_large",
                    f"columns of over {self._limits.object_cap_bytes >> 20} MiB, and this job must"
                    " see all records of an object at once: divide the object by trips",
                )
        return joined(parts, self._job.records.fields)

    def _take(self, piece: Piece, parsed: Parsed, account: _Account, combiner: Combiner) -> None:
        first_row = account.read
        account.read += parsed.read
        account.kept += len(parsed.rows)
        for reason, count in parsed.dropped.items():
            account.dropped[reason] = account.dropped.get(reason, 0) + count
        for reason, row, value in parsed.samples:
            account.sampled[reason] = account.sampled.get(reason, 0) + 1
            if account.sampled[reason] <= SAMPLES_PER_REASON:
                account.samples.append((reason, first_row + row, value))
        if parsed.nan is not None:
            row, value = parsed.nan.first
            first = Dropped(NOT_A_RECORD, piece.ordinal, first_row + row, piece.key, value)
            account.nan += NanRecords(parsed.nan.records, parsed.nan.unused, first)
        if not len(parsed.rows):
            return
        records = Records(piece, parsed, first_row)
        for rows in self._mapped(records):
            if rows.refused:
                name = rows.table.name
                account.refused[name] = account.refused.get(name, 0) + rows.refused
            account.rows.append(rows)
        for reason, places in records.drops:
            account.drop(reason, places)
        if sum(map(len, account.rows)) > ROWS_HELD:
            combiner.hold(piece, account.rows)
            account.rows = []

    def _mapped(self, records: Records) -> Sequence[Rows]:
        try:
            given: Any = self._job.map(records)
        except ObjectError:
            raise
        except JobError as error:
            raise MapError(f"{error} (in map, object {records.object.key!r})") from error
        except MemoryError:
            raise
        except Exception as error:
            if self._limits.quarantine_map_errors:
                raise ObjectError("map_failed", f"{type(error).__name__}: {error}") from error
            place = _culprit(self._job, records)
            raise MapError(
                f"map of {type(self._job).__name__} failed in object {records.object.key!r},"
                f" {place}:\n{''.join(traceback.format_exception(error)).rstrip()}\n"
                "Correct the job, or quarantine such objects with --on-map-error quarantine."
            ) from error
        if given is None:
            raise MapError(
                "map returned None: it must return the rows from fold. Is a return missing?"
            )
        rows = (given,) if isinstance(given, Rows) else tuple(given)
        for one in rows:
            if not isinstance(one, Rows) or self._tables.get(one.table.name) is not one.table:
                raise MapError(
                    f"map must return rows from fold of the job's own tables, got {one!r}"
                )
        return [each for one in rows for each in (one, *one.behind)]


def _book(ledger: Ledger, piece: Piece, account: _Account, sampled: dict[str, int]) -> None:
    """Enter a whole object; `sampled` counts the ledger's samples by reason."""
    ledger.ok += piece.whole
    ledger.ok_bytes += piece.size_bytes if piece.whole else 0
    ledger.read += account.read
    ledger.kept += account.kept
    for reason, count in account.dropped.items():
        ledger.dropped[reason] = ledger.dropped.get(reason, 0) + count
    for table, count in account.refused.items():
        ledger.refused_keys[table] = ledger.refused_keys.get(table, 0) + count
    ledger.nan += account.nan
    for reason, row, value in account.samples:
        if sampled.get(reason, 0) < SAMPLES_PER_REASON:
            sampled[reason] = sampled.get(reason, 0) + 1
            ledger.samples.append(Dropped(reason, piece.ordinal, row, piece.key, value))


def _culprit(job: Job, records: Records) -> str:
    """Find the first record at which `map` fails by itself, by halving."""
    while len(records) > 1:
        half = len(records) // 2
        first, second = records.part(0, half), records.part(half, len(records))
        if _fails(job, first):
            records = first
        elif _fails(job, second):
            records = second
        else:
            return f"records {records.rows[0]} to {records.rows[-1]} together"
    piece = records.object
    return f"record {records.rows[0]}" + (f" from byte {piece.start:,} on" if piece.start else "")


def _fails(job: Job, records: Records) -> bool:
    try:
        job.map(records)
    except Exception:  # noqa: BLE001 - whatever the user's code raises
        return True
    return False
