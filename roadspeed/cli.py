"""`roadspeed …`: the table of commands. The module of a command is loaded when it is used."""

from __future__ import annotations

from mapreduce.console import early  # first: it handles Ctrl-C while the rest loads

# isort: split
from typing import Final

from mapreduce.commands.program import Version, add_commands, program
from mapreduce.console.streams import open_standard_streams

COMMANDS: Final = {
    "run": "Compute the mean speed of every road link that trips drove on.",
    "add": "Add finished runs over different trips, exactly, without reading a trip.",
    "compare": "Compare two finished runs link by link: what became slower or faster, how surely.",
    "match": "Match positions to OpenStreetMap and write each fix with its link, for other uses.",
    "draw": "Draw a picture of a finished run from its tables, without reading trips.",
    "map": "Draw another map of a finished run from its tables, without reading trips.",
    "inspect": "Read a few trips, show their fields, and print the command to use.",
    "town": "Generate a town and trips to try things out; the same for everyone.",
    "demo": "Generate a town and trips, run the whole job, draw the map; needs no network.",
}

OF_ROADS: Final = {
    "from-osm": "Write the drivable roads of an OpenStreetMap extract, for --roads.",
    "tiles": "Prepare an OpenStreetMap extract for `roadspeed run --osm`.",
}

app = program(
    "roadspeed",
    "Compute the speed of every road from GPS trips, as files for GIS and as maps.",
)
add_commands(app, "roadspeed.commands", COMMANDS)
roads = program("roads", "Roads of OpenStreetMap: as a file to join, and prepared for matching.")
add_commands(roads, "roadspeed.commands.roads", OF_ROADS)
app.add_typer(roads)


@app.callback()
def _any_command(version: Version = False) -> None:
    """Take the options before the command's name."""


__all__ = ["app", "early", "main"]


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
