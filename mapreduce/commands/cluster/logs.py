"""`mapreduce cluster logs`."""

from __future__ import annotations

from typing import Annotated

from mapreduce.commands.cluster.options import HostOptions, Run
from mapreduce.commands.command import command
from mapreduce.commands.options import option


@command
def logs_command(
    hosts: HostOptions,
    run: Run = None,
    last: Annotated[bool, option("--last", "Only the last run of each host.")] = False,
    lines: Annotated[int, option("--lines", "How many lines from the end of each log.")] = 20,
    follow: Annotated[bool, option("--follow", "Continue until Ctrl-C.")] = False,
) -> None:
    """Show the logs of the agents, merged, each line prefixed with its host."""
    from mapreduce.cluster.fleet import operations

    operations.show_logs(hosts.chosen(), run, lines=lines, follow=follow, last=last)
