"""`roadspeed …`: from trips to speeds, geometry and a map.

The commands and what each does; a command's own file loads when it is used.
"""

from __future__ import annotations

from mapreduce.console import early  # first: it hears Ctrl-C while the rest loads

# isort: split
from typing import Final

from mapreduce.commands.program import Version, add_commands, program
from mapreduce.console.streams import open_standard_streams

COMMANDS: Final = {
    "run": "Compute the mean speed of every road link that trips drove on.",
    "map": "Draw another map of a run that is done, from its tables: no trip is read.",
    "inspect": "Look at a few trips: which fields there are, and the options to use.",
    "town": "Make a town and trips through it, to play with: the same for everyone.",
    "demo": "Make a town and its trips, run the whole job, draw the map: no service, no network.",
}

app = program(
    "roadspeed",
    "The speed of every road, from GPS trips: files for GIS, and maps to hang on a wall.",
)
add_commands(app, "roadspeed.commands", COMMANDS)


@app.callback()
def _any_command(version: Version = False) -> None:
    """Take what stands before a command's name."""


__all__ = ["app", "early", "main"]


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
