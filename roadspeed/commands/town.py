"""`roadspeed town`: a made-up town and trips through it."""

from __future__ import annotations

from typing import Annotated

from mapreduce.commands import options as given
from mapreduce.console.terminal import Terminal, consequences
from mapreduce.output import say
from roadspeed.commands import options as ours


def town_command(
    out: ours.TownOut,
    trips: Annotated[int, ours.option("--trips", "How many trips.")] = 200,
    seed: Annotated[int | None, ours.option("--seed", "Another number, another town.")] = None,
    size: Annotated[float, ours.option("--size", "1 is some 4,000 links; 50 is a city.")] = 1.0,
    compress: Annotated[bool, ours.option("--compress", "Write .json.gz.")] = False,
    workers: given.Workers = None,
) -> None:
    """Make a town and trips through it, to play with: the same for everyone.

    Example:

        roadspeed town --trips 1000 --out town
    """
    with consequences(), Terminal() as terminal:
        from mapreduce import Progress  # noqa: PLC0415 - loads when needed
        from mapreduce.engines.local import Local  # noqa: PLC0415 - as above
        from roadspeed.town import DEFAULT_SEED, make_town  # noqa: PLC0415 - as above

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
