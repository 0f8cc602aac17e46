"""`roadspeed roads from-osm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands.command import command
from mapreduce.commands.options import option
from mapreduce.output import say


@command
def from_osm_command(
    extract: Annotated[Path, typer.Argument(metavar="FILE", help="An extract: city.osm.pbf")],
    out: Annotated[Path, option("--out", "The GeoParquet file to write.")],
) -> None:
    """Write the drivable roads of an OpenStreetMap extract, for --roads.

    Ways are divided where they meet. The id of a link is its way's id times 10,000, plus its number
    along the way.

    Example:

        roadspeed roads from-osm city.osm.pbf --out roads.parquet
    """
    from roadspeed.osm.extract import read_ways
    from roadspeed.osm.osm_roads import links_of
    from roadspeed.osm.roads_file import write_roads

    ways = read_ways(extract)
    roads = links_of(ways)
    write_roads(out, roads)
    say(f"{len(roads):,} links of {len(ways.way):,} ways in {out}")
    if ways.incomplete:
        say(f"{ways.incomplete:,} ways are left out: the extract does not have their nodes")
