"""The options for trips, roads and maps, each declared once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from mapreduce.commands.options import option
from mapreduce.errors import UsageError
from roadspeed.trip import DEFAULT_MAX_SPEED, DEFAULT_SPEED_UNIT, PATHS

if TYPE_CHECKING:
    from roadspeed.maps.picture import Picture
    from roadspeed.road_source import RoadSource

TRIPS = "What the trips look like"
MAP = "The map"
ROADS = "Geometry"
BBOX_NUMBERS = 4
CENTRE_NUMBERS = 2

SourceArgument: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A folder of trips, s3://bucket/prefix, or @keys.txt"),
]
TripCount: TypeAlias = Annotated[int, option("--trips", "Number of trips.")]


@dataclass(frozen=True, slots=True)
class RoadOptions:
    """Where the geometry comes from, and the names of its table and columns."""

    roads: Annotated[
        str | None,
        option(
            "--roads",
            "Roads file (s3:// and https:// too), or postgresql://host/db?table=&id=&geom=",
            ROADS,
        ),
    ] = None
    roads_table: Annotated[str | None, option("--roads-table", "Table or layer.", ROADS)] = None
    roads_id: Annotated[str | None, option("--roads-id", "Column of the link id.", ROADS)] = None
    roads_geometry: Annotated[
        str | None, option("--roads-geometry", "Column of the geometry.", ROADS)
    ] = None
    roads_class: Annotated[
        str | None, option("--roads-class", "Column of the road's class.", ROADS)
    ] = None
    roads_crs: Annotated[
        str | None,
        option("--roads-crs", "Coordinate system, as EPSG:27700; default: from the file.", ROADS),
    ] = None

    def source(self, default: str | None = None) -> RoadSource | None:
        """Return the source of the roads, or None without `--roads` and a default.

        Raises
        ------
        UsageError
            If another option for roads is given without `--roads`.
        """
        from roadspeed.road_source import RoadSource
        from roadspeed.roads import Named

        if self.roads is None:
            self._refuse_names()
            return None if default is None else RoadSource(default)
        named = Named(
            table=self.roads_table,
            id_column=self.roads_id,
            geometry_column=self.roads_geometry,
            class_column=self.roads_class,
            crs=self.roads_crs,
        )
        return RoadSource(self.roads, named)

    def _refuse_names(self) -> None:
        for name in (field.name for field in fields(self)):
            if getattr(self, name) is not None:
                given = f"--{name.replace('_', '-')}"
                raise UsageError(f"{given} needs --roads: it says how roads are read")


@dataclass(frozen=True, slots=True)
class TripOptions:
    """What the trips look like."""

    unit: Annotated[
        str, option("--unit", "Unit of speed in the trips: km/h, mph, m/s or knots.", TRIPS)
    ] = DEFAULT_SPEED_UNIT
    max_speed: Annotated[
        float, option("--max-speed", "Fixes above this speed (in --unit) are dropped.", TRIPS)
    ] = DEFAULT_MAX_SPEED
    records_at: Annotated[
        str,
        option(
            "--records-at",
            r"Path of the fixes: data, or trips[].points for lists in a list; write a dot in a key"
            r" as \.",
            TRIPS,
        ),
    ] = PATHS.data
    link: Annotated[
        str, option("--link", "Path of the link id in a fix; for CSV the column.", TRIPS)
    ] = PATHS.link
    speed: Annotated[
        str, option("--speed", "Path of the speed in a fix; for CSV the column.", TRIPS)
    ] = PATHS.speed
    no_link: Annotated[
        str | None, option("--no-link", "Ids that mean that there is none: 0,-1.", TRIPS)
    ] = None
    link_type: Annotated[
        str,
        option(
            "--link-type",
            "Link ids are int, text (up to 64 bytes), or float (12.0 is 12, below 2^53).",
            TRIPS,
        ),
    ] = "int"
    signed: Annotated[
        bool, option("--signed-links", "A minus only says the direction: -7 is link 7.", TRIPS)
    ] = False
    text_numbers: Annotated[
        bool, option("--text-numbers", 'Speeds and positions may be text: "43.2".', TRIPS)
    ] = False
    trip: Annotated[
        str,
        option(
            "--trip",
            "Path of the trip's id; /PATH from the document's top; several with commas. Default:"
            " each object is a trip.",
            TRIPS,
        ),
    ] = ""
    format_: Annotated[
        str,
        option(
            "--format",
            "Format of the objects: json, json-lines (one fix per line), json-documents (one trip"
            " per line), json-columns (one list per field), csv, parquet or gpx.",
            TRIPS,
        ),
    ] = "json"
    delimiter: Annotated[
        str, option("--delimiter", 'Column separator of CSV: ",", ";", "|" or tab.', TRIPS)
    ] = ","
    decimal: Annotated[str, option("--decimal", 'Decimal sign of CSV: "." or ",".', TRIPS)] = "."
    columns: Annotated[
        str | None,
        option(
            "--columns", "Names of the CSV's columns, if its first line is data: id,t,x,y.", TRIPS
        ),
    ] = None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the job that reads the trips."""
        return {
            "unit": self.unit,
            "max_speed": self.max_speed,
            "records_at": self.records_at,
            "link": self.link,
            "speed": self.speed,
            "no_link": () if self.no_link is None else tuple(sorted({*self.no_link.split(",")})),
            "link_type": self.link_type,
            "signed": self.signed,
            "text_numbers": self.text_numbers,
            "trip": self.trip,
            "format": self.format_,
            "delimiter": self.delimiter,
            "decimal": self.decimal,
            "columns": tuple(self.columns.split(",")) if self.columns else (),
        }


