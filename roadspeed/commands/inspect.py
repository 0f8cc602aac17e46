"""`roadspeed inspect`."""

from __future__ import annotations

from typing import Annotated

from mapreduce.commands.command import command
from mapreduce.commands.options import StoreOptions, option
from mapreduce.console.terminal import FAILED
from mapreduce.errors import UsageError
from mapreduce.output import say
from roadspeed.commands.options import SourceArgument


@command
def inspect_command(
    source: SourceArgument,
    objects: Annotated[int, option("--objects", "How many objects to read.")] = 20,
    *,
    store: StoreOptions,
) -> None:
    """Read a few trips, show their fields, and print the command to use.

    Example:

        roadspeed inspect s3://trips/2019
    """
    from roadspeed.inspect.advice import told
    from roadspeed.inspect.inspect import inspected

    if objects < 1:
        raise UsageError(f"--objects: expected 1 or more objects to read, got {objects}")
    found = inspected(source, endpoint=store.endpoint, objects=objects)
    say(told(found, source, store.words()))
    if found.unreadable == found.objects:
        raise SystemExit(FAILED)
