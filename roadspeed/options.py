"""Options that say what trips look like and what a map shows, declared once for every command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from mapreduce.commands import options as given
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from roadspeed.maps.picture import Picture

TRIPS = "What the trips look like"
MAP = "The map"
ROADS = "Geometry"
BBOX_NUMBERS = 4
CENTRE_NUMBERS = 2


def option(name: str, text: str, panel: str | None = None) -> Any:
    """Give an option with its help, in a panel of the help."""
    return typer.Option(name, help=text, rich_help_panel=panel)


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


def picture(
    background: str,
    measure: str,
    width: int,
    bbox: str | None,
    centre: str | None,
    scale: int | None,
    min_fixes: int,
    title: str,
    attribution: str,
) -> Picture:
    """Give the picture that these options ask for.

    Raises
    ------
    UsageError
        Where it cannot be meant.
    """
    from roadspeed.maps.picture import Picture  # noqa: PLC0415 - numpy loads when needed

    asked = Picture(
        measure=measure,  # type: ignore[arg-type] # checked below
        background=background,  # type: ignore[arg-type] # checked below
        width_px=width,
        bbox=numbers(bbox, "--bbox", BBOX_NUMBERS),
        centre=numbers(centre, "--centre", CENTRE_NUMBERS),
        scale=scale,
        min_fixes=min_fixes,
        title=title,
        attribution=attribution,
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


def refuse_without_roads(named: dict[str, str | None]) -> None:
    """Refuse options that say how roads are to be read where there are none."""
    for name, value in named.items():
        if value is not None:
            option = f"--roads-{name.removesuffix('_column')}"
            raise UsageError(f"{option} says how roads are read: it needs --roads")
