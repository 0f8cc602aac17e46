"""Options that say what trips look like and what a map shows, each declared once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from mapreduce.commands.options import option
from mapreduce.errors import UsageError
from roadspeed.trip import DEFAULT_MAX_SPEED, DEFAULT_SPEED_UNIT, PATHS

if TYPE_CHECKING:
    from roadspeed.maps.picture import Picture
    from roadspeed.run import RoadSource
    from roadspeed.speeds import Speeds

TRIPS = "What the trips look like"
MAP = "The map"
ROADS = "Geometry"
BBOX_NUMBERS = 4
CENTRE_NUMBERS = 2

SourceArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A folder of trips, or s3://bucket/prefix")
]
TripCount: TypeAlias = Annotated[int, option("--trips", "How many trips.")]


@dataclass(frozen=True, slots=True)
class RoadOptions:
    """Where the geometry comes from, and what is called how there."""

    roads: Annotated[
        str | None,
        option("--roads", "File of roads, or postgresql://host/db?table=&id=&geom=", ROADS),
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
        str | None, option("--roads-crs", "Coordinates' system, if not said: EPSG:27700.", ROADS)
    ] = None

    def source(self) -> RoadSource | None:
        """Give the roads that are meant, if any.

        Raises
        ------
        UsageError
            Where it is said how they are to be read, and not which.
        """
        from roadspeed.roads import Named
        from roadspeed.run import RoadSource

        if self.roads is None:
            self._refuse_names()
            return None
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
                raise UsageError(f"{given} says how roads are read: it needs --roads")


@dataclass(frozen=True, slots=True)
class TripOptions:
    """What the trips look like."""

    unit: Annotated[
        str, option("--unit", "Unit of speed in the trips: km/h, mph, m/s or knots.", TRIPS)
    ] = DEFAULT_SPEED_UNIT
    max_speed: Annotated[
        float, option("--max-speed", "Faster fixes, in --unit, are dropped and counted.", TRIPS)
    ] = DEFAULT_MAX_SPEED
    records_at: Annotated[
        str, option("--records-at", r"Path of the fixes; a dot within a key is \.", TRIPS)
    ] = PATHS.data
    link: Annotated[
        str, option("--link", "Path of the link id in a fix; in CSV a column.", TRIPS)
    ] = PATHS.link
    speed: Annotated[
        str, option("--speed", "Path of the speed in a fix; in CSV a column.", TRIPS)
    ] = PATHS.speed
    no_link: Annotated[
        str | None, option("--no-link", "Ids that mean that there is none: 0,-1.", TRIPS)
    ] = None
    format_: Annotated[
        str,
        option(
            "--format",
            "Of an object: json, json-lines (a fix a line), json-documents (a trip a line), csv or"
            " parquet.",
            TRIPS,
        ),
    ] = "json"
    delimiter: Annotated[
        str, option("--delimiter", 'Between columns of CSV: ",", ";", "|" or tab.', TRIPS)
    ] = ","
    decimal: Annotated[
        str, option("--decimal", 'Decimal sign in numbers of CSV: "." or ",".', TRIPS)
    ] = "."

    def job(self) -> Speeds:
        """Give the job that reads them.

        Raises
        ------
        UsageError
            Where a value means nothing.
        """
        from roadspeed.speeds import Speeds

        return Speeds(
            unit=self.unit,
            max_speed=self.max_speed,
            records_at=self.records_at,
            link=self.link,
            speed=self.speed,
            no_link=_ids(self.no_link),
            format=self.format_,
            delimiter=self.delimiter,
            decimal=self.decimal,
        )


def _ids(text: str | None) -> tuple[int, ...]:
    try:
        return () if text is None else tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise UsageError(f"--no-link takes ids such as 0,-1, got {text!r}") from None


Draw: TypeAlias = Annotated[bool, option("--map/--no-map", "Draw map.png.", MAP)]
Context: TypeAlias = Annotated[
    bool, option("--context", "Draw roads without data faintly beneath.", MAP)
]


@dataclass(frozen=True, slots=True)
class MapOptions:
    """What a map shows."""

    background: Annotated[str, option("--background", "dark, light or none.", MAP)] = "dark"
    measure: Annotated[str, option("--measure", "speed; or coverage: trips, fixes.", MAP)] = "speed"
    width: Annotated[int, option("--width", "Pixels.", MAP)] = 2400
    bbox: Annotated[
        str | None,
        option("--bbox", "WEST,SOUTH,EAST,NORTH; WEST above EAST: across 180 degrees.", MAP),
    ] = None
    centre: Annotated[str | None, option("--centre", "LON,LAT, with --scale.", MAP)] = None
    scale: Annotated[int | None, option("--scale", "N of 1:N on paper.", MAP)] = None
    min_fixes: Annotated[
        int, option("--min-fixes", "Links with fewer are thin and grey, in QGIS too.", MAP)
    ] = 5
    title: Annotated[str, option("--title", "The place, for the legend.", MAP)] = ""
    attribution: Annotated[
        str, option("--attribution", "Whom to credit for the roads, in all files.", MAP)
    ] = ""

    def picture(self) -> Picture:
        """Give the picture that is asked for.

        Raises
        ------
        UsageError
            Where it cannot be meant.
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
        raise UsageError(f"{name} takes {count} numbers with commas between, got {text!r}")
    return found
