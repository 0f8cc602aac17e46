"""`mapreduce …`: run any job over a folder or bucket, look before, and look after.

Each command is in a file of `commands`; heavy packages load inside it, so that `--help` is quick.
"""

from __future__ import annotations

from mapreduce.console import early  # first: it hears Ctrl-C while the rest loads

# isort: split
import sys
from pathlib import Path

import typer

from mapreduce.commands import afterwards, options
from mapreduce.commands.cluster import app as cluster
from mapreduce.commands.plan import plan_command
from mapreduce.commands.run import run_command
from mapreduce.commands.try_ import try_command
from mapreduce.console.terminal import open_standard_streams

__all__ = ["app", "early", "main"]

app = typer.Typer(
    name="mapreduce",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Keyed sums over stored documents, exact to the last bit, on one machine or many.",
)
app.add_typer(cluster)
app.command("run")(run_command)
app.command("try")(try_command)
app.command("plan")(plan_command)
app.command("resume")(afterwards.resume_command)
app.command("retry")(afterwards.retry_command)
app.command("status")(afterwards.status_command)
app.command("verify")(afterwards.verify_command)


@app.callback()
def _here(version: options.Version = False) -> None:  # noqa: ARG001 - shown as it is read
    """Let jobs be found from the folder one stands in; last, so that it hides no module."""
    if "" not in sys.path:
        sys.path.append(str(Path.cwd()))


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
