"""Every object and record accounted for.

A `Ledger` is the account of an attempt and, merged, of a run: each object is ok or quarantined
for one reason, each record of an ok object is kept or dropped for one reason. A quarantined
object's records are not counted: none of them reached a table. The receipt balances or the run
fails. Merging is associative and commutative; samples are the first in the manifest's order.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Iterable

REASONS: Final = (
    "empty",
    "not_json",
    "wrong_shape",
    "too_large",
    "too_deep",
    "bad_encoding",
    "changed",
    "gone",
    "unreadable",
    "crashed",
    "map_failed",
)
SAMPLES_PER_REASON: Final = 20


class Quarantined(msgspec.Struct, frozen=True, order=True):
    """An object set aside: which version of it, why, and where the trouble was seen."""

    ordinal: int
    key: str
    etag: str
    reason: str
    place: str


class Dropped(msgspec.Struct, frozen=True, order=True):
    """A record dropped: why, its place (counted from 0) in which object, and what stood there.

    `value` is the beginning of the offending value, as the document had it and printable; empty
    where it was null or absent.
    """

    reason: str
    ordinal: int
    row: int
    key: str
    value: str = ""


class NanRecords(msgspec.Struct, frozen=True):
    """Records dropped for NaN, Infinity or -Infinity alone.

    `unused` of them have it in nothing that is wanted, so `allow_nan` would take them. `first` is
    one of those, where there are any.
    """

    records: int = 0
    unused: int = 0
    first: Dropped | None = None

    def __add__(self, other: NanRecords) -> NanRecords:
        useful = [one for one in (self, other) if one.unused] or [self, other]
        firsts = [one.first for one in useful if one.first is not None]
        return NanRecords(
            self.records + other.records,
            self.unused + other.unused,
            min(firsts, key=lambda d: (d.ordinal, d.row), default=None),
        )


class Cost(msgspec.Struct, frozen=True):
    """What attempts cost: seconds waiting for bytes, seconds working on them, peak memory."""

    waited_s: float = 0.0
    worked_s: float = 0.0
    peak_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.waited_s + other.waited_s,
            self.worked_s + other.worked_s,
            max(self.peak_bytes, other.peak_bytes),
        )


class Ledger(msgspec.Struct):
    """The account of some objects. A piece of a divided object counts its records, not itself.

    `unchecked` counts those of the good ones (and here pieces too) whose bytes came over a plain
    connection with nothing to hold them against.
    """

    ok: int = 0
    ok_bytes: int = 0
    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = {}
    quarantined: list[Quarantined] = []
    samples: list[Dropped] = []
    refused_keys: dict[str, int] = {}
    nan: NanRecords = NanRecords()
    unchecked: int = 0

    def check(self) -> None:
        """Check that the records balance.

        Raises
        ------
        MapReduceError
            Where they don't: a fault of this program.
        """
        if self.read != self.kept + sum(self.dropped.values()):
            raise MapReduceError(
                f"the account does not balance: {self.read} records read, {self.kept} kept,"
                f" {sum(self.dropped.values())} dropped. Please report this."
            )


def merged(ledgers: Iterable[Ledger]) -> Ledger:
    """Add accounts of different objects."""
    total = Ledger(dropped={}, quarantined=[], samples=[], refused_keys={})
    for ledger in ledgers:
        _count(total, ledger)
        total.quarantined += ledger.quarantined
        total.samples += ledger.samples
    total.quarantined.sort()
    total.samples = _first_of_each(total.samples)
    return total


def absorb(total: Ledger, ledger: Ledger) -> None:
    """Add an account to a merged one, at the cost of what is new in it."""
    _count(total, ledger)
    for bad in ledger.quarantined:
        bisect.insort(total.quarantined, bad)
    if ledger.samples:
        total.samples = _first_of_each([*total.samples, *ledger.samples])


def _count(total: Ledger, ledger: Ledger) -> None:
    total.ok += ledger.ok
    total.ok_bytes += ledger.ok_bytes
    total.read += ledger.read
    total.kept += ledger.kept
    total.unchecked += ledger.unchecked
    for reason, count in ledger.dropped.items():
        total.dropped[reason] = total.dropped.get(reason, 0) + count
    for table, count in ledger.refused_keys.items():
        total.refused_keys[table] = total.refused_keys.get(table, 0) + count
    total.nan += ledger.nan


def _first_of_each(samples: list[Dropped]) -> list[Dropped]:
    kept: list[Dropped] = []
    seen: dict[str, int] = {}
    for sample in sorted(samples):
        seen[sample.reason] = seen.get(sample.reason, 0) + 1
        if seen[sample.reason] <= SAMPLES_PER_REASON:
            kept.append(sample)
    return kept
