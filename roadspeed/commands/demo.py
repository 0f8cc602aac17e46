"""`roadspeed demo`: a town, its trips, the whole job, the map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mapreduce.commands import options as given
from mapreduce.console.terminal import Terminal, consequences
from mapreduce.output import say
from roadspeed.commands import options as ours


def demo_command(
    out: given.OutOfAll = Path("demo"),
    trips: Annotated[int, ours.option("--trips", "How many trips.")] = 200,
    workers: given.Workers = None,
    engine: given.EngineName = "local",
    inventory: given.Inventory = None,
    only: given.Only = None,
    tag: given.Tags = None,
) -> None:
    """Make a town and its trips, run the whole job, draw the map: no service, no network.

    With another engine it runs there, and here as well, and the sums are compared.

    Examples:

        roadspeed demo

        roadspeed demo --engine ssh --inventory hosts.toml
    """
    with consequences():
        from mapreduce.console.summary import summary  # noqa: PLC0415 - numpy loads when needed
        from roadspeed.demo import demo, demo_elsewhere  # noqa: PLC0415 - as above
        from roadspeed.maps.map_file import lines_of  # noqa: PLC0415 - as above

        local = engine == "local"
        running = given.Running(
            engine, workers if local else None, inventory=inventory, only=only, tag=tag
        )
        engine_there = running.chosen(out / "speeds")  # refuses what is another engine's
        there = None if local else engine_there
        with Terminal(engine=there) as terminal:
            if there is None:
                receipt = demo(out, trips, workers, terminal)
            else:
                receipt = demo_elsewhere(out, trips, workers, terminal, there)
        say(summary(receipt))
        if there is not None:
            say(f"the same sums as on this machine alone: digest {receipt['digest']}")
        for line in lines_of(receipt["map"]):
            say(line)
        if receipt["map"]["file"]:
            say(f"the map: {(out / 'speeds' / 'map.png').resolve()}")
