"""Options that say what trips look like and what a map shows, declared once for every command."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from mapreduce.commands import options as given
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


def option(name: str, text: str, panel: str | None = None) -> Any:
    """Give an option with its help, in a panel of the help."""
    return typer.Option(name, help=text, rich_help_panel=panel)


TripsSource: TypeAlias = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A folder of trips, or s3://bucket/prefix")
]
Out: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--out",
        help="Folder for speeds, map and receipt.",
        parser=given.folder,
        metavar="<path>",
    ),
]
TownOut: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--out",
        help="Folder for roads.geojson and trips/.",
        parser=given.folder,
        metavar="<path>",
    ),
]
Roads: TypeAlias = Annotated[
    str | None,
    option("--roads", "File of roads, or postgresql://host/db?table=&id=&geom=", ROADS),
]
RoadsTable: TypeAlias = Annotated[str | None, option("--roads-table", "Table or layer.", ROADS)]
RoadsId: TypeAlias = Annotated[str | None, option("--roads-id", "Column of the link id.", ROADS)]
RoadsGeometry: TypeAlias = Annotated[
    str | None, option("--roads-geometry", "Column of the geometry.", ROADS)
]
RoadsClass: TypeAlias = Annotated[
    str | None, option("--roads-class", "Column of the road's class.", ROADS)
]
RoadsCrs: TypeAlias = Annotated[
    str | None, option("--roads-crs", "Coordinates' system, if not said: EPSG:27700.", ROADS)
]
Unit: TypeAlias = Annotated[
    str, option("--unit", "Unit of speed in the trips: km/h, mph or m/s.", TRIPS)
]
MaxSpeed: TypeAlias = Annotated[
    float, option("--max-speed", "Faster fixes, in --unit, are dropped and counted.", TRIPS)
]
RecordsAt: TypeAlias = Annotated[
    str, option("--records-at", r"Path of the fixes; a dot within a key is \.", TRIPS)
]
Link: TypeAlias = Annotated[str, option("--link", "Path of the link id in a fix.", TRIPS)]
Speed: TypeAlias = Annotated[str, option("--speed", "Path of the speed in a fix.", TRIPS)]
Draw: TypeAlias = Annotated[bool, option("--map/--no-map", "Draw map.png.", MAP)]
Context: TypeAlias = Annotated[
    bool, option("--context", "Draw roads without data faintly beneath.", MAP)
]
Background: TypeAlias = Annotated[str, option("--background", "dark, light or none.", MAP)]
Measure: TypeAlias = Annotated[
    str, option("--measure", "speed; or coverage: trips, fixes.", MAP)
]  # fmt: skip
Width: TypeAlias = Annotated[int, option("--width", "Pixels.", MAP)]
Bbox: TypeAlias = Annotated[
    str | None,
    option("--bbox", "WEST,SOUTH,EAST,NORTH; WEST above EAST: across 180 degrees.", MAP),
]
Centre: TypeAlias = Annotated[str | None, option("--centre", "LON,LAT, with --scale.", MAP)]
Scale: TypeAlias = Annotated[int | None, option("--scale", "N of 1:N on paper.", MAP)]
MinFixes: TypeAlias = Annotated[
    int, option("--min-fixes", "Links with fewer are thin and grey, in QGIS too.", MAP)
]
Title: TypeAlias = Annotated[str, option("--title", "The place, for the legend.", MAP)]
Attribution: TypeAlias = Annotated[
    str, option("--attribution", "Whom to credit for the roads, in all files.", MAP)
]


@dataclass(frozen=True, slots=True)
class TripOptions:
    """What the trips look like."""

    unit: Unit = DEFAULT_SPEED_UNIT
    max_speed: MaxSpeed = DEFAULT_MAX_SPEED
    records_at: RecordsAt = PATHS.data
    link: Link = PATHS.link
    speed: Speed = PATHS.speed

    def job(self) -> Speeds:
        """Give the job for such trips."""
        from roadspeed.speeds import Speeds  # noqa: PLC0415 - numpy loads when needed

        return Speeds(
            unit=self.unit,
            max_speed=self.max_speed,
            records_at=self.records_at,
            link=self.link,
            speed=self.speed,
        )


@dataclass(frozen=True, slots=True)
class RoadOptions:
    """Where the roads are, and what is called how there."""

    roads: Roads = None
    roads_table: RoadsTable = None
    roads_id: RoadsId = None
    roads_geometry: RoadsGeometry = None
    roads_class: RoadsClass = None
    roads_crs: RoadsCrs = None

    def source(self) -> RoadSource | None:
        """Give the roads that are meant; None without.

        Raises
        ------
        UsageError
            Where an option says how roads are to be read and there are none.
        """
        from roadspeed.roads import Named  # noqa: PLC0415 - numpy loads when needed
        from roadspeed.run import RoadSource  # noqa: PLC0415 - as above

        if self.roads is None:
            for field in fields(self):
                if getattr(self, field.name) is not None:
                    option = f"--{field.name.replace('_', '-')}"
                    raise UsageError(f"{option} says how roads are read: it needs --roads")
            return None
        named = Named(
            self.roads_table,
            self.roads_id,
            self.roads_geometry,
            self.roads_class,
            self.roads_crs,
        )
        return RoadSource(self.roads, named)


@dataclass(frozen=True, slots=True)
class MapOptions:
    """What the map shows, and how."""

    background: Background = "dark"
    measure: Measure = "speed"
    width: Width = 2400
    bbox: Bbox = None
    centre: Centre = None
    scale: Scale = None
    min_fixes: MinFixes = 5
    title: Title = ""
    attribution: Attribution = ""

    def picture(self) -> Picture:
        """Give the picture that these options ask for.

        Raises
        ------
        UsageError
            Where it cannot be meant.
        """
        from roadspeed.maps.picture import Picture  # noqa: PLC0415 - numpy loads when needed

        asked = Picture(
            measure=self.measure,  # type: ignore[arg-type] # checked below
            background=self.background,  # type: ignore[arg-type] # checked below
            width_px=self.width,
            bbox=numbers(self.bbox, "--bbox", BBOX_NUMBERS),
            centre=numbers(self.centre, "--centre", CENTRE_NUMBERS),
            scale=self.scale,
            min_fixes=self.min_fixes,
            title=self.title,
            attribution=self.attribution,
        )
        asked.check()
        return asked


def numbers(text: str | None, name: str, count: int) -> Any:
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
