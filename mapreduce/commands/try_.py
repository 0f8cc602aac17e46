"""`mapreduce try`: one object looked at closely."""

from __future__ import annotations

from typing import Annotated

import typer

from mapreduce.commands import options as given
from mapreduce.commands.groups import spread
from mapreduce.console.terminal import consequences
from mapreduce.output import say


@spread
def try_command(
    job: given.JobArgument,
    object_: Annotated[str, typer.Argument(metavar="OBJECT", help="A file or s3://bucket/key")],
    reading: given.Reading,
    settings: given.Settings = None,
) -> None:
    """Show the records and the partial sums of one object.

    Example:

        mapreduce try examples/braking.py:HarshBraking trips/000/trip-000001.json
    """
    with consequences():
        from mapreduce.commands import preview  # noqa: PLC0415 - numpy loads when it is needed

        made = given.job_named(job, settings)
        say(preview.shown(made, object_, reading.endpoint, allow_nan=reading.allow_nan))
