"""`roadspeed add`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from mapreduce.commands.add import OtherCode, RunFolders
from mapreduce.commands.command import command
from mapreduce.commands.options import AsJson, KeepSums, LimitOptions, out_option
from mapreduce.output import say
from roadspeed.commands.options import Context, Draw, MapOptions, RoadOptions


@command
def add_command(
    runs: RunFolders,
    *,
    out: Annotated[Path, out_option("Folder for speeds, map and receipt.")],
    roads: RoadOptions,
    draw: Draw = True,
    context: Context = False,
    map_: MapOptions,
    other_code: OtherCode = False,
    limits: LimitOptions,
    sums: KeepSums = True,
    as_json: AsJson = False,
) -> None:
    """Add finished runs over different trips, exactly, without reading a trip.

    All files are written as by a run over all the trips. Without --roads the geometry is that of
    the runs. Runs that differ in a parameter, or have a trip in common, are refused.

    Examples:

        roadspeed add january february --out winter

        roadspeed add january february march --roads roads.geojson --out quarter
    """
    from mapreduce.commands.run_steps import tell
    from mapreduce.commands.saved_command import remember
    from mapreduce.console.terminal import OVER_LIMIT, Terminal
    from roadspeed.adding import add_speeds
    from roadspeed.maps.map_file import lines_of
    from roadspeed.run import RunRequest

    limits.check()
    picture = map_.picture()
    wanted = RunRequest(
        out=out,
        roads=roads.source(),
        picture=replace(picture, attribution=map_.attribution) if draw else None,
        context=context,
        min_fixes=map_.min_fixes,
        attribution=map_.attribution,
        sums=sums,
    )
    with Terminal(quiet=as_json) as terminal:
        receipt = add_speeds(
            runs,
            wanted,
            max_keys=limits.max_keys,
            other_code=other_code,
            on_begun=lambda: remember(out, "roadspeed"),
            on_progress=terminal,
        )
    tell(receipt, out, as_json=as_json)
    for line in lines_of(receipt["map"]):
        say(line, err=as_json)
    unjoined = receipt["geometry"].get("note")
    if unjoined:
        say(unjoined, err=True)
    limits.end_over(receipt)
    if unjoined:
        raise SystemExit(OVER_LIMIT)
