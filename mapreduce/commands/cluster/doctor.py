"""`mapreduce cluster doctor`."""

from __future__ import annotations

from mapreduce.commands.cluster.options import HostOptions
from mapreduce.commands.command import command


@command
def doctor_command(hosts: HostOptions) -> None:
    """Check every host, and say how to solve each problem."""
    from mapreduce.cluster.fleet import operations

    operations.examine_hosts(hosts.chosen())
