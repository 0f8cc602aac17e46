"""The demo: a town, its trips, the whole job, a map; no service and no network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mapreduce import MapReduceError, Progress, run
from mapreduce.engines.local import Local
from roadspeed.maps.picture import Picture
from roadspeed.road_source import RoadSource
from roadspeed.run import RunRequest, run_speeds
from roadspeed.speeds import Speeds
from roadspeed.town import make_town

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mapreduce.engine import Engine
    from roadspeed.town import Made

TRIPS = 200
PICTURE = Picture(title="Doggerhaven", subtitle="Mean speed on each road of a made-up town")


def demo(
    folder: Path, trips: int, workers: int | None, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    """Make a town and its trips under `folder`, compute every road's speed, and draw the map.

    Returns
    -------
    dict
        The receipt of the run.
    """
    local = Local(workers)
    made = _made(folder, trips, local.workers, on_progress)
    return _run(made, trips, folder, local, on_progress)


def demo_elsewhere(
    folder: Path,
    trips: int,
    workers: int | None,
    on_progress: Callable[[Progress], None],
    engine: Engine,
) -> dict[str, Any]:
    """Do the same on another engine, then here, and compare the sums.

    Raises
    ------
    MapReduceError
        Where they differ.
    """
    local = Local(workers)
    made = _made(folder, trips, local.workers, on_progress)
    receipt = _run(made, trips, folder, engine, on_progress)
    known = run(Speeds(), made.trips, engine=local)
    if receipt["digest"] != known.digest:
        raise MapReduceError(
            f"engine {engine.name} gave digest {receipt['digest']}, this machine {known.digest}:"
            " this must never happen; please report it"
        )
    return receipt


def _made(folder: Path, trips: int, workers: int, on_progress: Callable[[Progress], None]) -> Made:
    def on_trip(done: int, total: int) -> None:
        on_progress(Progress("town", done, total, "trips"))

    return make_town(folder / "town", trips, workers=workers, on_progress=on_trip)


def _run(
    made: Made,
    trips: int,
    folder: Path,
    engine: Engine,
    on_progress: Callable[[Progress], None],
) -> dict[str, Any]:
    wanted = RunRequest(
        out=folder / "speeds",
        roads=RoadSource(str(made.roads)),
        picture=replace(PICTURE, note=f"{trips:,} generated trips"),
        context=True,
    )
    return run_speeds(str(made.trips), wanted, engine, on_progress)
