"""Periods of the week: how they are read, that they do not overlap, and which minutes they hold."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from roadspeed.measures.periods import (
    DAY,
    DAYS,
    EVERY_DAY,
    Period,
    PeriodTable,
    Span,
    joined,
    parse_period,
)

WEEK = frozenset(range(1, 6))


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("a=Mon-Fri 07:00-10:00", [(WEEK, 420, 600)]),
        ("a=Mon,Wed 7:00-8:30", [({1, 3}, 420, 510)]),
        ("a=Sat-Mon 00:00-24:00", [({6, 7, 1}, 0, 1440)]),
        ("a=Hol 10:00-11:00", [({8}, 600, 660)]),
        ("a=Mon-Fri,Hol 10:00-11:00", [({1, 2, 3, 4, 5, 8}, 600, 660)]),
        ("a=daily 10:00-11:00", [(EVERY_DAY, 600, 660)]),
        ("a=10:00-11:00", [(EVERY_DAY, 600, 660)]),
        ("a=22:00-06:00", [(EVERY_DAY, 1320, 1800)]),
        ("a=Fri 22:00-00:00", [({5}, 1320, 1440)]),
        ("a=Mon-Fri 07:00-10:00, 16:00-19:00", [(WEEK, 420, 600), (WEEK, 960, 1140)]),
        ("a=Mon 07:00-10:00,Sat 09:00-12:00", [({1}, 420, 600), ({6}, 540, 720)]),
        ("a=Sat,Sun", [({6, 7}, 0, 1440)]),
        ("a = mon-FRI 07:00-10:00", [(WEEK, 420, 600)]),
        ("a=Fri-Mon", [({5, 6, 7, 1}, 0, 1440)]),
    ],
)
def test_a_period_is_read(text: str, spans: list[tuple[set[int], int, int]]) -> None:
    expected = tuple(Span(frozenset(days), start, stop) for days, start, stop in spans)
    assert parse_period(text) == Period("a", expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("morning", "expected NAME=DAYS TIMES"),
        ("=Mon 07:00-08:00", "a name has letters"),
        ("a b=Mon 07:00-08:00", "a name has letters"),
        ("a/b=Mon 07:00-08:00", "a name has letters"),
        ("a=", "expected NAME=DAYS TIMES"),
        ("a=,", "expected days"),
        ("a=Monday 07:00-08:00", "got 'Monday'"),
        ("a=Mon-Hol 07:00-08:00", "got 'Mon-Hol'"),
        ("a=Hol-Mon", "got 'Hol-Mon'"),
        ("a=Mon 07-08", "got '07-08'"),
        ("a=Mon 07:00", "got '07:00'"),
        ("a=Mon 07:60-08:00", "00:00 to 24:00"),
        ("a=Mon 23:00-24:01", "00:00 to 24:00"),
        ("a=Mon 24:00-06:00", "00:00 to 24:00"),
        ("a=Mon 08:00-08:00", "begins where it ends"),
        ("a=Mon \u06607:00-08:00", "expected days"),
    ],
)
def test_what_is_no_period_is_refused(text: str, told: str) -> None:
    with pytest.raises(mr.UsageError, match=told):
        parse_period(text)


def test_periods_of_one_name_add_up() -> None:
    found = joined(map(parse_period, ["a=Mon 07:00-08:00", "b=Mon 08:00-09:00", "a=Tue 1:00-2:00"]))
    assert [period.name for period in found] == ["a", "b"]
    assert found[0].spans == (Span(frozenset({1}), 420, 480), Span(frozenset({2}), 60, 120))


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("Mon-Fri 07:00-10:00", "daily 09:30-11:00", "Mon 09:30 is in both"),
        ("Mon 22:00-06:00", "Tue 05:59-07:00", "Tue 05:59 is in both"),
        ("Sun 22:00-06:00", "Mon", "Mon 00:00 is in both"),
        ("Tue 05:59-07:00", "Mon 22:00-06:00", "Tue 05:59 is in both"),
        ("Thu 22:00-06:00", "Hol", "Hol after Thu 00:00 is in both"),
        ("Hol 22:00-06:00", "Wed 05:00-06:00", "Wed after Hol 05:00 is in both"),
        ("Hol 22:00-06:00", "Hol 05:00-06:00", "Hol 05:00 is in both"),
    ],
)
def test_an_overlap_is_refused_with_its_minute(one: str, other: str, told: str) -> None:
    with pytest.raises(mr.UsageError, match="overlap") as caught:
        PeriodTable.of([parse_period(f"a={one}"), parse_period(f"b={other}")], holidays=True)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "texts",
    [
        ("a=07:00-10:00", "b=10:00-07:00"),
        ("a=Mon-Fri 22:00-06:00", "b=Tue-Sat 06:00-22:00"),
        ("a=Thu 22:00-06:00", "b=Sat"),
    ],
)
def test_what_touches_does_not_overlap(texts: tuple[str, str]) -> None:
    PeriodTable.of([*map(parse_period, texts)], holidays=True)


def test_what_follows_no_holiday_is_no_overlap_where_there_are_none() -> None:
    both = [parse_period("a=daily 22:00-06:00"), parse_period("b=06:00-07:00")]
    PeriodTable.of(both, holidays=False)
    odd = [parse_period("a=Thu 22:00-06:00"), parse_period("b=Mon 00:00-01:00")]
    PeriodTable.of(odd, holidays=False)  # a Monday never follows a Thursday


def test_holidays_are_not_named_where_none_are_known() -> None:
    with pytest.raises(mr.UsageError, match="is of holidays"):
        PeriodTable.of([parse_period("a=Mon-Fri,Hol")], holidays=False)
    PeriodTable.of([parse_period("a=Mon-Sun,Hol")], holidays=False)  # every day


days = st.frozensets(st.integers(1, 8), min_size=1)
minutes = st.integers(0, DAY - 1)


@given(st.lists(st.tuples(days, minutes, minutes), max_size=5))
def test_a_table_holds_what_spans_say_minute_by_minute(
    spans: list[tuple[frozenset[int], int, int]],
) -> None:
    made = [Span(d, start, stop if stop > start else stop + DAY) for d, start, stop in spans]
    table = PeriodTable.of([Period("a", tuple(made))], holidays=True)
    begun: set[tuple[int, int]] = set()
    passed: set[tuple[int, int]] = set()
    for span in made:
        for day, minute in product(span.days, range(span.start, span.stop)):
            (begun if minute < DAY else passed).add((day, minute % DAY))
    where = np.argwhere(table.begun.reshape(len(DAYS), DAY) == 0)
    assert {(int(d) + 1, int(m)) for d, m in where} == begun
    after = np.zeros(0) if table.from_before is None else table.from_before
    where = np.argwhere(after.reshape(-1, DAY) == 0)
    assert {(int(d) + 1, int(m)) for d, m in where} == passed