Draw: TypeAlias = Annotated[bool, option("--map/--no-map", "Draw map.png.", MAP)]
Context: TypeAlias = Annotated[
    bool, option("--context", "Also draw roads without data, faintly.", MAP)
]


@dataclass(frozen=True, slots=True)
class MapOptions:
    """What a map shows."""

    background: Annotated[str, option("--background", "Background: dark, light or none.", MAP)] = (
        "dark"
    )
    measure: Annotated[
        str, option("--measure", "What to show: speed, or coverage (trips or fixes).", MAP)
    ] = "speed"
    width: Annotated[int, option("--width", "Width in pixels.", MAP)] = 2400
    bbox: Annotated[
        str | None,
        option(
            "--bbox",
            "WEST,SOUTH,EAST,NORTH; if WEST is above EAST, the box crosses 180 degrees.",
            MAP,
        ),
    ] = None
    centre: Annotated[
        str | None, option("--centre", "LON,LAT of the centre; needs --scale.", MAP)
    ] = None
    scale: Annotated[int | None, option("--scale", "Scale on paper: N of 1:N.", MAP)] = None
    min_fixes: Annotated[
        int, option("--min-fixes", "Links with fewer fixes are thin and grey, also in QGIS.", MAP)
    ] = 5
    title: Annotated[str, option("--title", "Name of the place, for the legend.", MAP)] = ""
    attribution: Annotated[
        str, option("--attribution", "Credit for the roads, written into all files.", MAP)
    ] = ""

    def picture(self) -> Picture:
        """Return the picture to draw.

        Raises
        ------
        UsageError
            If the options are invalid or contradict each other.
        """
        from roadspeed.maps.picture import Picture

        asked = Picture(
            measure=self.measure,  # type: ignore[arg-type] # checked below
            background=self.background,  # type: ignore[arg-type] # checked below
            width_px=self.width,
            bbox=_numbers(self.bbox, "--bbox", BBOX_NUMBERS),
            centre=_numbers(self.centre, "--centre", CENTRE_NUMBERS),
            scale=self.scale,
            min_fixes=self.min_fixes,
            title=self.title,
            attribution=self.attribution,
        )
        asked.check()
        return asked


def _numbers(text: str | None, name: str, count: int) -> Any:
    """Turn `1,2,3,4` into numbers."""
    if text is None:
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != count:
        raise UsageError(f"{name} takes {count} numbers separated by commas, got {text!r}")
    return found
