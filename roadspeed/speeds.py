"""The job: how fast each road link is driven.

For each link: fixes, distinct trips, and the sum, sum of squares, minimum and maximum of the
speed in whole micro-units of the input's unit. A fix counts where link and speed are both present
(the rule of 2019). Fixes come at equal time intervals, so the mean over them estimates the
space-mean speed of the link; a mean over traversals would be another thing.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np

import mapreduce as mr
from mapreduce import Distinct, Max, Min, Sum, WideSum
from roadspeed import positions
from roadspeed.directed_fixes import MOVES, DirectedFixes
from roadspeed.fix_fields import ID_BYTES
from roadspeed.measures.calendar import Calendar
from roadspeed.measures.driving_order import driving_order
from roadspeed.measures.fixes import Fixes
from roadspeed.measures.groupings import DIRECTION, PERIOD, Grouping, groupings_of
from roadspeed.measures.measures import Measures, Stays
from roadspeed.measures.periods import joined, parse_period
from roadspeed.measures.trip_ends import near_ends
from roadspeed.statistics import MICRO, deviation, half_width_95, mean, units
from roadspeed.trip import speed_in

SPACE_MEAN: Final = "traversal_space_mean"
AT_END: Final = "trip_end"
MOST_M: Final = 100_000.0
MOST_KMH: Final = 100.0


class Speeds(DirectedFixes):
    """Fixes, trips and speeds of every link; how fixes are read is told by its bases.

    Parameters
    ----------
    by
        Groupings that have tables of their own: see `roadspeed.measures.groupings`.
    periods
        As `roadspeed.measures.periods` reads them.
    holidays
        Days since 1970-01-01.
    traversals
        Whether tables of groupings have traversals too: it takes all fixes of a trip in order, so
        objects are not divided.
    max_gap
        Seconds. A fix that comes later than this after the one before begins another traversal.
    standing
        In km/h: what is slower stands, see `roadspeed.measures.traversals`.
    trip_ends
        Metres: fixes so near to the first or last position of their trip are dropped, as
        `trip_end`. 0: none are.
    """

    by: tuple[str, ...] = ()
    periods: tuple[str, ...] = ()
    holidays: tuple[int, ...] = ()
    traversals: bool = True
    max_gap: float = 60.0
    standing: float = 1.0
    trip_ends: float = 0.0

    @cached_property
    def links(self) -> mr.Table:
        """A row a link, whose id is of the type that was asked for."""
        trip_bytes = (ID_BYTES + 1) * (self.trip.count(",") + 1) - 1
        return mr.Table(
            key=mr.Key("link", ID_BYTES if self.link_type == "text" else 0),
            fixes=Sum,
            trips=Distinct(per=mr.Key("trip", trip_bytes) if self.trip else "object"),
            total=Sum,
            squares=WideSum,
            lowest=Min,
            highest=Max,
        ).named("links")

    @property
    def is_stepped(self) -> bool:
        """Whether speeds are from positions and times, so that no field holds them."""
        return False

    def tables(self) -> dict[str, mr.Table]:
        """Give the table of links, and those of the groupings."""
        return {"links": self.links, **self.measures.tables}

    @property
    def whole_objects(self) -> bool:  # type: ignore[override] # it depends on the parameters
        """Whether `map` needs all fixes of an object at once."""
        traversed = bool(self.by) and self.traversals
        return traversed or self.trip_ends > 0 or self.holds_direction

    @cached_property
    def measures(self) -> Measures:
        """What is told apart beside the link."""
        groupings = groupings_of(self.by)
        trip = self.links.behind.get("trips")
        standing = self.standing * speed_in("km/h", self.unit)
        stays = Stays(round(self.max_gap * positions.US_A_SECOND), round(standing * MICRO))
        return Measures(
            link=self.links.keys[0],
            trip=None if trip is None else trip.keys[-1],
            groupings=groupings,
            calendar=self._calendar() if self.by and self.time else None,
            stays=stays if self.by and self.traversals else None,
            limited=bool(self.speed_limit),
            placed=self.has_positions and self.has_times,
        )

    @property
    def has_positions(self) -> bool:
        """Whether each fix has a position."""
        return self.trip_ends > 0 or self.direction_from == MOVES

    def _calendar(self) -> Calendar:
        """Give the calendar of hours and days."""
        periods = joined(map(parse_period, self.periods))
        return Calendar(self.time_zone, frozenset(self.holidays), periods)

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        super().__post_init__()
        if not self.max_gap > 0:
            raise mr.UsageError(f"--max-gap is above 0 seconds, got {self.max_gap:g}")
        if not 0 <= self.standing <= MOST_KMH:
            raise mr.UsageError(f"--standing is 0 to {MOST_KMH:g} km/h, got {self.standing:g}")
        if not 0 <= self.trip_ends <= MOST_M:
            raise mr.UsageError(f"--trip-ends is 0 to {MOST_M:g} metres, got {self.trip_ends:g}")
        self._check_groupings(groupings_of(self.by))

    def _check_groupings(self, groupings: tuple[Grouping, ...]) -> None:
        """Refuse groupings that these fixes cannot have."""
        for one in groupings:
            if one.times and not self.time:
                raise mr.UsageError(f"--by {one.name} needs the time of a fix: --time PATH")
            if DIRECTION in one.parts and not self.direction_from:
                raise mr.UsageError(
                    f"--by {one.name} needs what tells the direction: --signed-links, --direction"
                    " PATH, --heading PATH, --direction-from moves, or --osm; see docs/direction.md"
                )
        has_periods = any(PERIOD in one.parts for one in groupings)
        if has_periods != bool(self.periods):
            raise mr.UsageError(
                "--by period and --period go together: --by period --period"
                ' "morning=Mon-Fri 07:00-10:00"'
            )

    @property
    def period_names(self) -> tuple[str, ...]:
        """The names of the cells of `period`."""
        return tuple(period.name for period in joined(map(parse_period, self.periods)))

    @property
    def has_times(self) -> bool:
        """Whether the times of fixes are read."""
        return bool(self.time) and (bool(self.by) or self.whole_objects)

    def fields(self) -> dict[str, Any]:
        """Give the fields of a fix."""
        times = self.time_field() if self.has_times else {}
        places = self.place_fields() if self.trip_ends else {}
        return {**super().fields(), **times, **places, **self.limit_field()}

    def map(self, r: mr.Records) -> list[mr.Rows]:
        """Fold fixes: `r.link` int64[n] or S64[n], `r.speed` float64[n] in `unit`."""
        if self.whole_objects and self.has_times:
            r = in_order(r, self.trip_of(r))
        if self.trip_ends:
            r = r.without(self.at_end(r), AT_END)
        return self.folded(r, r.link, r.speed)

    def at_end(self, r: mr.Records) -> positions.Mask:
        """Say which fixes, in the order of their trips, are at an end of theirs."""
        return near_ends(self.trip_of(r), r.latitude, r.longitude, self.trip_ends)

    def folded(
        self, r: mr.Records, link: mr.Array, speed: mr.Array, direction: mr.Array | None = None
    ) -> list[mr.Rows]:
        """Fold fixes on links with speeds, float64[n] in `unit`, and cells of `direction`."""
        v = mr.scaled(speed, MICRO)
        if direction is None and self.direction_from:
            direction = self.direction_of(r, link, speed, self._after_gap(r))
        link = np.abs(link) if self.signed else link
        trip = self.trip_of(r)
        names = {} if trip is None else {"trip": trip}
        rows = self.links.fold(link, fixes=1, total=v, squares=v * v, lowest=v, highest=v, **names)
        if not self.measures.tables:
            return [rows]
        told = {**self._times(r), **self._limits(r), **self._places(r)}
        fixes = Fixes(link, v, trip, direction=direction, **told)
        return [rows, *self.measures.fold(fixes)]

    def _after_gap(self, r: mr.Records) -> positions.Mask | None:
        if not self.has_times:
            return None
        return np.asarray(
            np.diff(r.time, prepend=r.time[:1]) > self.max_gap * positions.US_A_SECOND
        )

    def _times(self, r: mr.Records) -> dict[str, Any]:
        return {"time_us": r.time, "timed": r.has("time")} if self.has_times else {}

    def _places(self, r: mr.Records) -> dict[str, Any]:
        return {"latitude": r.latitude, "longitude": r.longitude} if self.has_positions else {}

    def _limits(self, r: mr.Records) -> dict[str, Any]:
        if not self.speed_limit:
            return {}
        good = r.has("limit") & (r.limit > 0)
        return {"limit_um": mr.scaled(np.where(good, r.limit, 0.0), MICRO), "limited": good}

    def finish(self, *tables: mr.Columns) -> dict[str, Any]:
        """Statistics of each link, speeds in `unit`, and the tables of the groupings."""
        links = self._finished(tables[0])
        if not self.measures.tables:
            return links
        merged = dict(zip(self.tables(), tables, strict=True))
        measured = self.measures.finish(merged)
        for columns in measured.values():
            if SPACE_MEAN in columns:
                columns[SPACE_MEAN] = columns[SPACE_MEAN] * speed_in("m/s", self.unit)
        return {"links": links, **measured}

    def _finished(self, t: mr.Columns) -> dict[str, mr.Array]:
        """Give the columns of the links; see `roadspeed.statistics`."""
        high, low = t.limbs("squares")
        std = deviation(t.total, high, low, t.fixes)
        return {
            "link": t.link,
            "fixes": t.fixes,
            "trips": t.trips,
            "mean": mean(t.total, t.fixes),
            "std": std,
            "ci95": half_width_95(std, t.fixes),
            "min": units(t.lowest),
            "max": units(t.highest),
        }


def in_order(r: mr.Records, trip: mr.Array | None) -> mr.Records:
    """Give fixes in the order in which they were driven."""
    time, timed = r.time, r.has("time")
    ascends = trip is None and bool(timed.all() and (time[1:] >= time[:-1]).all())
    return r if ascends else r.ordered(driving_order(trip, time, timed))
