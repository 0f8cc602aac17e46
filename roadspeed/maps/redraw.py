"""Another map of a run that is done: drawn from `speeds.parquet`, without reading a trip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mapreduce.errors import UsageError
from mapreduce.runs import receipt_file
from mapreduce.runs.receipt_file import RECEIPT
from mapreduce.runs.report import file_digest
from roadspeed.maps.map_file import draw_map
from roadspeed.outputs.parquet import read_parquet

TABLE = "speeds.parquet"

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
    if not (folder / RECEIPT).is_file():
        raise UsageError(f"no {folder / RECEIPT}: expected the folder (--out) of a finished run")
    receipt, _ = receipt_file.read(folder / RECEIPT)
    taken = {(folder / name).resolve() for name in (RECEIPT, *receipt.files)}
    if path.resolve() in taken:
        raise UsageError(f"{path} is listed in the receipt of the run; choose another --out")
    source = folder / TABLE
    if TABLE not in receipt.files:
        raise UsageError(
            f"{folder} belongs to another job: no {TABLE} is among the files of its run"
        )
    if not source.is_file() or file_digest(source) != receipt.files[TABLE].sha256:
        raise UsageError(f"{source} was changed after the run wrote it; see `mapreduce verify`")
    table = read_parquet(source)
    if table.geometry is None:
        raise UsageError(f"{folder}: a map needs roads, but this run had no --roads")
    told = replace(table.told, min_fixes=picture.min_fixes)
    trips = None if told.trip else receipt.objects.ok
    return draw_map(path, replace(table, told=told), picture, trips)
