"""Cells of a time: against the standard library one by one, and against DuckDB."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from roadspeed.measures.calendar import PARTS, Calendar
from roadspeed.measures.periods import Period, parse_period

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY = date(1970, 1, 1).toordinal()
US = timedelta(microseconds=1)
END_US = (datetime(2100, 1, 1, tzinfo=UTC) - EPOCH) // US
ZONES = [None, "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]
PERIODS = tuple(
    map(
        parse_period,
        ["am=Mon-Fri 07:00-10:00", "night=Mon-Fri,Hol 22:00-06:00", "we=Sat 12:00-18:00"],
    )
)


@cache
def both(name: str | None) -> tuple[mr.TimeZone | None, ZoneInfo]:
    path = mr.zone_file(name or "UTC")
    with path.open("rb") as file:
        return mr.TimeZone(path) if name else None, ZoneInfo.from_file(file)


def kind_of(day: date, holidays: frozenset[int]) -> int:
    return 8 if day.toordinal() - FIRST_DAY in holidays else day.isoweekday()


def period_of(local: datetime, periods: tuple[Period, ...], holidays: frozenset[int]) -> int:
    """Try every span that may hold a moment, by its own day."""
    minute = local.hour * 60 + local.minute
    for number, period in enumerate(periods):
        for span in period.spans:
            for back in (0, 1):
                day = kind_of((local - timedelta(days=back)).date(), holidays)
                if day in span.days and span.start <= minute + back * 1440 < span.stop:
                    return number
    return -1


def expected(
    time_us: int, zone: ZoneInfo, holidays: frozenset[int], periods: tuple[Period, ...]
) -> dict[str, int]:
    local = (EPOCH + time_us * US).astimezone(zone).replace(tzinfo=None)
    day = kind_of(local.date(), holidays)
    return {
        "hour": local.hour,
        "day": day,
        "week_hour": (day - 1) * 24 + local.hour,
        "date": local.toordinal() - FIRST_DAY,
        "period": period_of(local, periods, holidays),
    }


times = st.integers(86_400_000_000, END_US - 1)


@given(
    st.sampled_from(ZONES),
    st.lists(st.tuples(times, st.booleans(), st.booleans()), max_size=30),
)
def test_cells_are_what_the_standard_library_makes_of_each_time(
    name: str | None, found: list[tuple[int, bool, bool]]
) -> None:
    zone, theirs = both(name)
    holidays = frozenset(t // 86_400_000_000 for t, is_holiday, _ in found if is_holiday) | {1}
    calendar = Calendar(zone, holidays, PERIODS)
    time_us = np.array([t for t, _, _ in found], np.int64)
    timed = np.array([is_timed for _, _, is_timed in found], np.bool_)
    moments = calendar.at(time_us, timed)
    for part in PARTS:
        want = [
            expected(t, theirs, holidays, PERIODS)[part] if is_timed else -1
            for t, _, is_timed in found
        ]
        got = moments.cells(part)
        assert got.tolist() == want, part
        assert got.dtype == np.int64
        assert calendar.cells(part, time_us, timed).tolist() == want


@pytest.mark.parametrize("name", ZONES[1:])
def test_cells_around_a_change_of_clocks(name: str) -> None:
    zone, theirs = both(name)
    assert zone is not None
    calendar = Calendar(zone, frozenset(), PERIODS[:1])
    changes = zone._table().in_utc.tolist() or [10**15]
    time_us = np.array([t + d for t in changes for d in (-1, 0, 3_599_999_999)], np.int64)
    timed = np.ones(len(time_us), np.bool_)
    for part in PARTS:
        want = [expected(t, theirs, frozenset(), PERIODS[:1])[part] for t in time_us.tolist()]
        assert calendar.cells(part, time_us, timed).tolist() == want


def test_cells_are_what_duckdb_makes_of_them_in_utc() -> None:
    seeded = np.random.default_rng(5)
    time_us = seeded.integers(0, END_US, 20_000)
    rows = duckdb.execute(
        "SELECT hour(t), isodow(t), (isodow(t) - 1) * 24 + hour(t),"
        " date_diff('day', DATE '1970-01-01', t::DATE)"
        " FROM (SELECT make_timestamp(us) AS t, n FROM"
        " (SELECT unnest($us) AS us, unnest(range(len($us))) AS n)) ORDER BY n",
        {"us": time_us.tolist()},
    ).fetchall()
    calendar = Calendar()
    timed = np.ones(len(time_us), np.bool_)
    for part, theirs in zip(PARTS, np.array(rows).T, strict=False):
        assert (calendar.cells(part, time_us, timed) == theirs).all(), part


def us(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // US


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("2019-12-31T23:59:59.999999", (23, 2, 47, 18261, -1)),
        ("2020-01-01T00:00:00", (0, 8, 168, 18262, -1)),  # a holiday, after a Tuesday
        ("2020-02-29T12:00:00", (12, 6, 132, 18321, 2)),  # a leap day, a Saturday
        ("2020-01-01T23:00:00", (23, 8, 191, 18262, 1)),
        ("2020-01-02T05:59:59", (5, 4, 77, 18263, 1)),  # the night of the holiday
        ("2020-01-02T06:00:00", (6, 4, 78, 18263, -1)),
        ("2020-01-02T09:59:59", (9, 4, 81, 18263, 0)),
        ("2020-01-04T03:00:00", (3, 6, 123, 18265, 1)),  # Friday's night, on Saturday
        ("2020-01-06T03:00:00", (3, 1, 3, 18267, -1)),  # no night of Sunday's
    ],
)
def test_days_nights_and_holidays(text: str, cells: tuple[int, ...]) -> None:
    periods = (PERIODS[0], parse_period("night=Wed-Fri,Hol 22:00-06:00"), PERIODS[2])
    calendar = Calendar(None, frozenset({18262}), periods)
    time_us = np.array([us(text)], np.int64)
    found = calendar.at(time_us, np.ones(1, np.bool_))
    assert tuple(int(found.cells(part)[0]) for part in PARTS) == cells


def test_a_part_that_is_none_is_refused() -> None:
    with pytest.raises(mr.UsageError, match=r"expected a part of time.*got 'month'"):
        Calendar().cells("month", np.zeros(1, np.int64), np.ones(1, np.bool_))


def test_a_calendar_refuses_what_its_periods_refuse() -> None:
    one, other = parse_period("a=07:00-10:00"), parse_period("b=09:00-11:00")
    with pytest.raises(mr.UsageError, match="overlap: Mon 09:00"):
        Calendar(periods=(one, other))
    with pytest.raises(mr.UsageError, match="two periods are called 'a'"):
        Calendar(periods=(one, one))
    with pytest.raises(mr.UsageError, match="is of holidays"):
        Calendar(periods=(parse_period("a=Hol"),))


def test_calendars_of_one_content_are_equal() -> None:
    zone = both("Europe/London")[0]
    assert Calendar(zone, frozenset({1}), PERIODS) == Calendar(zone, frozenset({1}), PERIODS)
    assert Calendar(zone) != Calendar()


def test_no_fixes_have_no_cells() -> None:
    moments = Calendar(None, frozenset({1}), PERIODS).at(
        np.zeros(0, np.int64), np.zeros(0, np.bool_)
    )
    assert all(len(moments.cells(part)) == 0 for part in PARTS)
