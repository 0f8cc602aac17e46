"""Measures in the most obvious way: fixes as tuples, dictionaries of lists, exact fractions.

It shares no code with what it tests but the documents.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

BUCKET = 2
EARLIEST = datetime.min.replace(tzinfo=UTC)
PERCENTS = (5, 15, 50, 85, 95)
DIRECTIONS = {"F": 1, "T": 2}
Cells: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Fix:
    """One kept fix: `speed_um` are millionths of the unit; `day` and the rest need a time."""

    trip: str
    link: int
    speed_um: int
    time: datetime | None = None
    direction: int = 0
    limit_um: int = 0


@dataclass(frozen=True)
class Clock:
    """Whose clocks, which days are holidays, and which
    (number, days, from, to before) are periods."""

    zone: ZoneInfo | None = None
    holidays: frozenset[date] = frozenset()
    periods: tuple[tuple[int, frozenset[int], int, int], ...] = ()

    def cell(self, part: str, fix: Fix) -> int:
        """Give the cell of a part, or -1."""
        if part == "direction":
            return fix.direction
        return -1 if fix.time is None else _cells_at(self, fix.time)[part]


@lru_cache(1 << 17)
def _cells_at(clock: Clock, time: datetime) -> dict[str, int]:
    local = time.astimezone(clock.zone or UTC)
    day = 8 if local.date() in clock.holidays else local.isoweekday()
    minute = local.hour * 60 + local.minute
    periods = (
        n for n, days, start, stop in clock.periods if day in days and start <= minute < stop
    )
    return {
        "hour": local.hour,
        "day": day,
        "week_hour": (day - 1) * 24 + local.hour,
        "date": local.toordinal() - date(1970, 1, 1).toordinal(),
        "period": next(periods, -1),
    }


def fixes_of(folder: Path) -> list[Fix]:
    """Read trips of the 2019 shape: each file one trip."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        for one in json.loads(path.read_text())["data"]:
            match = one["dbResponse"] or {}
            text = match.get("linkID")
            if text is None or not text.removeprefix("-").isdecimal():
                continue
            if one["absVelocity"] is None:
                continue
            found.append(
                Fix(
                    trip=path.name,
                    link=int(text),
                    speed_um=um(one["absVelocity"]),
                    time=datetime.fromisoformat(one["datetime"]) if one["datetime"] else None,
                    direction=DIRECTIONS.get(match.get("dirTravel") or "", 0),
                    limit_um=um(match.get("speedLimit") or 0.0),
                )
            )
    return found


def um(value: float) -> int:
    """Round to millionths, as it is once for all."""
    return round(value * 1_000_000)


def parts_of(grouping: str) -> tuple[str, ...]:
    """Split a name of a grouping, in the order of columns."""
    given = grouping.replace("week-hour", "week_hour").split("-")
    order = ("direction", "date", "day", "period", "week_hour", "hour")
    return tuple(part for part in order if part in given)


def cells(fixes: Iterable[Fix], grouping: str, clock: Clock) -> dict[Cells, list[Fix]]:
    """Put fixes into the cells of a grouping: (link, cell, …) -> its fixes."""
    found: dict[Cells, list[Fix]] = defaultdict(list)
    for fix in fixes:
        key = tuple(clock.cell(part, fix) for part in parts_of(grouping))
        if -1 not in key:
            found[fix.link, *key].append(fix)
    return found


@dataclass(frozen=True)
class Stay:
    """One traversal: its fixes, in order."""

    fixes: tuple[Fix, ...]

    @property
    def speed_um(self) -> int:
        """The mean of its fixes, rounded half up."""
        total = sum(fix.speed_um for fix in self.fixes)
        return math.floor(Fraction(total, len(self.fixes)) + Fraction(1, 2))

    @property
    def duration_us(self) -> int | None:
        """From the first to the last."""
        first, last = self.fixes[0].time, self.fixes[-1].time
        if first is None or last is None:
            return None
        return (last - first) // timedelta(microseconds=1)


def stays(fixes: Sequence[Fix], *, gap_s: float = 60, standing: float = 1) -> list[Stay]:
    """Find traversals trip by trip: of fixes with a time, or of a trip without any, in order."""
    trips: dict[str, list[Fix]] = defaultdict(list)
    for fix in fixes:
        trips[fix.trip].append(fix)
    found = []
    for all_ in trips.values():
        timed = [fix for fix in all_ if fix.time is not None]
        trip = sorted(timed, key=lambda fix: fix.time or EARLIEST) if timed else all_
        while trip and trip[0].speed_um < um(standing):
            trip = trip[1:]
        while trip and trip[-1].speed_um < um(standing):
            trip = trip[:-1]
        stay: list[Fix] = []
        for fix in trip:
            if stay and _leaves(stay[-1], fix, gap_s):
                found.append(Stay(tuple(stay)))
                stay = []
            stay.append(fix)
        found += [Stay(tuple(stay))] if stay else []
    return found


