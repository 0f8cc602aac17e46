"""`roadspeed map`: another map of a run that is done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands.groups import spread
from mapreduce.console.terminal import consequences
from mapreduce.output import say
from roadspeed.commands import options as ours


@spread
def map_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The --out of a run")],
    out: Annotated[Path, ours.option("--out", "The picture, a PNG.")],
    map_options: ours.MapOptions,
) -> None:
    """Draw another map of a run that is done, from its tables: no trip is read.

    Example:

        roadspeed map speeds --out city.png --centre -5.93,54.6 --scale 25000
    """
    with consequences():
        from roadspeed.maps.map_file import lines_of  # noqa: PLC0415 - numpy loads when needed
        from roadspeed.maps.redraw import redraw  # noqa: PLC0415 - as above

        account = redraw(folder, out, map_options.picture())
        say(f"{account['drawn']:,} links in {out}")
        for line in lines_of(account):
            say(line)
