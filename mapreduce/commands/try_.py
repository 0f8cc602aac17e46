"""`mapreduce try`."""

from __future__ import annotations

from typing import Annotated

import typer

from mapreduce.commands.command import command
from mapreduce.commands.options import AllowNan, JobArgument, Settings, StoreOptions, job_of
from mapreduce.output import say


@command
def try_command(
    job: JobArgument,
    object_: Annotated[str, typer.Argument(metavar="OBJECT", help="A file or s3://bucket/key")],
    settings: Settings = None,
    *,
    store: StoreOptions,
    allow_nan: AllowNan = False,
) -> None:
    """Show the records and the partial sums of one object.

    Example:

        mapreduce try examples/braking.py:HarshBraking trips/000/trip-000001.json
    """
    from mapreduce.commands.preview import shown

    say(shown(job_of(job, settings), object_, store.endpoint, allow_nan=allow_nan))
