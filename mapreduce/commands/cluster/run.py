"""`mapreduce cluster run`."""

from __future__ import annotations

from typing import Final

import typer

from mapreduce.commands.cluster.options import HostOptions, HostRun
from mapreduce.commands.command import command

# Options of the run's own command are handed on to it.
SETTINGS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


@command
def run_command(context: typer.Context, run: HostRun, hosts: HostOptions) -> None:
    """Run a job over the hosts: `mapreduce run` and `roadspeed run` with --engine ssh.

    Examples:

        mapreduce cluster run s3://trips --roads roads.gpkg --out speeds

        mapreduce cluster run s3://trips --job ./braking.py:HarshBraking --out braking --detach

    Every other option of those commands is handed on, as it stands: --limit 1000, --no-map.
    """
    from mapreduce.commands.cluster.typed import run_words, start

    start(run_words(hosts.chosen(), run, more=context.args))
