"""`roadspeed map`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands.command import command
from mapreduce.commands.options import option
from mapreduce.output import say
from roadspeed.commands.options import MapOptions


@command
def map_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder (--out) of a run")],
    out: Annotated[Path, option("--out", "The PNG file to write.")],
    map_: MapOptions,
) -> None:
    """Draw another map of a finished run from its tables, without reading trips.

    Example:

        roadspeed map speeds --out city.png --centre -5.93,54.6 --scale 25000
    """
    from roadspeed.maps.map_file import lines_of
    from roadspeed.maps.redraw import redraw

    account = redraw(folder, out, map_.picture())
    say(f"{account['drawn']:,} links in {out}")
    for line in lines_of(account):
        say(line)
