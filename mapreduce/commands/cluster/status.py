"""`mapreduce cluster status`."""

from __future__ import annotations

import json

from mapreduce.commands.cluster.options import HostOptions, Out
from mapreduce.commands.command import command
from mapreduce.output import say


@command
def status_command(hosts: HostOptions, out: Out = None) -> None:
    """Show release and runs of each host; with --out, the state of one run as JSON."""
    if out is not None:
        from mapreduce.cluster.coordinator import control_socket

        say(json.dumps(control_socket.ask(out, "status"), indent=1))
        return
    from mapreduce.cluster.fleet import operations

    operations.status_of_hosts(hosts.chosen())
