"""`mapreduce plan`: a whole run looked at from afar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands import options as given
from mapreduce.commands.groups import spread
from mapreduce.console.terminal import consequences
from mapreduce.output import say


@spread
def plan_command(
    job: given.JobArgument,
    source: given.SourceArgument,
    selecting: given.Selecting,
    reading: given.Reading,
    settings: given.Settings = None,
    workers: given.Workers = None,
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory",
            help="For a run over these hosts: their slots, and the store they name.",
            rich_help_panel=given.ENGINE,
        ),
    ] = None,
) -> None:
    """Say what a run would read, in how many requests, and for how long; write nothing.

    Examples:

        mapreduce plan roadspeed.speeds:Speeds s3://trips

        mapreduce plan roadspeed.speeds:Speeds s3://trips --inventory hosts.toml
    """
    with consequences():
        from mapreduce.commands import preview  # noqa: PLC0415 - numpy loads when it is needed

        told = given.run_options(selecting, reading, max_keys=1)
        hosts = None
        if inventory is not None:
            from mapreduce.cluster.inventory.inventory import load  # noqa: PLC0415 - as above

            hosts = load(inventory)
        say(preview.planned(given.job_named(job, settings), source, told, workers, hosts))
