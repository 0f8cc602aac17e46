"""`mapreduce cluster restart`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mapreduce.commands.command import command
from mapreduce.commands.options import option
from mapreduce.output import say


@command
def restart_command(
    out: Annotated[Path, option("--out", "The folder of the run whose agents are restarted.")],
) -> None:
    """Restart the agents of a run one by one; each finishes its attempts first.

    Example:

        mapreduce cluster restart --out speeds
    """
    from mapreduce.cluster.coordinator import control_socket

    control_socket.ask(out, "restart")
    say(f"the agents of the run in {out} are restarted one by one: mapreduce status {out}")
