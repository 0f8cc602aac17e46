"""Measures of untidy fixes: clocks that change, times of all kinds, trips mixed in an object."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import mapreduce as mr
from roadspeed.speeds import Speeds
from tests.roadspeed.plain_measures import (
    Clock,
    Fix,
    cells,
    check_fixes,
    check_stays,
    rows_by_key,
    stays,
    stays_by_cell,
    um,
)

BY = ("hour", "day", "week-hour", "date", "period", "date-hour", "day-period")
PERIODS = ("small=Mon-Fri 00:00-01:30, Hol 01:00-02:00", "rest=Sat,Sun 01:30-24:00")
SPANS = (
    (0, frozenset(range(1, 6)), 0, 90),
    (0, frozenset({8}), 60, 120),
    (1, frozenset({6, 7}), 90, 1440),
)
ABOUT = [  # zone, and a moment at which its clocks change, or at which a day does
    ("Europe/London", datetime(2021, 3, 28, 1, tzinfo=UTC)),
    ("Europe/London", datetime(2021, 10, 31, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2020, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2019, 4, 6, 15, tzinfo=UTC)),  # by half an hour
    ("Asia/Kathmandu", datetime(2020, 2, 28, 18, 15, tzinfo=UTC)),  # midnight: a leap day begins
    ("Asia/Kolkata", datetime(2020, 2, 29, 18, 30, tzinfo=UTC)),  # and ends
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # which had no 30th
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # midnight does not come
    ("UTC", datetime(2019, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
]
UNREADABLE = [None, "", "yesterday", "2019-02-30T10:00:00Z", 1566803847, "1970-01-01T00:00:00Z"]


def text_of(time: datetime, zone: ZoneInfo, kind: str) -> str:
    """Write a time: in UTC, with an offset of some zone, or as the local clock shows it."""
    if kind == "utc":
        return time.isoformat().replace("+00:00", "Z")
    if kind == "offset":
        return time.astimezone(timezone(timedelta(hours=5, minutes=45))).isoformat()
    return time.astimezone(zone).replace(tzinfo=None).isoformat(" ")


def read(text: Any, zone: ZoneInfo) -> datetime | None:
    """Read it, as the most obvious reader would."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    time = time if time.tzinfo else time.replace(tzinfo=zone)  # the first of two
    return time.astimezone(UTC) if time.year > 1980 else None


def untidy(
    zone: ZoneInfo, change: datetime, rng: random.Random
) -> tuple[dict[str, bytes], list[Fix]]:
    """Make objects of several mixed trips each; give them, and the fixes that are kept."""
    objects, kept = {}, []
    for number in range(40):
        rows, mine = [], []
        trips = [f"{number}-{n}" for n in range(4)]
        clocks = {trip: change + timedelta(minutes=rng.uniform(-200, 90)) for trip in trips}
        silent = f"{number}-{rng.randrange(8)}"  # perhaps a trip without times
        for _ in range(rng.randrange(90)):
            trip = rng.choice(trips)
            clocks[trip] += timedelta(seconds=rng.choice([0, 1, 1, 7, 60, 60.5, 61, 900, -3]))
            text: Any = text_of(clocks[trip], zone, rng.choice(["utc", "utc", "offset", "local"]))
            if trip == silent or rng.random() < 0.1:
                text = rng.choice(UNREADABLE)
            link = rng.choice([1, 1, 1, 2, 2, 3, None])
            speed = rng.choice(
                [0.0, 0.5, 0.999999, 1.0, 13.25, 50.0, rng.uniform(0, 399), -1.0, None]
            )
            rows.append({"trip": trip, "link": link, "speed": speed, "time": text})
            if link is not None and speed is not None and speed >= 0:
                mine.append(Fix(trip, link, um(speed), read(text, zone)))
        objects[f"{number:03}"] = json.dumps({"data": rows}).encode()
        kept += mine
    return objects, kept


@pytest.mark.parametrize(("name", "change"), ABOUT)
def test_untidy_fixes_are_told_apart_as_a_plain_loop_does(name: str, change: datetime) -> None:
    zone = ZoneInfo(name)
    objects, kept = untidy(zone, change, random.Random(name + str(change)))
    holidays = frozenset({change.astimezone(zone).date()})
    clock = Clock(zone, holidays, SPANS)
    job = Speeds(
        by=BY, periods=PERIODS, holidays=tuple(day.toordinal() - 719163 for day in holidays),
        zone=mr.SideFile(mr.zone_file(name)), time="time", link="link", speed="speed", trip="trip",
    )  # fmt: skip
    result = mr.run(job, mr.Memory(objects), workers=1)
    records = result.receipt["records"]
    assert records["kept"] == len(kept)
    assert set(records["dropped"]) == {"no_link", "no_speed", "speed_out_of_range"}
    trips = stays(kept)
    for grouping in ("link", *BY):
        columns = result.tables["by_" + grouping.replace("-", "_")]
        check_fixes(columns, grouping, cells(kept, grouping, clock))
        check_stays(columns, grouping, stays_by_cell(trips, grouping, clock))


