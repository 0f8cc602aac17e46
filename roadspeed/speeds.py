"""The job: how fast each road link is driven.

For each link: fixes, distinct trips, and the sum, sum of squares, minimum and maximum of the
speed in whole micro-units of the input's unit. A fix counts where link and speed are both present
(the rule of 2019). Fixes come at equal time intervals, so the mean over them estimates the
space-mean speed of the link; a mean over traversals would be another thing.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any, Final, Literal, cast

import numpy as np

import mapreduce as mr
from mapreduce import Distinct, Max, Min, Sum, WideSum
from roadspeed import positions
from roadspeed.measures.calendar import Calendar
from roadspeed.measures.groupings import DIRECTION, PERIOD, Grouping, groupings_of
from roadspeed.measures.measures import Fixes, Measures, Stays
from roadspeed.measures.periods import joined, parse_period
from roadspeed.measures.trip_ends import near_ends
from roadspeed.statistics import MICRO, deviation, half_width_95, mean, units
from roadspeed.trip import DEFAULT_MAX_SPEED, DEFAULT_SPEED_UNIT, FORMATS, PATHS, SPEED_UNITS

TAB: Final = "\t"
FLAT: Final[dict[str, Any]] = {"json-lines": mr.JsonLines, "parquet": mr.Parquet, "gpx": mr.Gpx}
DOCUMENTS: Final[dict[str, Any]] = {"json": mr.Json, "json-columns": mr.JsonColumns}
LINK_TYPES: Final = ("int", "text", "float")
ID_BYTES: Final = 64  # of a link's or trip's id that is text: a UUID has 36
TOP: Final = "/"  # begins a path from the document's top
AT_END: Final = "trip_end"
EPOCHS: Final = ("", "s", "ms")
FORWARD, BACKWARD = 1, 2  # cells of `direction`
MOST_M: Final = 100_000.0
MAX_SPEED: Final = 3_000.0  # above it the square of a micro-unit would not fit int64


class Speeds(mr.Job):
    """Fixes, trips and speeds of every link.

    Parameters
    ----------
    unit
        Of the speed in the documents: km/h, mph, m/s or knots. Outputs are in the same unit.
    max_speed
        Faster fixes are dropped as `speed_out_of_range`, as negative ones are.
    records_at, link, speed
        Dotted paths of the list of fixes, of the link id in a fix, and of its speed. In CSV the
        names of columns as they stand.
    no_link
        Ids that say that there is none, such as 0 or -1: such a fix is dropped as `no_link`.
    link_type
        `int`: integers, or text that holds them; `float`: integral floats too, below 2**53;
        `text`: text of up to 64 bytes, or integers as their digits.
    text_numbers
        Whether a speed may be a number as text: "43.2".
    signed
        Whether the sign of an id only says which way the link was driven: -7 is link 7.
    trip
        Path of the trip's id (text or integer), by which trips are counted; one that begins with
        `/` leads from the document's top. Several paths, with commas between them, are one id
        together: a vehicle and the number of its trip. "": each object is a trip.
    format
        Of an object: `json`, a document with a list of fixes; `json-lines`, a fix a line;
        `json-documents`, such a document a line; `json-columns`, a document with a list a field;
        `csv`; `parquet`; `gpx`, whose points of tracks are fixes.
    delimiter, decimal
        Of CSV: between columns, and in a number.
    columns
        Of CSV: their names, where the first line does not give them.
    by
        Groupings that have tables of their own: see `roadspeed.measures.groupings`.
    time
        Path of a fix's time; "": fixes have none. It is read where a grouping is wanted, and a fix
        without a readable one is in the tables without times alone.
    time_epoch
        "" for times in ISO 8601; "s" or "ms" for numbers of seconds or milliseconds since 1970.
    zone
        The compiled time zone whose clocks tell hours and days; None for UTC.
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
    limit
        Path of the posted limit at a fix, in `unit`; "" for none.
    trip_ends
        Metres: fixes so near to the first or last position of their trip are dropped, as
        `trip_end`. 0: none are.
    latitude, longitude
        Paths of a fix's position (degrees, WGS 84), where that is of use.
    """

    unit: str = DEFAULT_SPEED_UNIT
    max_speed: float = DEFAULT_MAX_SPEED
    records_at: str = PATHS.data
    link: str = PATHS.link
    speed: str = PATHS.speed
    no_link: tuple[str, ...] = ()
    link_type: str = "int"
    signed: bool = False
    text_numbers: bool = False
    trip: str = ""
    format: str = "json"
    delimiter: str = ","
    decimal: str = "."
    columns: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    time: str = PATHS.time
    time_epoch: str = ""
    zone: mr.SideFile | None = None
    periods: tuple[str, ...] = ()
    holidays: tuple[int, ...] = ()
    traversals: bool = True
    max_gap: float = 60.0
    standing: float = 1.0
    limit: str = ""
    trip_ends: float = 0.0
    latitude: str = PATHS.latitude
    longitude: str = PATHS.longitude

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
        return (bool(self.by) and self.traversals) or self.trip_ends > 0

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
            limited=bool(self.limit),
        )

    @cached_property
    def _zone(self) -> mr.TimeZone | None:
        return None if self.zone is None else mr.TimeZone(self.zone.path)

    def _calendar(self) -> Calendar:
        """Give the calendar of hours and days."""
        periods = joined(map(parse_period, self.periods))
        return Calendar(self._zone, frozenset(self.holidays), periods)

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        if self.unit not in SPEED_UNITS:
            raise mr.UsageError(f"--unit is one of {', '.join(SPEED_UNITS)}, got {self.unit!r}")
        if not 0 < self.max_speed <= MAX_SPEED:
            raise mr.UsageError(
                f"--max-speed is above 0 and at most {MAX_SPEED:g}, got {self.max_speed:g}"
            )
        if self.format not in FORMATS:
            raise mr.UsageError(f"--format is one of {', '.join(FORMATS)}, got {self.format!r}")
        if self.link_type not in LINK_TYPES:
            raise mr.UsageError(
                f"--link-type is one of {', '.join(LINK_TYPES)}, got {self.link_type!r}"
            )
        if self.signed and self.link_type == "text":
            raise mr.UsageError("--signed-links: ids that are text (--link-type text) have no sign")
        if self.time_epoch not in EPOCHS:
            raise mr.UsageError(f"--time-epoch is s or ms, got {self.time_epoch!r}")
        if not self.max_gap > 0:
            raise mr.UsageError(f"--max-gap is above 0 seconds, got {self.max_gap:g}")
        if not 0 <= self.standing <= self.max_speed:
            raise mr.UsageError(
                f"--standing is 0 to --max-speed ({self.max_speed:g}), got {self.standing:g}"
            )
        if not 0 <= self.trip_ends <= MOST_M:
            raise mr.UsageError(f"--trip-ends is 0 to {MOST_M:g} metres, got {self.trip_ends:g}")
        self._check_groupings(groupings_of(self.by))
        try:
            self.records  # noqa: B018 - whether its paths can be read
        except mr.JobError as error:
            raise mr.UsageError(
                f"--records-at, --link, --speed, --trip, --delimiter, --decimal: {error}"
            ) from None

    def _check_groupings(self, groupings: tuple[Grouping, ...]) -> None:
        """Refuse groupings that these fixes cannot have."""
        for one in groupings:
            if one.times and not self.time:
                raise mr.UsageError(f"--by {one.name} needs the time of a fix: --time PATH")
            if DIRECTION in one.parts and not self.tells_direction:
                raise mr.UsageError(
                    f"--by {one.name} needs a direction: --signed-links says that the sign of an id"
                    " tells it"
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
    def tells_direction(self) -> bool:
        """Whether it is known which way a link was driven."""
        return self.signed

    @property
    def records(self) -> mr.Format:
        """The fixes of a trip, or of many."""
        fields = self.fields()
        if self.format == "csv":
            delimiter = TAB if self.delimiter == "tab" else self.delimiter
            names = self.columns or None
            return mr.Csv(names=names, delimiter=delimiter, decimal=self.decimal, **fields)
        if self.format == "json-documents":
            return mr.JsonLines(records_at=self.records_at, **fields)
        form = FLAT.get(self.format) or partial(DOCUMENTS[self.format], at=self.records_at)
        made: mr.Format = form(**fields)
        return made

    def fields(self) -> dict[str, Any]:
        """Give the fields of a fix."""
        own = {"link": self.link_field(), "speed": self.speed_field(), **self.trip_field()}
        places = self.place_fields() if self.trip_ends else {}
        return {**own, **places, **self.time_field(), **self.limit_field()}

    def place_fields(self) -> dict[str, Any]:
        """Give the fields of a fix that say where it was."""
        text = self.text_numbers
        return {
            "latitude": mr.Float(self.latitude, low=-90.0, high=90.0, text=text),
            "longitude": mr.Float(self.longitude, low=-180.0, high=180.0, text=text),
        }

    def time_field(self) -> dict[str, Any]:
        """Give the field of the time, where it is of use: a fix is not dropped for it."""
        if not self.has_times:
            return {}
        return {"time": mr.Time(self.time, optional=True, lenient=True, **self.clock)}

    @property
    def has_times(self) -> bool:
        """Whether the times of fixes are read."""
        return bool(self.time) and (bool(self.by) or self.trip_ends > 0)

    @property
    def clock(self) -> dict[str, Any]:
        """How a time is read, beside its path."""
        epoch = cast('Literal["s", "ms"] | None', self.time_epoch or None)
        return {"epoch": epoch, "zone": self._zone}

    def limit_field(self) -> dict[str, Any]:
        """Give the field of the posted limit, if it is named."""
        if not self.limit:
            return {}
        return {"limit": mr.Float(self.limit, optional=True, text=self.text_numbers)}

    def speed_field(self) -> mr.Float:
        """Give the field of the speed, in `unit`."""
        return mr.Float(self.speed, low=0.0, high=self.max_speed, text=self.text_numbers)

    def trip_field(self) -> dict[str, Any]:
        """Give the fields of the trip's id, if any is named."""
        found: dict[str, Any] = {}
        for number, path in enumerate(self.trip.split(",") if self.trip else ()):
            part = mr.Text(path.removeprefix(TOP), ID_BYTES, integers=True)
            name = f"trip_{number + 1}" if number else "trip"
            found[name] = mr.Head(part) if path.startswith(TOP) else part
        return found

    def trip_of(self, r: mr.Records) -> mr.Array | None:
        """Give each fix's trip, None where each object is one: `S`[n]."""
        if not self.trip:
            return None
        trip = r.trip
        for number in range(2, self.trip.count(",") + 2):
            trip = np.strings.add(np.strings.add(trip, b"\t"), getattr(r, f"trip_{number}"))
        return trip

    def link_field(self, *, optional: bool = False) -> mr.Int | mr.Text:
        """Give the field of the link's id.

        Raises
        ------
        UsageError
            An id of `no_link` is none.
        """
        if self.link_type == "text":
            empty = ("", *self.no_link)
            return mr.Text(self.link, ID_BYTES, optional, null=empty, integers=True)
        try:
            none = tuple(map(int, self.no_link))
        except ValueError:
            raise mr.UsageError(
                f"--no-link takes ids such as 0,-1, got {','.join(self.no_link)!r}; ids that are"
                " text need --link-type text"
            ) from None
        return mr.Int(self.link, optional, null=none, floats=self.link_type == "float")

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
        if self.signed:
            direction = np.where(link < 0, BACKWARD, FORWARD)
            link = np.abs(link)
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
        if not self.limit:
            return {}
        good = r.has("limit") & (r.limit > 0) & (r.limit <= MAX_SPEED)
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
