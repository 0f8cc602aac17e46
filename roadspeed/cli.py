"""`roadspeed …`: from trips to speeds, geometry and a map.

Heavy packages load inside a command, so that `--help` is quick.
"""

from __future__ import annotations

from mapreduce.console import early  # first: it hears Ctrl-C while the rest loads

# isort: split
from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands import options as given
from mapreduce.console import tolerance
from mapreduce.console.terminal import (
    FAILED,
    OVER_LIMIT,
    Terminal,
    consequences,
    open_standard_streams,
)
from mapreduce.errors import UsageError
from mapreduce.output import say
from roadspeed import options as ours
from roadspeed.options import option as _option
from roadspeed.trip import DEFAULT_MAX_SPEED, DEFAULT_SPEED_UNIT, HELPS, PATHS

app = typer.Typer(
    name="roadspeed",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The speed of every road, from GPS trips: files for GIS, and maps to hang on a wall.",
)


@app.callback()
def _any_command(version: given.Version = False) -> None:
    """Take what stands before a command's name."""


@app.command("run")
def run_command(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder of trips, or s3://bucket/prefix")
    ],
    out: ours.Out,
    roads: ours.Roads = None,
    roads_table: ours.RoadsTable = None,
    roads_id: ours.RoadsId = None,
    roads_geometry: ours.RoadsGeometry = None,
    roads_class: ours.RoadsClass = None,
    roads_crs: ours.RoadsCrs = None,
    unit: ours.Unit = DEFAULT_SPEED_UNIT,
    max_speed: ours.MaxSpeed = DEFAULT_MAX_SPEED,
    records_at: ours.RecordsAt = PATHS.data,
    link: ours.Link = PATHS.link,
    speed: ours.Speed = PATHS.speed,
    draw: ours.Draw = True,
    background: ours.Background = "dark",
    measure: ours.Measure = "speed",
    context: ours.Context = False,
    width: ours.Width = 2400,
    bbox: ours.Bbox = None,
    centre: ours.Centre = None,
    scale: ours.Scale = None,
    min_fixes: ours.MinFixes = 5,
    title: ours.Title = "",
    attribution: ours.Attribution = "",
    engine: given.EngineName = "local",
    workers: given.Workers = None,
    worker_memory: given.WorkerMemory = 0,
    inventory: given.Inventory = None,
    only: given.Only = None,
    tag: given.Tags = None,
    with_: given.With = None,
    scheduler: given.Scheduler = None,
    tls_ca: given.TlsCa = None,
    tls_cert: given.TlsCert = None,
    tls_key: given.TlsKey = None,
    master: given.Master = None,
    spark_conf: given.SparkConf = None,
    endpoint: given.Endpoint = None,
    sample: given.Sample = None,
    limit: given.Limit = None,
    match: given.Match = None,
    exclude: given.Exclude = None,
    max_bad_objects: given.MaxBad = "0",
    max_dropped: given.MaxDropped = None,
    max_keys: given.MaxKeys = 10_000_000,
    allow_nan: given.AllowNan = False,
    detach: given.Detach = False,
    anew: given.Anew = False,
    retry: given.Retry = False,
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
        from mapreduce.commands.run_command import (  # noqa: PLC0415 - see above
            begun_in,
            engine_named,
            refuse_inside,
            tell,
        )
        from roadspeed.maps.map_file import lines_of, unsettable  # noqa: PLC0415 - numpy, as above
        from roadspeed.run import RoadSource, RunRequest, run_speeds  # noqa: PLC0415 - as above
        from roadspeed.speeds import Speeds  # noqa: PLC0415 - as above

        tolerance.check_tolerances(max_bad_objects, max_dropped)
        named = {
            "table": roads_table,
            "id_column": roads_id,
            "geometry_column": roads_geometry,
            "class_column": roads_class,
            "crs": roads_crs,
        }
        if roads is None:
            ours.refuse_without_roads(named)
        picture = ours.picture(
            background, measure, width, bbox, centre, scale, min_fixes, title, attribution
        )
        wanted = RunRequest(
            out=out,
            job=Speeds(
                unit=unit, max_speed=max_speed, records_at=records_at, link=link, speed=speed
            ),
            roads=None if roads is None else RoadSource(roads, **named),
            picture=picture if draw else None,
            context=context,
            anew=anew,
            retry=retry,
            min_fixes=min_fixes,
            attribution=attribution,
            options=given.run_options(
                sample=sample,
                limit=limit,
                match=match,
                exclude=exclude,
                max_keys=max_keys,
                allow_nan=allow_nan,
                endpoint=endpoint,
            ),
        )
        where = given.where(
            worker_memory=worker_memory,
            inventory=inventory,
            only=only,
            tags=tag,
            requirements=with_,
            folder=out,
            scheduler=scheduler,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            master=master,
            spark_conf=spark_conf,
        )
        chosen = engine_named(engine, workers, where)
        refuse_inside(out, source)
        if detach:
            from mapreduce.commands.detach import leave_running  # noqa: PLC0415 - as above

            leave_running(out, "roadspeed", hosts=engine == "ssh")
            return
        with Terminal(quiet=as_json, engine=chosen) as terminal:
            for line in unsettable(wanted.picture):
                terminal.say(line)
            begun = begun_in(out, "roadspeed", terminal)
            receipt = run_speeds(source, wanted, chosen, terminal, on_begun=begun)
        tell(receipt, out, as_json=as_json, helps=HELPS)
        for line in lines_of(receipt["map"]):
            say(line, err=as_json)
        unjoined = receipt["geometry"].get("note")
        if unjoined:
            say(unjoined, err=True)
        tolerance.end_over_limits(receipt, max_bad_objects, max_dropped)
        if unjoined:
            raise SystemExit(OVER_LIMIT)


