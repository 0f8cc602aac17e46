"""The coordinator's end of a run: outcomes in, one partial and one ledger out.

Partials are merged in tiers (`tables.accumulator`), a few times a row and in bounded memory. A
divided object's pieces are held until all are here: if one is bad the object is quarantined whole
and none of its rows counts. The order in which outcomes come never shows in the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.errors import JobError
from mapreduce.ledger import Cost, Ledger, absorb, merged
from mapreduce.safe_text import in_line
from mapreduce.tables import encoding, partial
from mapreduce.tables.accumulator import Accumulator
from mapreduce.tables.conservation import Conserved
from mapreduce.tables.partial import Partial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mapreduce.engine import Packed
    from mapreduce.plan import Piece, Split
    from mapreduce.tables.table import Schema

HOPELESS_AFTER: Final = 100  # objects, the first of the manifest: not the first to be done
ALLOW_NAN: Final = "--allow-nan accepts them"
HOPELESS_CRASHES: Final = 10  # each costs a process or two


class HopelessError(JobError):
    """The first objects, or all, brought nothing: there is nothing to go on with, or to write."""


class Aggregator:
    """Merges outcomes as they come.

    Parameters
    ----------
    schemas
        The job's tables.
    max_keys
        Most rows a table may have.

    Attributes
    ----------
    listed_objects
        How many objects there are in all, once that is known: for estimates.
    """

    def __init__(self, schemas: Sequence[Schema], max_keys: int) -> None:
        self.ledger = merged(())
        self.cost = Cost()
        self._schemas = tuple(schemas)
        self._max_keys = max_keys
        self.listed_objects: int | None = None
        self._tiers = Accumulator(schemas, self._check_keys)
        self._conserved = Conserved()
        self._divided: dict[int, _Divided] = {}
        self._first_objects = 0  # how many of the manifest's first are here

    def keep(self, part: Partial, ledger: Ledger) -> None:
        """Take the sums and the account of an earlier run over other objects."""
        self.ledger = merged((self.ledger, ledger))
        self._conserved.add(part)
        self._tiers.add(part)

    def add(
        self, splits: Sequence[Split], came: Packed | Partial, ledger: Ledger, cost: Cost
    ) -> None:
        """Take the outcome of whole splits; what comes packed is checked as it is unpacked.

        Raises
        ------
        PartialError
            Where the bytes are no partial of this job.
        JobError
            Where a table outgrows `max_keys`, or the first objects all brought nothing.
        """
        self.cost += cost
        part = came if isinstance(came, Partial) else encoding.unpack(came, self._schemas)
        pieces = [p for s in splits for p in s.pieces]
        if pieces[0].whole:
            self._accept(part, ledger, pieces)
            return
        piece = pieces[0]
        divided = self._divided.setdefault(piece.ordinal, _Divided(self._schemas))
        divided.add(piece, part, ledger)
        if divided.got_bytes == piece.size_bytes:
            del self._divided[piece.ordinal]
            self._accept(*divided.result(piece.size_bytes), [piece])

    def result(self) -> Partial:
        """Merge what is left: the partial of all that was gathered.

        Raises
        ------
        MapReduceError
            Where it does not hold what was gathered.
        """
        whole = self._tiers.result()
        self._check_keys(whole)
        self._conserved.check(whole)
        return whole

    def check_hopeless(self) -> None:
        """Stop early where the first hundred objects, or ten crashes, brought no record at all.

        The first hundred are those of the manifest, so that bad objects which are done before
        their good neighbours stop nothing.

        Raises
        ------
        HopelessError
            With the commonest reasons and what to try.
        """
        ledger = self.ledger
        if ledger.kept:
            return
        crashed = sum(bad.reason == "crashed" for bad in ledger.quarantined[:HOPELESS_AFTER])
        if self._first_objects >= HOPELESS_AFTER or crashed >= HOPELESS_CRASHES:
            raise _hopeless(ledger, f"the first {_objects(ledger):,} objects yielded no record")

    def _accept(self, part: Partial, ledger: Ledger, pieces: Sequence[Piece]) -> None:
        absorb(self.ledger, ledger)
        self._conserved.add(part)
        self._tiers.add(part)
        self._first_objects += sum(piece.ordinal < HOPELESS_AFTER for piece in pieces)
        self.check_hopeless()

    def _check_keys(self, part: Partial) -> None:
        seen = self.ledger.ok + len(self.ledger.quarantined)
        partial.check_keys(part, self._max_keys, seen, self.listed_objects)


def check_any_record(ledger: Ledger) -> None:
    """Refuse a result of no record at all, where objects or records were set aside.

    Raises
    ------
    HopelessError
        With the commonest reasons and what to try.
    """
    if not ledger.kept and (ledger.dropped or ledger.quarantined):
        raise _hopeless(ledger, f"no object of {_objects(ledger):,} yielded a record")


def _objects(ledger: Ledger) -> int:
    return ledger.ok + len(ledger.quarantined)


def _hopeless(ledger: Ledger, said: str) -> HopelessError:
    """Add the commonest reasons to what is said, the first of each, and what to try."""
    reasons: dict[str, int] = dict(ledger.dropped)
    for bad in ledger.quarantined:
        reasons[bad.reason] = reasons.get(bad.reason, 0) + 1
    commonest = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:3])
    told = ", ".join(f"{n:,} {r}" for r, n in commonest.items())
    nan = ""
    if ledger.nan.unused:
        nan = (
            f" {ledger.nan.unused:,} hold NaN or Infinity in fields that are not used: {ALLOW_NAN}."
        )
    return HopelessError(
        f"{said} ({told}).{''.join(_first_of(ledger, commonest))}{nan}"
        " Are the paths right? `inspect SOURCE` shows what the documents contain; `mapreduce try"
        " JOB OBJECT` shows what the job makes of one object."
    )


def _first_of(ledger: Ledger, reasons: Iterable[str]) -> Iterator[str]:
    """Show the first object that was set aside for each reason, then the first record."""
    bad = {q.reason: q for q in reversed(ledger.quarantined)}
    dropped = {d.reason: d for d in reversed(ledger.samples)}
    for one in (bad[r] for r in reasons if r in bad):
        place = one.place.removeprefix(f"{one.key}: ")
        end = "" if place.endswith(("?", ".")) else "."
        yield f" First: {in_line(one.key)}: {in_line(place)}{end}"
    for record in (dropped[r] for r in reasons if r in dropped):
        held = f", {record.value}" if record.value else ""
        yield f" First: record {record.row:,} of {in_line(record.key)}: {record.reason}{held}."


class _Divided:
    """The pieces of one object that have come so far: sums merged, accounts one by one."""

    def __init__(self, schemas: Sequence[Schema]) -> None:
        self.got_bytes = 0
        self._schemas = schemas
        self._tiers = Accumulator(schemas, room_bytes=0)  # there may be many such objects
        self._ledgers: list[tuple[int, Ledger]] = []

    def add(self, piece: Piece, part: Partial, ledger: Ledger) -> None:
        """Take the outcome of one more piece."""
        self.got_bytes += piece.read_bytes
        self._ledgers.append((piece.start, ledger))
        self._tiers.add(part)

    def result(self, size_bytes: int) -> tuple[Partial, Ledger]:
        """Give the object's sums and account: nothing but the fault where one piece is bad."""
        ledger = _joined([one for _, one in sorted(self._ledgers, key=lambda item: item[0])])
        if ledger.quarantined:
            return partial.empty(self._schemas), merged(
                (Ledger(quarantined=ledger.quarantined[:1]),)
            )
        ledger.ok, ledger.ok_bytes = 1, size_bytes
        ledger.unchecked = min(1, ledger.unchecked)
        return self._tiers.result(), ledger


def _joined(ledgers: Sequence[Ledger]) -> Ledger:
    """Add the accounts of one object's pieces, in order: records are counted from its beginning."""
    before = 0
    for ledger in ledgers:
        ledger.samples = [
            msgspec.structs.replace(sample, row=sample.row + before) for sample in ledger.samples
        ]
        if (first := ledger.nan.first) is not None:
            moved = msgspec.structs.replace(first, row=first.row + before)
            ledger.nan = msgspec.structs.replace(ledger.nan, first=moved)
        before += ledger.read
    return merged(ledgers)
