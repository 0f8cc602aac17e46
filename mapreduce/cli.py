"""`mapreduce …`: the table of commands. The module of a command is loaded when it is used."""

from __future__ import annotations

from mapreduce.console import early  # first: it handles Ctrl-C while the rest loads

# isort: split
import sys
from pathlib import Path
from typing import Final

from mapreduce.commands.program import Version, add_commands, program
from mapreduce.console.streams import open_standard_streams

COMMANDS: Final = {
    "run": "Run a job over every object of a source.",
    "try": "Show the records and the partial sums of one object.",
    "plan": "Estimate what a run would read, the requests and the time; write nothing.",
    "resume": "Resume an interrupted run with the command that was typed then.",
    "retry": "Read the quarantined objects of a finished run again; write a new receipt.",
    "add": "Add the sums of finished runs of a job over different objects, without reading any.",
    "status": "Show the progress of the run in a folder.",
    "verify": "Check that the receipt of a finished run balances and its files are unchanged.",
}
OF_HOSTS: Final = {
    "init": "Write a commented hosts.toml, and a fabfile beside it.",
    "enrol": "Show host keys, ask whether to trust them, pin them, and test the login.",
    "doctor": "Check every host, and say how to solve each problem.",
    "deploy": "Install this machine's release on hosts that do not have it.",
    "run": "Run a job on the hosts: `mapreduce run` or `roadspeed run` with --engine ssh.",
    "demo": "Generate a town, compute its speeds on the hosts and here, compare, draw the map.",
    "status": "Show release and runs of each host; with --out, the state of one run as JSON.",
    "logs": "Show the logs of the agents, merged, each line prefixed with its host.",
    "restart": "Restart the agents of a run one by one; each finishes its attempts first.",
    "stop": "Drain the agents on hosts and end them; with --out, stop one run and its agents.",
    "df": "Show the disk space on each host: releases, packages, overlays, inputs, logs.",
    "clean": "Free disk space on hosts: remove old releases, packages, overlays, inputs and logs.",
    "remove": "End all runs on hosts, and delete everything that we installed there.",
}

app = program(
    "mapreduce", "Keyed sums over stored documents, exact to the last bit, on one machine or many."
)
add_commands(app, "mapreduce.commands", COMMANDS)
cluster = program("cluster", "Hosts over SSH: enrol, check, deploy, run, watch, stop, remove.")
add_commands(cluster, "mapreduce.commands.cluster", OF_HOSTS)
app.add_typer(cluster)


@app.callback()
def _here(version: Version = False) -> None:  # noqa: ARG001 - shown as it is read
    """Let jobs be found in the current folder. It comes last, so that it hides no module."""
    if "" not in sys.path:
        sys.path.append(str(Path.cwd()))


__all__ = ["app", "early", "main"]


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
