"""`roadspeed demo`."""

from __future__ import annotations

from pathlib import Path

from mapreduce.commands.command import command
from mapreduce.commands.options import (
    EngineName,
    EngineOptions,
    Inventory,
    Only,
    OutOfAll,
    Tags,
    Workers,
)
from mapreduce.output import say
from roadspeed.commands.options import TripCount


@command
def demo_command(
    out: OutOfAll = Path("demo"),
    trips: TripCount = 200,
    workers: Workers = None,
    engine: EngineName = "local",
    inventory: Inventory = None,
    only: Only = None,
    tag: Tags = None,
) -> None:
    """Generate a town and trips, run the whole job, draw the map; needs no network.

    With another engine the job runs there and on this machine, and the sums are compared.

    Examples:

        roadspeed demo

        roadspeed demo --engine ssh --inventory hosts.toml
    """
    from mapreduce.console.summary import summary
    from mapreduce.console.terminal import Terminal
    from roadspeed.demo import demo, demo_elsewhere
    from roadspeed.maps.map_file import lines_of
    from roadspeed.run import left_out

    here = engine == "local"
    where = EngineOptions(
        engine, workers if here else None, inventory=inventory, only=only, tag=tag
    )
    chosen = where.engine_of(out / "speeds")  # rejects options of another engine
    with Terminal(engine=None if here else chosen) as terminal:
        if here:
            receipt = demo(out, trips, workers, terminal)
        else:
            receipt = demo_elsewhere(out, trips, workers, terminal, chosen)
    say(summary(receipt))
    if not here:
        say(f"the sums equal those computed on this machine alone: digest {receipt['digest']}")
    for line in [*lines_of(receipt["map"]), *left_out(receipt)]:
        say(line)
    if receipt["map"]["file"]:
        say(f"the map: {(out / 'speeds' / 'map.png').resolve()}")
