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
from roadspeed.fix_fields import ID_BYTES, FixFields
from roadspeed.measures.calendar import Calendar
from roadspeed.measures.courses import Courses
from roadspeed.measures.direction import directions, from_sign, headings
from roadspeed.measures.direction_words import from_words, parse_direction_values
from roadspeed.measures.fixes import Fixes
from roadspeed.measures.groupings import DIRECTION, PERIOD, Grouping, groupings_of
from roadspeed.measures.measures import Measures, Stays
from roadspeed.measures.periods import joined, parse_period
from roadspeed.measures.trip_ends import near_ends
from roadspeed.statistics import MICRO, deviation, half_width_95, mean, units

AT_END: Final = "trip_end"
SIGN, FIELD, HEADING, MOVES, MATCHED = "sign", "field", "heading", "moves", "matched"
TABULAR: Final = ("csv", "parquet")  # where a column that is not there is an error
WORD_BYTES: Final = 32  # of a word that says the direction
MOST_M: Final = 100_000.0


class Speeds(FixFields):
    """Fixes, trips and speeds of every link; how fixes are read is told by `FixFields`.

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
        In `unit`: what is slower stands, see `roadspeed.measures.traversals`.
    direction_from
        What tells which way a link was driven: `sign` of its id (with `signed`); `field`, the words
        at `direction`; `heading`, the degrees at `direction` against the courses of links; `moves`,
        the way from fix to fix against them; `matched`, the way along the road that positions were
        matched to. "": nothing does.
    direction
        Path of that field.
    direction_values
        What words at `direction` mean: see `roadspeed.measures.direction_words`.
    courses
        The lines of links, where headings or moves tell the direction.
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
    direction_from: str = ""
    direction: str = ""
    direction_values: str = ""
    courses: mr.SideFile | None = None
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
    def is_matched(self) -> bool:
        """Whether positions are matched to roads, so that no field holds the link."""
        return False

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
        return traversed or self.trip_ends > 0 or self.direction_from == MOVES

    @cached_property
    def measures(self) -> Measures:
        """What is told apart beside the link."""
        groupings = groupings_of(self.by)
        trip = self.links.behind.get("trips")
        stays = Stays(round(self.max_gap * positions.US_A_SECOND), round(self.standing * MICRO))
        return Measures(
            link=self.links.keys[0],
            trip=None if trip is None else trip.keys[-1],
            groupings=groupings,
            calendar=self._calendar() if self.by and self.time else None,
            stays=stays if self.traversals else None,
            limited=bool(self.speed_limit),
        )

    def _calendar(self) -> Calendar:
        """Give the calendar of hours and days."""
        periods = joined(map(parse_period, self.periods))
        return Calendar(self.time_zone, frozenset(self.holidays), periods)

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        super().__post_init__()
        if not self.max_gap > 0:
            raise mr.UsageError(f"--max-gap is above 0 seconds, got {self.max_gap:g}")
        if not 0 <= self.standing <= self.max_speed:
            raise mr.UsageError(
                f"--standing is 0 to --max-speed ({self.max_speed:g}), got {self.standing:g}"
            )
        if not 0 <= self.trip_ends <= MOST_M:
            raise mr.UsageError(f"--trip-ends is 0 to {MOST_M:g} metres, got {self.trip_ends:g}")
        self._check_direction()
        self._check_groupings(groupings_of(self.by))

    def _check_direction(self) -> None:
        """Refuse what cannot tell a direction."""
        known = (SIGN, FIELD, HEADING, MOVES, MATCHED)
        if self.direction_from not in ("", *known):
            raise mr.UsageError(
                f"--direction-from is one of {', '.join(known)}, got {self.direction_from!r}"
            )
        if self.direction_from == SIGN and not self.signed:
            raise mr.UsageError("--direction-from sign needs --signed-links")
        if self.direction_from == MATCHED and not self.is_matched:
            raise mr.UsageError("--direction-from matched needs --osm")
        if self.direction_from in {FIELD, HEADING} and not self.direction:
            raise mr.UsageError(f"--direction-from {self.direction_from} needs the path of a field")
        parse_direction_values(self.direction_values)

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
        return {**super().fields(), **times, **self.limit_field(), **self.way_fields()}

    def way_fields(self) -> dict[str, Any]:
        """Give the fields that tell the direction, and those of the position where that is used."""
        found = self.place_fields() if self.trip_ends or self.direction_from == MOVES else {}
        if self.direction_from == FIELD:
            word = mr.Text(self.direction, WORD_BYTES, optional=True, integers=True, lenient=True)
            return {**found, "direction": word}
        if self.direction_from == HEADING:
            places = {} if self.format in TABULAR else self.place_fields(optional=True)
            return {
                **places,
                **found,
                "direction": mr.Float(self.direction, optional=True, lenient=True),
            }
        return found

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

    @cached_property
    def _courses(self) -> Courses:
        """The courses of links, read once in this process."""
        if self.courses is None:
            raise mr.JobError(f"direction_from={self.direction_from!r} needs courses: a side file")
        return Courses.read(self.courses.path)

    @cached_property
    def _words(self) -> dict[str, int]:
        return parse_direction_values(self.direction_values)

    def direction_of(self, r: mr.Records, link: mr.Array) -> mr.Array | None:
        """Tell which way links were driven: cells of `direction`, int64[n]; None if none is asked.

        Fixes are in the order in which they were driven.
        """
        if self.direction_from == SIGN:
            return from_sign(link)
        if self.direction_from == FIELD:
            return from_words(r.direction, self._words)
        if self.direction_from == HEADING:
            place = () if self.format in TABULAR else (r.latitude, r.longitude)
            return directions(self._courses, link, r.direction, *place)
        if self.direction_from == MOVES:
            course = headings(self.trip_of(r), r.latitude, r.longitude, self._after_gap(r))
            return directions(self._courses, link, course, r.latitude, r.longitude)
        return None

    def _after_gap(self, r: mr.Records) -> positions.Mask | None:
        if not self.has_times:
            return None
        return np.diff(r.time, prepend=r.time[:1]) > self.max_gap * positions.US_A_SECOND

    def folded(
        self, r: mr.Records, link: mr.Array, speed: mr.Array, direction: mr.Array | None = None
    ) -> list[mr.Rows]:
        """Fold fixes on links with speeds, float64[n] in `unit`, and cells of `direction`."""
        v = mr.scaled(speed, MICRO)
        if direction is None and self.direction_from:
            direction = self.direction_of(r, link)
        link = np.abs(link) if self.signed else link
        trip = self.trip_of(r)
        names = {} if trip is None else {"trip": trip}
        rows = self.links.fold(link, fixes=1, total=v, squares=v * v, lowest=v, highest=v, **names)
        if not self.measures.tables:
            return [rows]
        fixes = Fixes(link, v, trip, direction=direction, **self._times(r), **self._limits(r))
        return [rows, *self.measures.fold(fixes)]

    def _times(self, r: mr.Records) -> dict[str, Any]:
        return {"time_us": r.time, "timed": r.has("time")} if self.has_times else {}

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
        return {"links": links, **self.measures.finish(merged)}

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
    """Give fixes by trip and time, as far as they have one."""
    time = r.time
    if trip is None and (len(time) == 0 or bool((time[1:] >= time[:-1]).all())):
        return r
    return r.ordered(positions.in_order(trip, time))
