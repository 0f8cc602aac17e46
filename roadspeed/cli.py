"""`roadspeed …`: from trips to speeds, geometry and a map.

Heavy packages load inside a command, so that `--help` is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapreduce.console import options as given
from mapreduce.console.terminal import (
    OVER_LIMIT,
    Terminal,
    consequences,
    open_standard_streams,
)
from mapreduce.errors import UsageError
from roadspeed.trip import DEFAULT_MAX_SPEED, DEFAULT_SPEED_UNIT, HELPS, PATHS

app = typer.Typer(
    name="roadspeed",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The speed of every road, from GPS trips: files for GIS, and maps to hang on a wall.",
)

TRIPS = "What the trips look like"
ROADS = "Geometry"
MAP = "The map"
BBOX_NUMBERS = 4
CENTRE_NUMBERS = 2


def _option(name: str, text: str, panel: str | None = None) -> Any:
    return typer.Option(name, help=text, rich_help_panel=panel)


@app.callback()
def _any_command(version: given.Version = False) -> None:
    """Take what stands before a command's name."""


@app.command("run")
def run_command(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder of trips, or s3://bucket/prefix")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for speeds, map and receipt.",
            parser=given.folder,
            metavar="<path>",
        ),
    ],
    roads: Annotated[
        str | None,
        _option("--roads", "File of roads, or postgresql://host/db?table=&id=&geom=", ROADS),
    ] = None,
    roads_table: Annotated[str | None, _option("--roads-table", "Table or layer.", ROADS)] = None,
    roads_id: Annotated[str | None, _option("--roads-id", "Column of the link id.", ROADS)] = None,
    roads_geometry: Annotated[
        str | None, _option("--roads-geometry", "Column of the geometry.", ROADS)
    ] = None,
    roads_class: Annotated[
        str | None, _option("--roads-class", "Column of the road's class.", ROADS)
    ] = None,
    roads_crs: Annotated[
        str | None, _option("--roads-crs", "Coordinates' system, if not said: EPSG:27700.", ROADS)
    ] = None,
    unit: Annotated[
        str, _option("--unit", "Unit of speed in the trips: km/h, mph or m/s.", TRIPS)
    ] = DEFAULT_SPEED_UNIT,
    max_speed: Annotated[
        float, _option("--max-speed", "Faster fixes are dropped and counted.", TRIPS)
    ] = DEFAULT_MAX_SPEED,
    records_at: Annotated[str, _option("--records-at", "Path of the fixes.", TRIPS)] = PATHS.data,
    link: Annotated[str, _option("--link", "Path of the link id in a fix.", TRIPS)] = PATHS.link,
    speed: Annotated[str, _option("--speed", "Path of the speed in a fix.", TRIPS)] = PATHS.speed,
    draw: Annotated[
        bool, typer.Option("--map/--no-map", help="Draw map.png.", rich_help_panel=MAP)
    ] = True,
    background: Annotated[str, _option("--background", "dark, light or none.", MAP)] = "dark",
    measure: Annotated[
        str, _option("--measure", "speed; or coverage: trips, fixes.", MAP)
    ] = "speed",
    context: Annotated[
        bool, _option("--context", "Draw roads without data faintly beneath.", MAP)
    ] = False,
    width: Annotated[int, _option("--width", "Pixels.", MAP)] = 2400,
    bbox: Annotated[str | None, _option("--bbox", "WEST,SOUTH,EAST,NORTH", MAP)] = None,
    centre: Annotated[str | None, _option("--centre", "LON,LAT, with --scale.", MAP)] = None,
    scale: Annotated[int | None, _option("--scale", "N of 1:N on paper.", MAP)] = None,
    min_fixes: Annotated[
        int, _option("--min-fixes", "Links with fewer are thin and grey.", MAP)
    ] = 5,
    title: Annotated[str, _option("--title", "The place, for the legend.", MAP)] = "",
    attribution: Annotated[
        str, _option("--attribution", "Whom to credit for the roads.", MAP)
    ] = "",
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
    as_json: given.AsJson = False,
) -> None:
    """Compute the speed of every road link.

    Interrupted, the same command goes on where it stopped.

    Examples:

        roadspeed run trips/ --roads roads.geojson --out speeds

        roadspeed run s3://trips/2019 --roads "postgresql://gis/roads?table=links" --out speeds

        roadspeed run trips/ --roads roads.gpkg --out city --centre -5.93,54.6 --scale 25000
    """
    with consequences():
        from mapreduce.console.command import (  # noqa: PLC0415 - see above
            begun_in,
            engine_named,
            refuse_inside,
            tell,
        )
        from roadspeed.maps.picture import Picture  # noqa: PLC0415 - numpy, as above
        from roadspeed.run import RoadSource, Wanted, run_speeds  # noqa: PLC0415 - as above
        from roadspeed.speeds import Speeds  # noqa: PLC0415 - as above

        given.check_tolerances(max_bad_objects, max_dropped)
        named = {
            "table": roads_table,
            "id_column": roads_id,
            "geometry_column": roads_geometry,
            "class_column": roads_class,
            "crs": roads_crs,
        }
        if roads is None:
            _refuse_without_roads(named)
        picture = Picture(
            measure=measure,  # type: ignore[arg-type] # checked below
            background=background,  # type: ignore[arg-type] # checked below
            width_px=width,
            bbox=_numbers(bbox, "--bbox", BBOX_NUMBERS),
            centre=_numbers(centre, "--centre", CENTRE_NUMBERS),
            scale=scale,
            min_fixes=min_fixes,
            title=title,
            attribution=attribution,
        )
        picture.check()
        wanted = Wanted(
            out=out,
            job=Speeds(
                unit=unit, max_speed=max_speed, records_at=records_at, link=link, speed=speed
            ),
            roads=None if roads is None else RoadSource(roads, **named),
            picture=picture if draw else None,
            context=context,
            anew=anew,
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
            from mapreduce.console.background import leave_running  # noqa: PLC0415 - as above

            leave_running(out, "roadspeed", hosts=engine == "ssh")
            return
        with Terminal(quiet=as_json, engine=chosen) as terminal:
            begun = begun_in(out, "roadspeed", terminal)
            receipt = run_speeds(source, wanted, chosen, terminal, on_begun=begun)
        tell(receipt, out, as_json=as_json, helps=HELPS)
        unjoined = receipt["geometry"].get("note")
        if unjoined:
            typer.echo(unjoined, err=True)
        given.end_over_limits(receipt, max_bad_objects, max_dropped)
        if unjoined:
            raise SystemExit(OVER_LIMIT)


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
        from roadspeed.inspect import inspected, told  # noqa: PLC0415 - loads when needed

        if objects < 1:
            raise UsageError(f"--objects: expected 1 object or more to look at, got {objects}")
        typer.echo(told(inspected(source, endpoint=endpoint, objects=objects), source))


@app.command("town")
def town_command(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for roads.geojson and trips/.",
            parser=given.folder,
            metavar="<path>",
        ),
    ],
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
    typer.echo(f"{made.links:,} links in {made.roads}, {trips:,} trips in {made.trips}")


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
        from mapreduce.console.command import engine_named  # noqa: PLC0415 - loads when needed
        from mapreduce.console.summary import summary  # noqa: PLC0415 - as above
        from roadspeed.demo import demo, demo_elsewhere  # noqa: PLC0415 - as above

        where = given.where(folder=out / "speeds", inventory=inventory, only=only, tags=tag)
        there = None if engine == "local" else engine_named(engine, None, where)
        if there is None:
            engine_named(engine, workers, where)  # refuses what is another engine's
        with Terminal(engine=there) as terminal:
            if there is None:
                receipt = demo(out, trips, workers, terminal)
            else:
                receipt = demo_elsewhere(out, trips, workers, terminal, there)
        typer.echo(summary(receipt))
        if there is not None:
            typer.echo(f"the same sums as on this machine alone: digest {receipt['digest']}")
        typer.echo(f"the map: {(out / 'speeds' / 'map.png').resolve()}")


def _refuse_without_roads(named: dict[str, str | None]) -> None:
    """Refuse options that say how roads are to be read where there are none."""
    for name, value in named.items():
        if value is not None:
            option = f"--roads-{name.removesuffix('_column')}"
            raise UsageError(f"{option} says how roads are read: it needs --roads")


def _numbers(text: str | None, option: str, count: int) -> Any:
    """Turn `1,2,3,4` into numbers."""
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise UsageError(f"{option} takes {count} numbers with commas between, got {text!r}")
    return numbers


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
