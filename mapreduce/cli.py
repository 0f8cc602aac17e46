"""`mapreduce …`: run any job over a folder or bucket, look before, and look after.

The commands and what each does; a command's own file loads when it is used.
"""

from __future__ import annotations

from mapreduce.console import early  # first: it hears Ctrl-C while the rest loads

# isort: split
import sys
from pathlib import Path
from typing import Final

from mapreduce.commands.program import Version, add_commands, program
from mapreduce.console.streams import open_standard_streams

COMMANDS: Final = {
    "run": "Run a job over every object of a source.",
    "try": "Show the records and the partial sums of one object.",
    "plan": "Say what a run would read, in how many requests, and for how long; write nothing.",
    "resume": "Go on with a run that was interrupted, as it was typed then.",
    "retry": "Try the quarantined objects of a finished run again; keep all others, write a new"
    " receipt.",
    "status": "Say how far the run of a folder is.",
    "verify": "Check a finished run: its account balances, and its files are as they were written.",
}
OF_HOSTS: Final = {
    "init": "Write a commented hosts.toml, and a fabfile beside it.",
    "enrol": "Show host keys, ask, pin them; then see that the login works.",
    "doctor": "Look at every host, and say what to do about each trouble.",
    "deploy": "Bring hosts to this machine's release; unchanged ones are left alone.",
    "run": "Run a job over the hosts: `mapreduce run` and `roadspeed run` with --engine ssh.",
    "demo": "Make a town, compute its speeds on the hosts and here, compare, draw the map.",
    "status": "Tell each host's release and runs; or, with --out, how a run and its hosts fare, as"
    " JSON.",
    "logs": "Write the agents' logs, merged, each line after its host's name.",
    "restart": "Restart the agents of a run one by one; each finishes its attempts first.",
    "stop": "Have agents finish what they are at, and end; or, with --out, one run and all its"
    " agents.",
    "df": "Tell what ours takes on each host's disk: releases, packages, overlays, inputs, logs.",
    "clean": "Make room on hosts: remove old releases, packages, overlays, inputs and logs.",
    "remove": "End all runs on hosts and delete everything of ours there.",
}

app = program(
    "mapreduce", "Keyed sums over stored documents, exact to the last bit, on one machine or many."
)
add_commands(app, "mapreduce.commands", COMMANDS)
cluster = program("cluster", "Hosts over SSH: enrol, examine, deploy, run, watch, stop, remove.")
add_commands(cluster, "mapreduce.commands.cluster", OF_HOSTS)
app.add_typer(cluster)


@app.callback()
def _here(version: Version = False) -> None:  # noqa: ARG001 - shown as it is read
    """Let jobs be found from the folder one stands in; last, so that it hides no module."""
    if "" not in sys.path:
        sys.path.append(str(Path.cwd()))


__all__ = ["app", "early", "main"]


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
