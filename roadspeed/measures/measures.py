"""The tables of a run beside its speeds by link: by cells of groupings, of free flow, of limits.

Fixes go in as arrays, rows of tables come out; merged tables go in, columns come out. A fix counts
in a grouping where it has all the cells; `link` has every fix. A traversal counts where its first
fix does. All sums are integers, so that any split gives the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

import mapreduce as mr
from roadspeed.measures import free_flow, limits
from roadspeed.measures.backing_off import back_off
from roadspeed.measures.distribution import BUCKET_UM, PERCENTILES
from roadspeed.measures.groupings import DIRECTION, Grouping
from roadspeed.measures.key_rows import rows_of
from roadspeed.measures.traversals import Traversals, traversals
from roadspeed.positions import MM
from roadspeed.statistics import MICRO, deviation, mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roadspeed.measures.calendar import Calendar
    from roadspeed.measures.fixes import Fixes
    from roadspeed.statistics import Floats, Ints

NO_CELL: Final = -1
US_A_SECOND: Final = 1_000_000
STAYS: Final = "_traversals"  # behind the name of a grouping's table


@dataclass(frozen=True, slots=True)
class Stays:
    """What a traversal is: see `roadspeed.measures.traversals`."""

    max_gap_us: int
    standing_um: int


@dataclass(frozen=True)
class Measures:
    """What a run tells apart.

    Parameters
    ----------
    link
        The key of the link.
    trip
        The key of the trip; None where each object is one.
    groupings
        Which tables there are; none for none.
    calendar
        What a time means; None where there are no times.
    stays
        What a traversal is; None where there are none.
    limited
        Whether there are posted limits.
    placed
        Whether there are positions, along which traversals are measured.
    """

    link: mr.Key
    trip: mr.Key | None = None
    groupings: tuple[Grouping, ...] = ()
    calendar: Calendar | None = None
    stays: Stays | None = None
    limited: bool = False
    placed: bool = False

    @cached_property
    def tables(self) -> dict[str, mr.Table]:
        """All tables by name: always the same ones."""
        found: dict[str, mr.Table] = {}
        for grouping in self.groupings:
            found[grouping.table] = self._fixes_table(grouping)
            if self.stays is not None:
                found[grouping.table + STAYS] = self._stays_table(grouping)
        if self.groupings and self.calendar is not None:
            found |= free_flow.tables(self.link, self.trip)
        if self.limited:
            found |= limits.tables(self.link, self.trip)
        return {name: table.named(name) for name, table in found.items()}

    def _fixes_table(self, grouping: Grouping) -> mr.Table:
        return mr.Table(
            key=(self.link, *grouping.parts),
            fixes=mr.Sum,
            trips=mr.Distinct(per=self.trip or "object"),
            total=mr.Sum,
            squares=mr.WideSum,
            speed=mr.Histogram(BUCKET_UM),
        )

    def _stays_table(self, grouping: Grouping) -> mr.Table:
        return mr.Table(
            key=(self.link, *grouping.parts),
            traversals=mr.Sum,
            total=mr.Sum,
            squares=mr.WideSum,
            timed=mr.Sum,
            duration_us=mr.Sum,
            **({"distance_mm": mr.Sum} if self.placed else {}),
            speed=mr.Histogram(BUCKET_UM),
        )

    def fold(self, fixes: Fixes) -> list[mr.Rows]:
        """Fold fixes into rows of all tables."""
        cells = self._cells(fixes)
        stays = None if self.stays is None else _stays_of(fixes, self.stays)
        rows: list[mr.Rows] = []
        for grouping in self.groupings:
            mine = [cells[part] for part in grouping.parts]
            rows.append(self._fold_fixes(grouping, fixes, mine))
            if stays is not None:
                rows.append(self._fold_stays(grouping, fixes, mine, stays))
        if self.groupings and self.calendar is not None:
            rows += free_flow.fold(self.tables, fixes, stays, cells["week_hour"])
        if self.limited:
            rows += limits.fold(self.tables, fixes)
        return rows

    def _cells(self, fixes: Fixes) -> dict[str, Ints]:
        """Give the cells of each part that some grouping has, -1 where there is none."""
        wanted = dict.fromkeys(part for one in self.groupings for part in one.parts)
        found: dict[str, Ints] = {}
        if wanted.pop(DIRECTION, 1) is None:
            found[DIRECTION] = np.zeros(len(fixes.link), np.int64)
            if fixes.direction is not None:
                found[DIRECTION] = fixes.direction
        if self.calendar is None or fixes.time_us is None or fixes.timed is None:
            return found
        at = self.calendar.at(fixes.time_us, fixes.timed)
        return found | {part: at.cells(part) for part in ("week_hour", *wanted)}

    def _fold_fixes(self, grouping: Grouping, fixes: Fixes, cells: list[Ints]) -> mr.Rows:
        rows = _with_cells(cells)
        v = fixes.speed_um[rows]
        return self.tables[grouping.table].fold(
            fixes.link[rows],
            *(one[rows] for one in cells),
            fixes=1,
            total=v,
            squares=v * v,
            speed=v,
            **fixes.trips_at(rows),
        )

    def _fold_stays(
        self, grouping: Grouping, fixes: Fixes, cells: list[Ints], stays: Traversals
    ) -> mr.Rows:
        at = [one[stays.first] for one in cells]
        rows = _with_cells(at)
        v = stays.speed_um[rows]
        return self.tables[grouping.table + STAYS].fold(
            fixes.link[stays.first][rows],
            *(one[rows] for one in at),
            traversals=1,
            total=v,
            squares=v * v,
            speed=v,
            **{name: column[rows] for name, column in self._passed(fixes, stays).items()},
        )

    def _passed(self, fixes: Fixes, stays: Traversals) -> dict[str, mr.Array]:
        """Give the time and the way of traversals that have times: columns of their tables."""
        if stays.duration_us is None or fixes.timed is None:
            names = ("timed", "duration_us", *(("distance_mm",) if self.placed else ()))
            return dict.fromkeys(names, np.zeros(len(stays), np.int64))
        timed = fixes.timed[stays.first]
        passed = {"timed": timed.astype(np.int64), "duration_us": stays.duration_us}
        if self.placed and fixes.latitude is not None and fixes.longitude is not None:
            # Those without a time are not of the traversal, whose way leads past them.
            lat = np.where(fixes.timed, fixes.latitude, np.nan)
            passed["distance_mm"] = np.where(timed, stays.distance_mm(lat, fixes.longitude), 0)
        return passed

    def finish(self, merged: Mapping[str, mr.Columns]) -> dict[str, dict[str, mr.Array]]:
        """Turn merged tables into columns to write: table name -> column name -> array.

        Speeds are in the unit of the fixes, `traversal_space_mean` is in metres a second.
        """
        found = {one.table: self._finished(one, merged) for one in self.groupings}
        if self.stays is not None:
            back_off(self.groupings, found)
        if self.groupings and self.calendar is not None:
            found["free_flow"] = free_flow.finish(merged)
        if self.limited:
            found["limits"] = limits.finish(merged)
        return found

    def _finished(
        self, grouping: Grouping, merged: Mapping[str, mr.Columns]
    ) -> dict[str, mr.Array]:
        """Give the columns of a grouping's table."""
        t = merged[grouping.table]
        keys = {name: getattr(t, name) for name in ("link", *grouping.parts)}
        columns = {**keys, "fixes": t.fixes, "trips": t.trips, **_moments(t, t.fixes)}
        columns |= {f"p{p}": getattr(t, f"speed_p{p}") / MICRO for p in PERCENTILES}
        if self.stays is None:
            return columns
        s = merged[grouping.table + STAYS]
        rows = rows_of(tuple(keys.values()), tuple(getattr(s, name) for name in keys))
        n = np.zeros(len(t.fixes), np.int64)
        n[rows] = s.traversals
        columns["traversals"] = n
        for name, column in _moments(s, s.traversals).items():
            columns[f"traversal_{name}"] = _spread(column, rows, len(n))
        if self.calendar is not None:
            seconds = np.full(len(s.timed), np.nan)
            np.divide(s.duration_us, s.timed * US_A_SECOND, out=seconds, where=s.timed > 0)
            columns["traversal_seconds"] = _spread(seconds, rows, len(n))
        if self.placed:
            metres_a_second = np.full(len(s.timed), np.nan)
            way = s.distance_mm * (US_A_SECOND // MM)
            np.divide(way, s.duration_us, out=metres_a_second, where=s.duration_us > 0)
            columns["traversal_space_mean"] = _spread(metres_a_second, rows, len(n))
        for p in PERCENTILES:
            column = getattr(s, f"speed_p{p}") / MICRO
            columns[f"traversal_p{p}"] = _spread(column, rows, len(n))
        return columns


def _stays_of(fixes: Fixes, stays: Stays) -> Traversals:
    """Find the traversals of fixes with a time; of trips in which none has one, of all in order."""
    rule = stays.max_gap_us, stays.standing_um
    if fixes.time_us is None or fixes.timed is None or not fixes.timed.any():
        return traversals(fixes.trip, fixes.link, fixes.speed_um, None, *rule)
    rows = np.flatnonzero(_in_stays(fixes.timed, fixes.trip))
    trip = None if fixes.trip is None else fixes.trip[rows]
    link, time_us = fixes.link[rows], fixes.time_us[rows]
    found = traversals(trip, link, fixes.speed_um[rows], time_us, *rule)
    return replace(found, first=rows[found.first], last=rows[found.last])


def _in_stays(timed: mr.Array, trip: mr.Array | None) -> mr.Array:
    """Say which fixes traversals are of: bool[n]."""
    if trip is None or timed.all():
        return timed
    starts = np.flatnonzero(np.append(True, trip[1:] != trip[:-1]))
    has_times = np.logical_or.reduceat(timed, starts)
    return np.asarray(timed | ~np.repeat(has_times, np.diff(starts, append=len(trip))))


def _with_cells(cells: list[Ints]) -> mr.Array | slice:
    """Say which rows have all cells."""
    good: mr.Array | None = None
    for one in cells:
        if len(one) and one.min() < 0:
            good = one >= 0 if good is None else good & (one >= 0)
    return slice(None) if good is None else good


def _moments(t: mr.Columns, count: Ints) -> dict[str, Floats]:
    high, low = t.limbs("squares")
    return {"mean": mean(t.total, count), "std": deviation(t.total, high, low, count)}


def _spread(values: Floats, rows: mr.Array, n: int) -> Floats:
    """Put values into rows of a longer column, NaN elsewhere."""
    column = np.full(n, np.nan)
    column[rows] = values
    return column
