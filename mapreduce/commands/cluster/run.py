"""`mapreduce cluster run`."""

from __future__ import annotations

from typing import Final

import typer

from mapreduce.commands.cluster.options import HostOptions, HostRun
from mapreduce.commands.command import command

# Unknown options are passed on to the command that runs.
SETTINGS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


@command
def run_command(context: typer.Context, run: HostRun, hosts: HostOptions) -> None:
    """Run a job on the hosts: `mapreduce run` or `roadspeed run` with --engine ssh.

    Examples:

        mapreduce cluster run s3://trips --roads roads.gpkg --out speeds

        mapreduce cluster run s3://trips --job ./braking.py:HarshBraking --out braking --detach

    All other options of those commands are passed on unchanged: --limit 1000, --no-map.
    """
    from mapreduce.commands.cluster.typed import run_words, start

    start(run_words(hosts.chosen(), run, more=context.args))
