"""`roadspeed town`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mapreduce.commands.command import command
from mapreduce.commands.options import Workers, option, out_option
from mapreduce.output import say
from roadspeed.commands.options import TripCount


@command
def town_command(
    out: Annotated[Path, out_option("Folder for roads.geojson and trips/.")],
    trips: TripCount = 200,
    seed: Annotated[int | None, option("--seed", "Number that selects the town.")] = None,
    size: Annotated[float, option("--size", "1 is about 4,000 links; 50 is a city.")] = 1.0,
    compress: Annotated[bool, option("--compress", "Write .json.gz files.")] = False,
    workers: Workers = None,
) -> None:
    """Generate a town and trips to try things out; the same for everyone.

    Example:

        roadspeed town --trips 1000 --out town
    """
    from mapreduce import Progress
    from mapreduce.console.terminal import Terminal
    from mapreduce.engines.local import Local
    from roadspeed.town import DEFAULT_SEED, make_town

    with Terminal() as terminal:
        made = make_town(
            out,
            trips,
            seed=DEFAULT_SEED if seed is None else seed,
            scale=size,
            workers=Local(workers).workers,
            on_progress=lambda done, total: terminal(Progress("town", done, total, "trips")),
            compress=compress,
        )
    say(f"{made.links:,} links in {made.roads}, {trips:,} trips in {made.trips}")
