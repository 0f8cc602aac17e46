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
    last: Annotated[bool, option("--last", "Of each host's last run alone.")] = False,
    lines: Annotated[int, option("--lines", "How many of each log's last.")] = 20,
    follow: Annotated[bool, option("--follow", "Go on until Ctrl-C.")] = False,
) -> None:
    """Write the agents' logs, merged, each line after its host's name."""
    from mapreduce.cluster.fleet import operations

    operations.show_logs(hosts.chosen(), run, lines=lines, follow=follow, last=last)
