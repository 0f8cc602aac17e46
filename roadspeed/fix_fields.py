"""How the fixes of trips are read: formats, paths, types and units; nothing is computed here."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any, Final, Literal, cast

import numpy as np

import mapreduce as mr
from roadspeed.trip import DEFAULT_MAX_SPEED, DEFAULT_SPEED_UNIT, FORMATS, PATHS, SPEED_UNITS

TAB: Final = "\t"
FLAT: Final[dict[str, Any]] = {"json-lines": mr.JsonLines, "parquet": mr.Parquet, "gpx": mr.Gpx}
DOCUMENTS: Final[dict[str, Any]] = {"json": mr.Json, "json-columns": mr.JsonColumns}
LINK_TYPES: Final = ("int", "text", "float")
EPOCHS: Final = ("", "s", "ms")
ID_BYTES: Final = 64  # of a link's or trip's id that is text: a UUID has 36
TOP: Final = "/"  # begins a path from the document's top
MAX_SPEED: Final = 3_000.0  # above it the square of a micro-unit would not fit int64


class FixFields(mr.Job):
    """Base of the jobs over trips.

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
    time
        Path of a fix's time; "": fixes have none. It is read where a grouping is wanted, and a fix
        without a readable one is in the tables without times alone.
    time_epoch
        "" for times in ISO 8601; "s" or "ms" for numbers of seconds or milliseconds since 1970.
    zone
        The compiled time zone whose clocks tell hours and days; None for UTC.
    speed_limit
        Path of the posted limit at a fix, in `unit`; "" for none.
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
    time: str = PATHS.time
    time_epoch: str = ""
    zone: mr.SideFile | None = None
    speed_limit: str = ""
    latitude: str = PATHS.latitude
    longitude: str = PATHS.longitude

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
        try:
            self.records  # noqa: B018 - whether its paths can be read
        except mr.JobError as error:
            raise mr.UsageError(
                "--records-at, --link, --speed, --trip, --time, --direction, --heading,"
                f" --speed-limit, --delimiter, --decimal: {error}"
            ) from None

    @cached_property
    def time_zone(self) -> mr.TimeZone | None:
        """The zone whose clocks count; None for UTC."""
        return None if self.zone is None else mr.TimeZone(self.zone.path)

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
        return {"link": self.link_field(), "speed": self.speed_field(), **self.trip_field()}

    def place_fields(self, *, optional: bool = False) -> dict[str, Any]:
        """Give the fields of a fix that say where it was."""
        text = self.text_numbers
        return {
            "latitude": mr.Float(self.latitude, optional, -90.0, 90.0, text, lenient=optional),
            "longitude": mr.Float(self.longitude, optional, -180.0, 180.0, text, lenient=optional),
        }

    def time_field(self) -> dict[str, Any]:
        """Give the field of the time: a fix is not dropped for it."""
        return {"time": mr.Time(self.time, optional=True, lenient=True, **self.clock)}

    @property
    def clock(self) -> dict[str, Any]:
        """How a time is read, beside its path."""
        epoch = cast('Literal["s", "ms"] | None', self.time_epoch or None)
        return {"epoch": epoch, "zone": self.time_zone}

    def limit_field(self) -> dict[str, Any]:
        """Give the field of the posted limit, if it is named."""
        if not self.speed_limit:
            return {}
        limit = mr.Float(self.speed_limit, True, 0.0, MAX_SPEED, self.text_numbers, lenient=True)
        return {"limit": limit}

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
