"""The demo: a town, its trips, the whole job, a map; no service and no network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mapreduce import Progress
from mapreduce.engines.local import Local
from roadspeed.maps.picture import Picture
from roadspeed.run import RoadSource, Wanted, run_speeds
from roadspeed.town import make_town

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    engine = Local(workers)

    def on_trip(done: int, total: int) -> None:
        on_progress(Progress("town", done, total, "trips"))

    made = make_town(folder / "town", trips, workers=engine.workers, on_progress=on_trip)
    wanted = Wanted(
        out=folder / "speeds",
        roads=RoadSource(str(made.roads)),
        picture=replace(PICTURE, note=f"{trips:,} generated trips"),
        context=True,
    )
    return run_speeds(str(made.trips), wanted, engine, on_progress)