@app.command("map")
def map_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The --out of a run")],
    out: Annotated[Path, _option("--out", "The picture, a PNG.")],
    background: ours.Background = "dark",
    measure: ours.Measure = "speed",
    width: ours.Width = 2400,
    bbox: ours.Bbox = None,
    centre: ours.Centre = None,
    scale: ours.Scale = None,
    min_fixes: ours.MinFixes = 5,
    title: ours.Title = "",
    attribution: ours.Attribution = "",
) -> None:
    """Draw another map of a run that is done, from its tables: no trip is read.

    Example:

        roadspeed map speeds --out city.png --centre -5.93,54.6 --scale 25000
    """
    with consequences():
        from roadspeed.maps.map_file import lines_of  # noqa: PLC0415 - loads when needed
        from roadspeed.maps.redraw import redraw  # noqa: PLC0415 - as above

        picture = ours.picture(
            background, measure, width, bbox, centre, scale, min_fixes, title, attribution
        )
        account = redraw(folder, out, picture)
        say(f"{account['drawn']:,} links in {out}")
        for line in lines_of(account):
            say(line)


@app.command("inspect")
def inspect_command(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder of trips, or s3://bucket/prefix")
    ],
    objects: Annotated[int, _option("--objects", "How many to look at.")] = 20,
    endpoint: given.Endpoint = None,
) -> None:
    """Look at a few trips: which fields there are, and the options to use.

    Example:

        roadspeed inspect s3://trips/2019
    """
    with consequences():
        from roadspeed.inspect.advice import told  # noqa: PLC0415 - loads when needed
        from roadspeed.inspect.inspect import inspected  # noqa: PLC0415 - as above

        if objects < 1:
            raise UsageError(f"--objects: expected 1 object or more to look at, got {objects}")
        found = inspected(source, endpoint=endpoint, objects=objects)
        say(told(found, source))
        if found.unreadable == found.objects:
            raise SystemExit(FAILED)


@app.command("town")
def town_command(
    out: ours.TownOut,
    trips: Annotated[int, _option("--trips", "How many trips.")] = 200,
    seed: Annotated[int | None, _option("--seed", "Another number, another town.")] = None,
    size: Annotated[float, _option("--size", "1 is some 4,000 links; 50 is a city.")] = 1.0,
    compress: Annotated[bool, _option("--compress", "Write .json.gz.")] = False,
    workers: given.Workers = None,
) -> None:
    """Make a town and trips through it, to play with: the same for everyone.

    Example:

        roadspeed town --trips 1000 --out town
    """
    with consequences(), Terminal() as terminal:
        from mapreduce import Progress  # noqa: PLC0415 - loads when needed
        from mapreduce.engines.local import Local  # noqa: PLC0415 - as above
        from roadspeed.town import DEFAULT_SEED, make_town  # noqa: PLC0415 - as above

        made = make_town(
            out,
            trips,
            seed=DEFAULT_SEED if seed is None else seed,
            scale=size,
            workers=Local(workers).workers,
            on_progress=lambda done, total: terminal(Progress("town", done, total, "trips")),
            compress=compress,
        )
    say(f"{made.links:,} links in {made.roads}, {trips:,} trips in {made.trips}")


@app.command("demo")
def demo_command(
    out: given.OutOfAll = Path("demo"),
    trips: Annotated[int, _option("--trips", "How many trips.")] = 200,
    workers: given.Workers = None,
    engine: given.EngineName = "local",
    inventory: given.Inventory = None,
    only: given.Only = None,
    tag: given.Tags = None,
) -> None:
    """Make a town and its trips, run the whole job, draw the map: no service, no network.

    With another engine it runs there, and here as well, and the sums are compared.

    Examples:

        roadspeed demo

        roadspeed demo --engine ssh --inventory hosts.toml
    """
    with consequences():
        from mapreduce.commands.run_command import engine_named  # noqa: PLC0415 - loads when needed
        from mapreduce.console.summary import summary  # noqa: PLC0415 - as above
        from roadspeed.demo import demo, demo_elsewhere  # noqa: PLC0415 - as above
        from roadspeed.maps.map_file import lines_of  # noqa: PLC0415 - as above

        where = given.where(folder=out / "speeds", inventory=inventory, only=only, tags=tag)
        there = None if engine == "local" else engine_named(engine, None, where)
        if there is None:
            engine_named(engine, workers, where)  # refuses what is another engine's
        with Terminal(engine=there) as terminal:
            if there is None:
                receipt = demo(out, trips, workers, terminal)
            else:
                receipt = demo_elsewhere(out, trips, workers, terminal, there)
        say(summary(receipt))
        if there is not None:
            say(f"the same sums as on this machine alone: digest {receipt['digest']}")
        for line in lines_of(receipt["map"]):
            say(line)
        if receipt["map"]["file"]:
            say(f"the map: {(out / 'speeds' / 'map.png').resolve()}")


__all__ = ["app", "early", "main"]


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
