"""`roadspeed inspect`."""

from __future__ import annotations

from typing import Annotated

from mapreduce.commands.command import command
from mapreduce.commands.options import Endpoint, option
from mapreduce.console.terminal import FAILED
from mapreduce.errors import UsageError
from mapreduce.output import say
from roadspeed.commands.options import SourceArgument


@command
def inspect_command(
    source: SourceArgument,
    objects: Annotated[int, option("--objects", "How many to look at.")] = 20,
    endpoint: Endpoint = None,
) -> None:
    """Look at a few trips: which fields there are, and the options to use.

    Example:

        roadspeed inspect s3://trips/2019
    """
    from roadspeed.inspect.advice import told
    from roadspeed.inspect.inspect import inspected

    if objects < 1:
        raise UsageError(f"--objects: expected 1 object or more to look at, got {objects}")
    found = inspected(source, endpoint=endpoint, objects=objects)
    say(told(found, source))
    if found.unreadable == found.objects:
        raise SystemExit(FAILED)