def _leaves(before: Fix, fix: Fix, gap_s: float) -> bool:
    if before.link != fix.link:
        return True
    if before.time is None or fix.time is None:
        return False
    return fix.time - before.time > timedelta(seconds=gap_s)


def stays_by_cell(found: Iterable[Stay], grouping: str, clock: Clock) -> dict[Cells, list[Stay]]:
    """Put traversals where their first fix is."""
    by_cell: dict[Cells, list[Stay]] = defaultdict(list)
    for stay in found:
        first = stay.fixes[0]
        key = tuple(clock.cell(part, first) for part in parts_of(grouping))
        if -1 not in key:
            by_cell[first.link, *key].append(stay)
    return by_cell


def percentile(speeds_um: Iterable[int], percent: int) -> float:
    """Give that of a histogram with buckets of 2: spread evenly within a bucket."""
    counts: dict[int, int] = defaultdict(int)
    for speed in speeds_um:
        counts[speed // um(BUCKET)] += 1
    wanted = Fraction(sum(counts.values()) * percent, 100)
    below = 0
    for bucket in sorted(counts):
        if below + counts[bucket] >= wanted:
            return float((bucket + (wanted - below) / counts[bucket]) * BUCKET)
        below += counts[bucket]
    raise AssertionError("there is none")


def rows_by_key(columns: Mapping[str, Any], parts: Sequence[str]) -> dict[Cells, dict[str, Any]]:
    """Give the rows of a finished table by link and cells; no key is there twice."""
    lists = {name: column.tolist() for name, column in columns.items()}
    found = {}
    for at in range(len(lists["link"])):
        key = tuple(lists[name][at] for name in ("link", *parts))
        assert key not in found
        found[key] = {name: column[at] for name, column in lists.items()}
    assert list(found) == sorted(found)
    return found


def check_fixes(columns: Mapping[str, Any], grouping: str, expected: Mapping[Cells, Any]) -> None:
    """Compare the columns of fixes of a finished table."""
    rows = rows_by_key(columns, parts_of(grouping))
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        speeds = [fix.speed_um for fix in expected[key]]
        assert row["fixes"] == len(speeds)
        assert row["trips"] == len({fix.trip for fix in expected[key]})
        assert row["mean"] == float(Fraction(sum(speeds), len(speeds) * 10**6))
        _check_spread(row, "", speeds)


def check_stays(
    columns: Mapping[str, Any], grouping: str, expected: Mapping[Cells, list[Stay]]
) -> None:
    """Compare the columns of traversals of a finished table, but for cells that backed off."""
    rows = rows_by_key(columns, parts_of(grouping))
    assert expected.keys() <= rows.keys()
    for key, row in rows.items():
        mine = expected.get(key, [])
        assert row["traversals"] == len(mine)
        if not mine:
            assert math.isnan(row["traversal_mean"])
            continue
        speeds = [stay.speed_um for stay in mine]
        assert row["traversal_mean"] == float(Fraction(sum(speeds), len(speeds) * 10**6))
        timed = [stay.duration_us for stay in mine if stay.duration_us is not None]
        if timed:
            seconds = sum(timed) / len(timed) / 10**6
            assert math.isclose(row["traversal_seconds"], seconds, abs_tol=1e-9)
        else:
            assert math.isnan(row.get("traversal_seconds", math.nan))
        _check_spread(row, "traversal_", speeds, percentiles=len(mine) >= 5)


def _check_spread(
    row: Mapping[str, Any], prefix: str, speeds: list[int], *, percentiles: bool = True
) -> None:
    if len(speeds) > 1:
        n, total, squares = len(speeds), sum(speeds), sum(speed * speed for speed in speeds)
        exact = math.sqrt((n * squares - total * total) / (n * (n - 1) * 10**12))
        assert math.isclose(row[f"{prefix}std"], exact, rel_tol=1e-12, abs_tol=1e-9)
    else:
        assert math.isnan(row[f"{prefix}std"])
    for percent in PERCENTS if percentiles else ():
        found = row[f"{prefix}p{percent}"]
        assert math.isclose(found, percentile(speeds, percent), rel_tol=1e-12)
        rank = math.ceil(Fraction(len(speeds) * percent, 100))
        assert abs(found - sorted(speeds)[rank - 1] / 10**6) <= BUCKET


def csv_rows(text: str) -> list[dict[str, str]]:
    """Read a CSV that was written."""
    return list(csv.DictReader(io.StringIO(text)))
