"""`roadspeed run`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mapreduce.commands.command import command
from mapreduce.commands.options import (
    AllowNan,
    EngineOptions,
    KeepSums,
    LimitOptions,
    SelectionOptions,
    StartOptions,
    StoreOptions,
    out_option,
    run_options,
)
from mapreduce.output import say
from roadspeed.commands.measure_options import MeasureOptions, TimeOptions
from roadspeed.commands.options import (
    Context,
    Draw,
    MapOptions,
    RoadOptions,
    SourceArgument,
    TripOptions,
)
from roadspeed.commands.trace_options import TraceOptions

if TYPE_CHECKING:
    from mapreduce.engine import Engine
    from roadspeed.run import RunRequest

KEPT = (
    "The sums are kept: the same command with other --roads options does not read the trips"
    " again (--anew does)."
)


@command
def run_command(
    source: SourceArgument,
    *,
    out: Annotated[Path, out_option("Folder for speeds, map and receipt.")],
    roads: RoadOptions,
    trips: TripOptions,
    traces: TraceOptions,
    times: TimeOptions,
    measures: MeasureOptions,
    draw: Draw = True,
    context: Context = False,
    map_: MapOptions,
    where: EngineOptions,
    store: StoreOptions,
    which: SelectionOptions,
    limits: LimitOptions,
    allow_nan: AllowNan = False,
    sums: KeepSums = True,
    start: StartOptions,
) -> None:
    """Compute the mean speed of every road link that trips drove on.

    Each speed is rounded to a millionth of its unit when it is read. After that, sums are exact.

    After an interruption the same command resumes the run.

    Examples:

        roadspeed run trips/ --roads roads.geojson --out speeds

        roadspeed run s3://trips/2019 --roads "postgresql://gis/roads?table=links" --out speeds

        roadspeed run fixes.csv --format csv --link road --speed kmh --roads roads.gpkg --out speeds

        roadspeed run traces/ --osm city.osm.pbf --speed-from positions --out speeds

        roadspeed run trips/ --roads roads.gpkg --out speeds --by hour --timezone Europe/London

        roadspeed run trips/ --roads roads.gpkg --out city --centre -5.93,54.6 --scale 25000
    """
    from mapreduce.commands.run_steps import refuse_inside
    from roadspeed.run import RunRequest

    limits.check()
    picture, geometry = map_.picture(), roads.source(traces.roads())
    options = run_options(
        which, max_keys=limits.max_keys, allow_nan=allow_nan, endpoint=store.endpoint
    )
    engine = where.engine_of(out)
    refuse_inside(out, source)
    credit = map_.attribution or traces.attribution()
    wanted = RunRequest(
        out=out,
        job=traces.job(
            trips.parameters()
            | measures.parameters(signed=trips.signed, is_matched=traces.osm is not None),
            times,
        ),
        roads=geometry,
        picture=replace(picture, attribution=credit) if draw else None,
        context=context,
        anew=start.anew,
        retry=start.retry,
        min_fixes=map_.min_fixes,
        min_trips=measures.fewest_trips,
        publish=measures.publish,
        layers=measures.layers(),
        attribution=credit,
        options=options,
        sums=sums,
    )
    if start.detach:
        from mapreduce.commands.detach import leave_running

        leave_running(out, "roadspeed", hosts=where.over_hosts)
        return
    _run(source, wanted, engine, limits, as_json=start.as_json)


def _run(
    source: str, wanted: RunRequest, engine: Engine, limits: LimitOptions, *, as_json: bool
) -> None:
    """Run the job and print the result."""
    from mapreduce.commands.run_steps import begun_in, tell
    from mapreduce.console.terminal import OVER_LIMIT, Terminal
    from roadspeed.inspect.plausible import few_fixes, roads_warning, unit_warning
    from roadspeed.inspect.untold import untold
    from roadspeed.maps.map_file import lines_of, unsettable
    from roadspeed.run import left_out, run_speeds
    from roadspeed.trip import HELPS

    few = few_fixes(source, wanted.job, wanted.options.endpoint)
    with Terminal(quiet=as_json, engine=engine) as terminal:
        if warning := unit_warning(few, wanted.job.unit):
            terminal.say(warning)
        for line in unsettable(wanted.picture):
            terminal.say(line)
        begun = begun_in(wanted.out, "roadspeed", terminal)
        receipt = run_speeds(source, wanted, engine, terminal, on_begun=begun)
    tell(receipt, wanted.out, as_json=as_json, helps=HELPS)
    for line in [*lines_of(receipt["map"]), *left_out(receipt)]:
        say(line, err=as_json)
    for line in untold(receipt, wanted.job):
        say(line, err=True)
    told = receipt["geometry"]["joined"] and roads_warning(few, wanted.out / "speeds.parquet")
    if told:
        say(told, err=True)
    unjoined = receipt["geometry"].get("note")
    if unjoined:
        say(f"{unjoined}\n{KEPT}", err=True)
    limits.end_over(receipt)
    if unjoined:
        raise SystemExit(OVER_LIMIT)
