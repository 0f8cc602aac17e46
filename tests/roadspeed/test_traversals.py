"""Traversals are those of a plain loop, whatever the order of links, gaps and halts."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby
from math import floor
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roadspeed.measures.traversals import UNKNOWN_MM, Traversals, traversals
from roadspeed.positions import haversine_m

GAP_US = 60_000_000
STANDING_UM = 1_000_000
KMH = 1_000_000

fixes = st.lists(
    st.tuples(
        st.integers(1, 3),  # trip
        st.integers(1, 3),  # link
        st.sampled_from([0, 1, 999_999, 1_000_000, 1_000_001, 50_000_001, 3_000_000_000]),
        st.sampled_from([0, 1_000_000, 60_000_000, 60_000_001]),  # after the fix before
    ),
    max_size=40,
)


def plain(rows: list[tuple[Any, ...]], *, timed: bool) -> list[tuple[int, ...]]:
    """First, last, fixes, speed and duration of each traversal, by a loop over the fixes."""
    found: list[tuple[int, ...]] = []
    for _, group in groupby(enumerate(rows), key=lambda row: row[1][0]):
        trip = list(group)
        while trip and trip[0][1][2] < STANDING_UM:
            trip.pop(0)
        while trip and trip[-1][1][2] < STANDING_UM:
            trip.pop()
        stays: list[list[Any]] = []
        for at, (_, link, speed, time) in trip:
            last = stays[-1][-1] if stays else (at, None, speed, time)
            if last[1] == link and (not timed or time - last[3] <= GAP_US):
                stays[-1].append((at, link, speed, time))
            else:
                stays.append([(at, link, speed, time)])
        for stay in stays:
            mean = floor(Fraction(sum(fix[2] for fix in stay), len(stay)) + Fraction(1, 2))
            found.append((stay[0][0], stay[-1][0], len(stay), mean, stay[-1][3] - stay[0][3]))
    return found


def as_rows(found: Traversals) -> list[tuple[int, ...]]:
    columns = [found.first, found.last, found.fixes, found.speed_um]
    columns += [] if found.duration_us is None else [found.duration_us]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def columns_of(given_: list[tuple[int, int, int, int]]) -> tuple[Any, ...]:
    table = np.array(sorted(given_, key=lambda fix: fix[0]), dtype=np.int64).reshape(-1, 4)
    trip, link, speed, step = table.T
    return trip, link, speed, np.cumsum(step)


@given(fixes, st.sampled_from(["int", "text"]))
def test_they_are_those_of_a_plain_loop(rows: list[Any], kind: str) -> None:
    trip, link, speed, time = columns_of(rows)
    known = list(zip(trip.tolist(), link.tolist(), speed.tolist(), time.tolist(), strict=True))
    ids = link if kind == "int" else link.astype("S8")
    names = trip if kind == "int" else trip.astype("S4")
    found = traversals(names, ids, speed, time, GAP_US, STANDING_UM)
    assert as_rows(found) == plain(known, timed=True)
    assert len(found) == len(found.first)


@given(fixes)
def test_without_trips_all_are_one_and_without_times_there_are_no_gaps(rows: list[Any]) -> None:
    _, link, speed, time = columns_of(rows)
    known = [(0, *fix) for fix in zip(link.tolist(), speed.tolist(), time.tolist(), strict=True)]
    found = traversals(None, link, speed, time, GAP_US, STANDING_UM)
    assert as_rows(found) == plain(known, timed=True)
    found = traversals(None, link, speed, None, GAP_US, STANDING_UM)
    assert found.duration_us is None
    assert as_rows(found) == [row[:4] for row in plain(known, timed=False)]


def of(links: list[int], speeds: list[int]) -> Traversals:
    link, speed = np.array(links), np.array(speeds, dtype=np.int64) * KMH
    return traversals(None, link, speed, np.arange(len(link)) * 1_000_000, GAP_US, STANDING_UM)


def test_a_halt_counts_but_parking_does_not() -> None:
    found = of([7, 7, 7, 7, 7, 8, 8], [0, 10, 0, 0, 20, 30, 0])
    assert as_rows(found) == [(1, 4, 4, 7_500_000, 3_000_000), (5, 5, 1, 30_000_000, 0)]
    assert as_rows(of([7, 7, 8], [0, 0, 0])) == []
    assert as_rows(of([], [])) == []


def test_one_that_comes_back_is_two() -> None:
    assert [row[:3] for row in as_rows(of([1, 2, 1, 1], [9, 9, 9, 9]))] == [
        (0, 0, 1), (1, 1, 1), (2, 3, 2),
    ]  # fmt: skip


@given(fixes, st.integers(0, 2**32 - 1))
def test_distances_are_those_of_a_plain_loop(rows: list[Any], seed: int) -> None:
    trip, link, speed, time = columns_of(rows)
    rng = np.random.default_rng(seed)
    lat = 50 + rng.normal(0, 1e-3, len(link))
    lon = 180 + rng.normal(0, 1e-3, len(link))
    lat[rng.random(len(link)) < 0.2] = np.nan
    found = traversals(trip, link, speed, time, GAP_US, STANDING_UM)
    known = []
    for first, last in zip(found.first.tolist(), found.last.tolist(), strict=True):
        at = [i for i in range(first, last + 1) if np.isfinite(lat[i])]
        if not at or (at[0], at[-1]) != (first, last):
            known.append(UNKNOWN_MM)
            continue
        steps = haversine_m(lat[at[:-1]], lon[at[:-1]], lat[at[1:]], lon[at[1:]])
        known.append(int(np.rint(steps * 1000).sum()))
    assert found.distance_mm(lat, lon).tolist() == known
