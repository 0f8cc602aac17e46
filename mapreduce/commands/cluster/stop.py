"""`mapreduce cluster stop`."""

from __future__ import annotations

from typing import Annotated

from mapreduce.commands.cluster.options import HostOptions, Out, Run
from mapreduce.commands.command import command
from mapreduce.commands.options import option
from mapreduce.output import say


@command
def stop_command(
    hosts: HostOptions,
    run: Run = None,
    patience: Annotated[
        float, option("--patience", "Seconds to wait before agents are killed.")
    ] = 30.0,
    out: Out = None,
) -> None:
    """Drain the agents on hosts and end them; with --out, stop one run and its agents."""
    if out is not None:
        from mapreduce.cluster.coordinator import control_socket

        control_socket.ask(out, "stop")
        say(f"the run in {out} stops; `mapreduce resume {out}` resumes it")
        return
    from mapreduce.cluster.fleet import operations

    operations.stop_agents(hosts.chosen(), run, patience_s=patience)
