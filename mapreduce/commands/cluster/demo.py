"""`mapreduce cluster demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mapreduce.commands.cluster.options import HostOptions
from mapreduce.commands.command import command
from mapreduce.commands.options import OutOfAll, option


@command
def demo_command(
    *,
    out: OutOfAll = Path("demo"),
    trips: Annotated[int, option("--trips", "Number of trips.")] = 200,
    hosts: HostOptions,
) -> None:
    """Generate a town, compute its speeds on the hosts and here, compare, draw the map."""
    from mapreduce.commands.cluster.typed import demo_words, start

    start(demo_words(hosts.chosen(), out, trips))
