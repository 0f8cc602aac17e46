"""`roadspeed inspect`: what some trips hold, and the options to use."""

from __future__ import annotations

from typing import Annotated

from mapreduce.commands import options as given
from mapreduce.console.terminal import FAILED, consequences
from mapreduce.errors import UsageError
from mapreduce.output import say
from roadspeed.commands import options as ours


def inspect_command(
    source: ours.TripsSource,
    objects: Annotated[int, ours.option("--objects", "How many to look at.")] = 20,
    endpoint: given.Endpoint = None,
) -> None:
    """Look at a few trips: which fields there are, and the options to use.

    Example:

        roadspeed inspect s3://trips/2019
    """
    with consequences():
        from roadspeed.inspect.advice import told  # noqa: PLC0415 - loads when needed
        from roadspeed.inspect.inspect import inspected  # noqa: PLC0415 - as above

        if objects < 1:
            raise UsageError(f"--objects: expected 1 object or more to look at, got {objects}")
        found = inspected(source, endpoint=endpoint, objects=objects)
        say(told(found, source))
        if found.unreadable == found.objects:
            raise SystemExit(FAILED)
