"""`mapreduce cluster df`."""

from __future__ import annotations

from mapreduce.commands.cluster.options import HostOptions
from mapreduce.commands.command import command


@command
def df_command(hosts: HostOptions) -> None:
    """Show the disk space on each host: releases, packages, overlays, inputs, logs."""
    from mapreduce.cluster.fleet import operations

    operations.disk_of_hosts(hosts.chosen())
