"""`mapreduce plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mapreduce.commands.command import command
from mapreduce.commands.options import (
    ENGINE,
    AllowNan,
    JobArgument,
    SelectionOptions,
    Settings,
    SourceArgument,
    StoreOptions,
    Workers,
    job_of,
    option,
    run_options,
)
from mapreduce.output import say


@command
def plan_command(
    job: JobArgument,
    source: SourceArgument,
    *,
    settings: Settings = None,
    workers: Workers = None,
    store: StoreOptions,
    which: SelectionOptions,
    allow_nan: AllowNan = False,
    inventory: Annotated[
        Path | None,
        option(
            "--inventory",
            "Estimate for a run on the hosts of this file.",
            ENGINE,
        ),
    ] = None,
) -> None:
    """Estimate what a run would read, the requests and the time; write nothing.

    Examples:

        mapreduce plan roadspeed.speeds:Speeds s3://trips

        mapreduce plan roadspeed.speeds:Speeds s3://trips --inventory hosts.toml
    """
    from mapreduce.commands.preview import planned

    options = run_options(which, allow_nan=allow_nan, endpoint=store.endpoint)
    hosts = None
    if inventory is not None:
        from mapreduce.cluster.inventory.inventory import load

        hosts = load(inventory)
    say(planned(job_of(job, settings), source, options, workers, hosts))
