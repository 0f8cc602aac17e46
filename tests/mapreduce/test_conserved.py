"""A merge that loses or doubles a partial is found, whatever the order; a right one never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import MapReduceError
from mapreduce.ledger import Cost, Ledger
from mapreduce.plan import Piece, Split
from mapreduce.runs.aggregator import Aggregator
from mapreduce.tables import encoding, partial
from mapreduce.tables.accumulator import Accumulator
from mapreduce.tables.conservation import Conserved
from mapreduce.tables.partial import Partial
from tests.mapreduce.test_partial import SCHEMAS, partials


def _noted(parts: list[Partial]) -> Conserved:
    conserved = Conserved()
    for part in parts:
        conserved.add(part)
    return conserved


@given(parts=st.lists(partials, min_size=1, max_size=9))
def test_merging_conserves(parts: list[Partial]) -> None:
    _noted(parts).check(partial.merge(parts))
    _noted([]).check(partial.empty(SCHEMAS))


@given(parts=st.lists(partials, min_size=2, max_size=9), at=st.integers(0, 99))
def test_a_partial_lost_or_taken_twice_is_found(parts: list[Partial], at: int) -> None:
    one = parts[at % len(parts)]
    whole = partial.merge(parts)
    for wrong in ([p for p in parts if p is not one], [*parts, one]):
        other = partial.merge([partial.empty(SCHEMAS), *wrong])
        counted = any(t.values[i].any() for t in one.tables for i in _sums(t.schema.name))
        if counted:
            with pytest.raises(MapReduceError, match="the merged sums do not equal"):
                _noted(parts).check(other)
        elif encoding.digest(other) == encoding.digest(whole):
            _noted(parts).check(other)


def test_least_and_greatest_are_compared_as_such() -> None:
    table = mr.Table(key="k", low=mr.Min, high=mr.Max)

    def made(low: int, high: int) -> Partial:
        return Partial((partial.combine(table, [table.fold([1], low=low, high=high)], [0]),))

    parts = [made(3, 4), made(1, 9)]
    _noted(parts).check(made(1, 9))
    for low, high, column in ((3, 9, "low"), (1, 4, "high")):
        with pytest.raises(MapReduceError, match=f"{column} of table"):
            _noted(parts).check(made(low, high))


def _sums(table: str) -> list[int]:
    (schema,) = [s for s in SCHEMAS if s.name == table]
    return [i for i, c in enumerate(schema.columns) if c.rule == "sum"]


def test_tiers_that_lose_a_partial_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    add, taken = Accumulator.add, []

    def forgetful(self: Accumulator, part: Partial) -> None:
        taken.append(part)
        if len(taken) <= 32:
            add(self, part)

    monkeypatch.setattr(Accumulator, "add", forgetful)
    from tests.mapreduce.test_gather import SCHEMAS as OTHERS  # noqa: PLC0415 - two of one name
    from tests.mapreduce.test_gather import _raw  # noqa: PLC0415 - as above

    gather = Aggregator(OTHERS, 1000)
    for number in range(40):
        split = Split(number, (Piece(number, f"k{number}", 9, "e"),))
        gather.add([split], _raw(3), Ledger(ok=1, read=1, kept=1), Cost())
    with pytest.raises(MapReduceError, match="n of table '' was 40 in total, now it is 32"):
        gather.result()
