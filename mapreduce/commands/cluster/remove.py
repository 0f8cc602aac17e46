"""`mapreduce cluster remove`."""

from __future__ import annotations

from mapreduce.commands.cluster.options import HostOptions, Yes
from mapreduce.commands.command import command


@command
def remove_command(hosts: HostOptions, yes: Yes = False) -> None:
    """End all runs on hosts, and delete everything that we installed there."""
    from mapreduce.cluster.fleet import operations

    operations.remove_from_hosts(hosts.chosen(), yes=yes)
