"""`roadspeed run`: the speed of every road that trips drove on."""

from __future__ import annotations

from mapreduce.commands import options as given
from mapreduce.commands.groups import spread
from mapreduce.console.terminal import OVER_LIMIT, Terminal, consequences
from mapreduce.output import say
from roadspeed.commands import options as ours
from roadspeed.trip import HELPS


@spread
def run_command(
    source: ours.TripsSource,
    out: ours.Out,
    road_options: ours.RoadOptions,
    trip_options: ours.TripOptions,
    map_options: ours.MapOptions,
    running: given.Running,
    selecting: given.Selecting,
    reading: given.Reading,
    tolerating: given.Tolerating,
    beginning: given.Beginning,
    draw: ours.Draw = True,
    context: ours.Context = False,
    max_keys: given.MaxKeys = 10_000_000,
    as_json: given.AsJson = False,
) -> None:
    """Compute the mean speed of every road link that trips drove on.

    Each speed is rounded to a millionth of its unit when it is read. Sums are exact from there on.

    Interrupted, the same command goes on where it stopped.

    Examples:

        roadspeed run trips/ --roads roads.geojson --out speeds

        roadspeed run s3://trips/2019 --roads "postgresql://gis/roads?table=links" --out speeds

        roadspeed run trips/ --roads roads.gpkg --out city --centre -5.93,54.6 --scale 25000
    """
    with consequences():
        from mapreduce.commands.run_steps import (  # noqa: PLC0415 - numpy loads when needed
            begun_in,
            refuse_inside,
            tell,
        )
        from roadspeed.maps.map_file import lines_of, unsettable  # noqa: PLC0415 - as above
        from roadspeed.run import RunRequest, run_speeds  # noqa: PLC0415 - as above

        tolerating.check()
        picture = map_options.picture()
        wanted = RunRequest(
            out=out,
            job=trip_options.job(),
            roads=road_options.source(),
            picture=picture if draw else None,
            context=context,
            anew=beginning.anew,
            retry=beginning.retry,
            min_fixes=map_options.min_fixes,
            attribution=map_options.attribution,
            options=given.run_options(selecting, reading, max_keys=max_keys),
        )
        engine = running.chosen(out)
        refuse_inside(out, source)
        if beginning.detach:
            from mapreduce.commands.detach import leave_running  # noqa: PLC0415 - as above

            leave_running(out, "roadspeed", hosts=running.engine == "ssh")
            return
        with Terminal(quiet=as_json, engine=engine) as terminal:
            for line in unsettable(wanted.picture):
                terminal.say(line)
            begun = begun_in(out, "roadspeed", terminal)
            receipt = run_speeds(source, wanted, engine, terminal, on_begun=begun)
        tell(receipt, out, as_json=as_json, helps=HELPS)
        for line in lines_of(receipt["map"]):
            say(line, err=as_json)
        unjoined = receipt["geometry"].get("note")
        if unjoined:
            say(unjoined, err=True)
        tolerating.end(receipt)
        if unjoined:
            raise SystemExit(OVER_LIMIT)