def run(rows: list[dict[str, Any]], zone: str = "", **more: Any) -> mr.Result:
    """Run over one object of fixes on link 1."""
    given = [{"link": 1, "speed": 10.0, **row} for row in rows]
    side = mr.SideFile(mr.zone_file(zone)) if zone else None
    job = Speeds(link="link", speed="speed", time="t", zone=side, **more)
    return mr.run(job, mr.Memory({"a": json.dumps({"data": given}).encode()}), workers=1)


def hours(result: mr.Result, table: str = "by_date_hour") -> list[tuple[int, ...]]:
    """Give (date, hour, fixes)."""
    rows = rows_by_key(result.tables[table], ("date", "hour"))
    return [(*key[1:], row["fixes"]) for key, row in rows.items()]


def test_an_hour_that_comes_twice_has_the_fixes_of_both_and_one_that_is_skipped_none() -> None:
    day = date(2021, 10, 31).toordinal() - 719163
    times = [{"t": f"2021-10-31T0{hour}:30:00Z"} for hour in range(4)]
    assert hours(run(times, "Europe/London", by=("date-hour",))) == [
        (day, 1, 2), (day, 2, 1), (day, 3, 1),
    ]  # fmt: skip
    day = date(2021, 3, 28).toordinal() - 719163
    times = [{"t": f"2021-03-28T0{hour}:30:00Z"} for hour in range(3)]
    assert hours(run(times, "Europe/London", by=("date-hour",))) == [
        (day, 0, 1), (day, 2, 1), (day, 3, 1),
    ]  # fmt: skip


def test_the_last_moment_of_a_day_is_of_that_day() -> None:
    day = date(2020, 2, 29).toordinal() - 719163
    times = [
        "2020-02-28T23:59:59.999999Z", "2020-02-29T00:00:00Z", "2020-02-29T23:59:59.999999Z",
        "2020-03-01T00:00:00Z", "2020-03-01T00:00:00+00:01", "2020-02-28T23:59:00-00:01",
    ]  # fmt: skip
    assert hours(run([{"t": t} for t in times], by=("date-hour",))) == [
        (day - 1, 23, 1), (day, 0, 2), (day, 23, 2), (day + 1, 0, 1),
    ]  # fmt: skip
    result = run([{"t": "2020-02-29T18:29:59Z"}, {"t": "2020-02-29T18:30:00Z"}], "Asia/Kolkata",
                 by=("date-hour",))  # fmt: skip
    assert hours(result) == [(day, 23, 1), (day + 1, 0, 1)]


def test_a_trip_is_in_every_hour_it_has_fixes_in_and_once_in_all() -> None:
    result = run([{"t": f"2021-05-03T0{h}:00:00Z"} for h in (1, 2, 2, 3)], by=("hour",))
    assert result.tables["by_hour"]["trips"].tolist() == [1, 1, 1]
    assert result.tables["by_link"]["trips"].tolist() == [1]


def test_what_is_dropped_neither_ends_a_traversal_nor_prolongs_it() -> None:
    rows = [{"t": f"2021-05-03T01:00:{s:02}Z"} for s in range(6)]
    rows[2]["link"] = None  # type: ignore[assignment] # as in a document
    rows[5]["speed"] = -1.0  # type: ignore[assignment] # as above
    t = run(rows, by=("hour",)).tables["by_hour"]
    assert (t["traversals"].tolist(), t["traversal_seconds"].tolist()) == ([1], [4.0])


def test_a_gap_is_one_that_is_longer_than_the_longest() -> None:
    rows = [{"t": f"2021-05-03T01:{at}Z"} for at in ("00:00", "01:00", "02:00.000001")]
    t = run(rows, by=("hour",)).tables["by_hour"]
    assert (t["traversals"].tolist(), t["traversal_seconds"].tolist()) == ([2], [30.0])
    t = run(rows, by=("hour",), max_gap=61.0).tables["by_hour"]
    assert t["traversals"].tolist() == [1]


def test_traversals_count_where_they_begin() -> None:
    rows = [{"t": f"2021-05-03T0{at}Z"} for at in ("1:59:30", "2:00:10", "2:00:50")]
    t = run(rows, by=("hour",)).tables["by_hour"]
    assert (t["fixes"].tolist(), t["traversals"].tolist()) == ([1, 2], [1, 0])


def test_fixes_out_of_order_are_put_in_order_and_those_without_a_time_stay_out() -> None:
    rows = [{"t": f"2021-05-03T01:00:0{s}Z", "link": link} for s, link in ((3, 1), (1, 1), (2, 2))]
    rows.insert(1, {"t": None, "link": 2})
    t = run(rows, by=("hour",)).tables["by_link"]
    assert t["link"].tolist() == [1, 2]
    assert (t["fixes"].tolist(), t["traversals"].tolist()) == ([2, 2], [2, 1])
