"""Welch's interval against a plain loop and against chance itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roadspeed.comparison import FASTER, SLOWER, UNDECIDED, verdicts, welch_half_width_95
from roadspeed.statistics import quantile_t

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDES = st.tuples(st.floats(0, 300, allow_subnormal=False), st.integers(1, 10**9))


def half_width(*sides: tuple[float, int]) -> float:
    a, b = sides
    stds = [np.array([std]) for std, _ in sides]
    counts = [np.array([n], dtype=np.int64) for _, n in (a, b)]
    return float(welch_half_width_95(stds[0], counts[0], stds[1], counts[1])[0])


@given(SIDES, SIDES)
def test_it_is_what_a_plain_loop_gives(a: tuple[float, int], b: tuple[float, int]) -> None:
    got = half_width(a, b)
    if a[1] < 2 or b[1] < 2:
        assert math.isnan(got)
        return
    of_a, of_b = a[0] ** 2 / a[1], b[0] ** 2 / b[1]
    below = of_a**2 / (a[1] - 1) + of_b**2 / (b[1] - 1)
    degrees = 1 if not below else max(1, math.floor((of_a + of_b) ** 2 / below * (1 + 1e-12)))
    wide, narrow = (float(quantile_t(np.array([n]))[0]) for n in (max(1, degrees - 1), degrees))
    root = math.sqrt(of_a + of_b)
    assert narrow * root * (1 - 1e-9) <= got <= wide * root * (1 + 1e-9)
    assert half_width(b, a) == got


def test_of_samples_without_a_difference_one_in_twenty_seems_to_differ() -> None:
    chance = np.random.default_rng(11)
    rounds = 20_000
    sizes: Sequence[int] = (12, 45)
    samples = [chance.normal(50, sd, (rounds, n)) for sd, n in zip((4.0, 11.0), sizes, strict=True)]
    stds = [np.std(s, axis=1, ddof=1) for s in samples]
    counts = [np.full(rounds, n, dtype=np.int64) for n in sizes]
    half = welch_half_width_95(stds[0], counts[0], stds[1], counts[1])
    said = verdicts(samples[1].mean(axis=1) - samples[0].mean(axis=1), half)
    share = np.mean(said != UNDECIDED)
    assert 0.044 < share < 0.054
    assert 0.3 < np.mean(said[said != UNDECIDED] == SLOWER) < 0.7


def test_what_is_not_known_is_undecided() -> None:
    said = verdicts(np.array([-2.0, 2.0, 1.0, 9.0, np.nan]), np.array([1.0, 1.0, 1.0, np.nan, 1.0]))
    assert said.tolist() == [SLOWER, FASTER, UNDECIDED, UNDECIDED, UNDECIDED]
