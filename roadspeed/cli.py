"""`roadspeed …`: from trips to speeds, geometry and a map.

Each command is in a file of `commands`; heavy packages load inside it, so that `--help` is quick.
"""

from __future__ import annotations

from mapreduce.console import early  # first: it hears Ctrl-C while the rest loads

# isort: split
import typer

from mapreduce.commands import options
from mapreduce.console.terminal import open_standard_streams
from roadspeed.commands.demo import demo_command
from roadspeed.commands.inspect import inspect_command
from roadspeed.commands.map import map_command
from roadspeed.commands.run import run_command
from roadspeed.commands.town import town_command

__all__ = ["app", "early", "main"]

app = typer.Typer(
    name="roadspeed",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The speed of every road, from GPS trips: files for GIS, and maps to hang on a wall.",
)
app.command("run")(run_command)
app.command("map")(map_command)
app.command("inspect")(inspect_command)
app.command("town")(town_command)
app.command("demo")(demo_command)


@app.callback()
def _any_command(version: options.Version = False) -> None:
    """Take what stands before a command's name."""


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
