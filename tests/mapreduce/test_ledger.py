"""Accounts balance, add up in any order, and show the first of what was dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import MapReduceError
from mapreduce.ledger import (
    REASONS,
    SAMPLES_PER_REASON,
    Cost,
    Dropped,
    Ledger,
    Quarantined,
    absorb,
    merged,
)
from mapreduce.runs.receipt import objects_of, records_of

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

dropped = st.dictionaries(st.sampled_from(["no_link", "bad_link"]), st.integers(1, 9))


@st.composite
def ledgers(draw: st.DrawFn, ordinal: int = 0) -> Ledger:
    lost = draw(dropped)
    kept = draw(st.integers(0, 50))
    bad = draw(st.lists(st.sampled_from(REASONS), max_size=2))
    return Ledger(
        ok=draw(st.integers(0, 5)),
        ok_bytes=draw(st.integers(0, 99)),
        read=kept + sum(lost.values()),
        kept=kept,
        dropped=lost,
        quarantined=[Quarantined(ordinal + i, f"k{i}", "e", r, "") for i, r in enumerate(bad)],
        samples=[Dropped(r, ordinal, i, "k") for r, n in lost.items() for i in range(n)],
        refused_keys=draw(st.dictionaries(st.just("links"), st.integers(1, 3))),
    )


several = st.integers(0, 40).flatmap(lambda n: st.tuples(*(ledgers(i * 10) for i in range(n % 7))))


@given(several, st.randoms(use_true_random=False), st.integers(0, 6))
def test_accounts_add_up_in_any_order_and_grouping(
    parts: Sequence[Ledger], chance: random.Random, cut: int
) -> None:
    whole = merged(parts)
    shuffled = list(parts)
    chance.shuffle(shuffled)
    grouped = merged([merged(shuffled[:cut]), merged(shuffled[cut:])])
    absorbed = merged(())
    for one in shuffled:
        absorb(absorbed, one)
    assert absorbed == whole
    assert grouped == whole
    whole.check()
    assert whole.read == sum(p.read for p in parts)
    assert whole.ok == sum(p.ok for p in parts)
    assert whole.ok_bytes == sum(p.ok_bytes for p in parts)
    assert whole.kept == sum(p.kept for p in parts)


def test_the_first_dropped_records_of_each_reason_are_shown() -> None:
    parts = [
        Ledger(samples=[Dropped("bad", ordinal, row, f"k{ordinal}") for row in range(9)])
        for ordinal in (3, 1, 2, 0)
    ]
    shown = merged(parts).samples
    assert [(s.ordinal, s.row) for s in shown] == [(o, r) for o in range(4) for r in range(9)][
        :SAMPLES_PER_REASON
    ]


def test_accounts_that_do_not_balance_are_refused() -> None:
    wrong = Ledger(read=5, kept=3, dropped={"no_link": 1})
    with pytest.raises(MapReduceError, match="does not balance: 5 records read, 3 kept, 1 dropped"):
        wrong.check()
    with pytest.raises(MapReduceError, match="does not balance"):
        records_of(wrong)
    with pytest.raises(MapReduceError, match="4 objects listed, 3 ok, 0 quarantined"):
        objects_of(Ledger(ok=3), listed=4, ignored=0)


def test_the_receipt_counts_ignored_objects_as_listed() -> None:
    bad = Quarantined(0, "k", "e", "empty", "")
    got = objects_of(Ledger(ok=3, ok_bytes=7, quarantined=[bad]), listed=4, ignored=2)
    assert got == {"listed": 6, "ok": 3, "quarantined": 1, "ignored": 2, "bytes": 7, "unchecked": 0}
    ledger = Ledger(read=3, kept=1, dropped={"b": 1, "a": 1}, refused_keys={"links": 2})
    assert records_of(ledger) == {
        "read": 3, "kept": 1, "dropped": {"a": 1, "b": 1}, "refused_keys": {"links": 2}
    }  # fmt: skip


def test_costs_add_up_and_the_highest_peak_counts() -> None:
    assert Cost(1, 2, 30) + Cost(3, 4, 20) == Cost(4, 6, 30)
