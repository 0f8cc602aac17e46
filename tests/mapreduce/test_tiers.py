"""Partials merged as they come: any order, grouping and slice gives one digest, in bounds."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import JobError
from mapreduce.tables import encoding, merge, partial
from mapreduce.tables.accumulator import Accumulator
from mapreduce.tables.partial import Partial, TablePartial
from tests.mapreduce.test_partial import SCHEMAS, partials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

COUNTS = mr.Table(key="k", n=mr.Sum)
ROW_BYTES = 16


def _counts(keys: range) -> Partial:
    """Make a partial with a row a key."""
    rows = np.array(keys, dtype=np.int64)
    return Partial((TablePartial(COUNTS.schema, (rows,), (np.ones_like(rows),)),))


@given(
    parts=st.lists(partials, min_size=1, max_size=12),
    dice=st.randoms(use_true_random=False),
    room_bytes=st.sampled_from([0, 200, 1 << 20]),
    rows=st.integers(1, 9),
)
def test_any_order_grouping_and_slice_gives_one_digest(
    parts: list[Partial], dice: Random, room_bytes: int, rows: int
) -> None:
    expected = encoding.digest(partial.merge([partial.empty(SCHEMAS), *parts]))
    shuffled = dice.sample(parts, len(parts))
    with mock.patch.object(merge, "SLICE_ROWS", rows):
        tiers, apart = (
            Accumulator(SCHEMAS, room_bytes=room_bytes),
            Accumulator(SCHEMAS, room_bytes=room_bytes),
        )
        for part in shuffled:
            (tiers if dice.random() < 0.7 else apart).add(part)
        tiers.add(apart.result())
        assert encoding.digest(tiers.result()) == expected


def test_nothing_added_is_the_identity() -> None:
    assert encoding.digest(Accumulator(SCHEMAS).result()) == encoding.digest(partial.empty(SCHEMAS))


@pytest.mark.parametrize("step", [0, 500, 1000])
def test_what_waits_stays_within_its_room(step: int) -> None:
    """Keys all the same, half the same, or all different."""
    room_bytes = 5 * 1000 * ROW_BYTES
    tiers, largest = Accumulator([COUNTS.schema], room_bytes=room_bytes), 0
    for number in range(100):
        tiers.add(_counts(range(number * step, number * step + 1000)))
        largest = (number * step + 1000) * ROW_BYTES
        assert tiers.held_bytes <= largest + max(room_bytes, largest // 4)
    result = tiers.result()
    assert len(result) == largest // ROW_BYTES
    assert int(result.tables[0].values[0].sum()) == 100_000


def _merge_peak(parts: Sequence[Partial]) -> int:
    tracemalloc.start()
    try:
        partial.merge(parts)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("step", [0, 250_000])
def test_merging_takes_its_result_a_column_and_a_slice(step: int) -> None:
    parts = [_counts(range(n * step, n * step + 250_000)) for n in range(8)]
    result_bytes = (7 * step + 250_000) * ROW_BYTES
    slice_bytes = merge.SLICE_ROWS * 8 * 8
    assert _merge_peak(parts) < result_bytes * 3 // 2 + slice_bytes + (1 << 20)


def test_what_outgrows_the_limit_is_refused_when_it_is_merged() -> None:
    def check(part: Partial) -> None:
        partial.check_keys(part, 1500, 2, None)

    tiers = Accumulator([COUNTS.schema], check, room_bytes=0)
    tiers.add(_counts(range(1000)))
    with pytest.raises(JobError, match="2,000 keys"):
        tiers.add(_counts(range(1000, 2000)))
