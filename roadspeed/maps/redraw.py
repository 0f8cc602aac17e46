"""Another map of a run that is done: drawn from `speeds.parquet`, without reading a trip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roadspeed.maps.finished_run import finished_run
from roadspeed.maps.map_file import draw_map

if TYPE_CHECKING:
    from pathlib import Path

    from roadspeed.maps.picture import Picture


def redraw(folder: Path, path: Path, picture: Picture) -> dict[str, Any]:
    """Draw a map of the table that lies in a run's folder; give what a receipt would say of it.

    Parameters
    ----------
    folder
        What the run was given as `--out`.
    path
        Where the picture goes: any name but those that the run's receipt lists.
    picture
        What to draw; unit, note of a sample and number of trips are the run's, and so are its
        credits where the picture has none.

    Raises
    ------
    UsageError
        Where the folder is no run's, its table has no geometry, the name is taken, or the picture
        cannot be drawn.
    MapReduceError
        Where the receipt is not as it was written.
    """
    picture.check()
    run = finished_run(folder)
    run.refuse(path)
    table = run.link_table()
    told = replace(table.told, min_fixes=picture.min_fixes)
    trips = None if told.trip else run.receipt.objects.ok
    return draw_map(path, replace(table, told=told), picture, trips)
