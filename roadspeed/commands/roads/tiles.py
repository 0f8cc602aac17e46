"""`roadspeed roads tiles`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands.command import command
from mapreduce.commands.options import option
from mapreduce.output import say


@command
def tiles_command(
    extract: Annotated[Path, typer.Argument(metavar="FILE", help="An extract: city.osm.pbf")],
    out: Annotated[Path, option("--out", "The folder to write.")],
) -> None:
    """Prepare an OpenStreetMap extract for `roadspeed run --osm`.

    The folder holds the roads, and the graph to which Valhalla matches positions.

    Example:

        roadspeed roads tiles city.osm.pbf --out city.match
    """
    from roadspeed.osm.match_folder import make

    made = make(extract, out, say)
    size = sum(path.stat().st_size for path in made.folder.iterdir())
    say(f"{made.folder}: {size / 1e6:,.1f} MB")
