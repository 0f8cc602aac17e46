"""Numbers from exact sums, against fractions, the statistics module and the t distribution."""

from __future__ import annotations

import math
import statistics as reference
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import JobError
from roadspeed import statistics

MICRO = 10**6
SPEEDS = st.lists(st.integers(0, 400 * MICRO), min_size=1, max_size=40)


def ints(*values: int) -> statistics.Ints:
    return np.array(values, dtype=np.int64)


def limbs(squares: int) -> tuple[statistics.Ints, statistics.Ints]:
    return ints(squares >> 32), ints(squares & 0xFFFFFFFF)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**63 // MICRO))
def test_a_mean_is_the_exact_rational_rounded_once(total: int, count: int) -> None:
    [got] = statistics.mean(ints(total), ints(count))
    assert got == float(Fraction(total, count * MICRO))


def test_the_fast_and_the_exact_path_meet_at_two_to_the_53() -> None:
    totals = [sign * (2**53 + d) for sign in (1, -1) for d in range(-3, 4)]
    got = statistics.mean(ints(*totals), ints(*[3] * len(totals)))
    assert got.tolist() == [float(Fraction(t, 3 * MICRO)) for t in totals]


def test_a_mean_of_nothing_is_nan() -> None:
    got = statistics.mean(ints(0, 5, 2**60), ints(0, 1, 0))
    assert np.isnan(got[[0, 2]]).all()
    assert got[1] == 5e-6


@given(st.integers(-(2**63), 2**63 - 1))
def test_micro_units_become_the_nearest_double(speed_um: int) -> None:
    [got] = statistics.units(ints(speed_um))
    assert got == float(Fraction(speed_um, MICRO))


@given(SPEEDS)
def test_a_deviation_is_that_of_the_statistics_module(speeds: list[int]) -> None:
    high, low = limbs(sum(v * v for v in speeds))
    [got] = statistics.deviation(ints(sum(speeds)), high, low, ints(len(speeds)))
    if len(speeds) == 1:
        assert math.isnan(got)
    else:
        expected = reference.stdev([Fraction(v, MICRO) for v in speeds])
        assert abs(got - expected) <= math.ulp(expected)


def test_a_tiny_spread_on_a_great_many_fast_fixes_is_not_cancelled_away() -> None:
    n, v = 85_000_000, 200 * MICRO  # half of them one micro-unit above
    total, squares = n * v + n // 2, n // 2 * v * v + n // 2 * (v + 1) ** 2
    [got] = statistics.deviation(ints(total), *limbs(squares), ints(n))
    assert got == pytest.approx(0.5e-6, rel=1e-6)


def test_equal_speeds_deviate_by_exactly_nothing() -> None:
    n, v = 1000, 123_456_789
    [got] = statistics.deviation(ints(n * v), *limbs(n * v * v), ints(n))
    assert got == 0.0


def test_sums_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(JobError, match="row 1: 2 speeds cannot sum to 10"):
        statistics.deviation(ints(0, 10), ints(0, 0), ints(0, 1), ints(2, 2))


def two_sided(t: float, degrees: int) -> float:
    """Give A(t|v), the finite series of Abramowitz and Stegun 26.7.3 (odd) and 26.7.4 (even)."""
    theta = math.atan(t / math.sqrt(degrees))
    squared = math.cos(theta) ** 2
    odd = degrees % 2
    term = math.cos(theta) if odd else 1.0
    terms = [term] if degrees > 1 else []
    for k in range(3 if odd else 2, degrees - odd, 2):
        term *= (k - 1) / k * squared
        terms.append(term)
    total = math.sin(theta) * math.fsum(terms)
    return 2 / math.pi * (theta + total) if odd else total


@pytest.mark.parametrize("degrees", [*range(1, 41), 60, 61, 120, 1001])
def test_the_t_quantile_leaves_five_per_cent_outside(degrees: int) -> None:
    [t] = statistics.quantile_t(ints(degrees))
    assert two_sided(t, degrees) == pytest.approx(0.95, abs=3e-9)


def test_the_t_quantile_falls_to_the_normal_one() -> None:
    degrees = np.array([*range(1, 200), 10**6, 10**12], dtype=np.int64)
    quantiles = statistics.quantile_t(degrees)
    assert (np.diff(quantiles) < 0).all()
    assert quantiles[-1] == pytest.approx(1.959963984540054, abs=1e-9)


def test_the_half_width_is_t_times_the_standard_error() -> None:
    got = statistics.half_width_95(np.array([2.0, 2.0, np.nan]), ints(2, 10**6, 1))
    assert got[0] == pytest.approx(12.706204736 * 2 / math.sqrt(2), rel=1e-9)
    assert got[1] == pytest.approx(1.96 * 2 / 1000, rel=1e-4)
    assert math.isnan(got[2])


@pytest.mark.parametrize(
    ("total", "count"),
    [
        (np.array([1.0]), np.array([1])),
        (np.array([1]), np.array([1], dtype=np.int32)),
        (np.array([1, 2]), np.array([1])),
    ],
)
def test_what_is_not_int64_of_one_length_is_refused(
    total: statistics.Ints, count: statistics.Ints
) -> None:
    with pytest.raises(JobError, match="expected int64 of shape"):
        statistics.mean(total, count)


def test_a_negative_or_unbelievable_count_is_refused() -> None:
    with pytest.raises(JobError, match="expected 0 or more, got -1"):
        statistics.mean(ints(1), ints(-1))
    with pytest.raises(JobError, match="split the table"):
        statistics.mean(ints(1), ints(2**62))


def test_no_rows_give_no_numbers() -> None:
    none = ints()
    assert len(statistics.mean(none, none)) == 0
    assert len(statistics.deviation(none, none, none, none)) == 0
    assert len(statistics.half_width_95(none.astype(float), none)) == 0
