"""Another map of a run that is done: drawn from `speeds.parquet`, without reading a trip."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mapreduce.accounts import RECEIPT
from mapreduce.errors import UsageError
from roadspeed.map_file import draw_map
from roadspeed.outputs.parquet import read_parquet

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
    """
    picture.check()
    receipt = _receipt_of(folder)
    taken = {(folder / name).resolve() for name in (RECEIPT, *receipt["files"])}
    if path.resolve() in taken:
        raise UsageError(f"{path} stands in the receipt of its run; choose another --out")
    table = read_parquet(folder / "speeds.parquet")
    if table.geometry is None:
        raise UsageError(f"{folder}: a map needs roads, and this run was given none by --roads")
    told = replace(table.told, min_fixes=picture.min_fixes)
    return draw_map(path, replace(table, told=told), picture, receipt["objects"]["ok"])


def _receipt_of(folder: Path) -> dict[str, Any]:
    path = folder / RECEIPT
    try:
        receipt: dict[str, Any] = json.loads(path.read_bytes())
        if not (isinstance(receipt["files"], dict) and isinstance(receipt["objects"]["ok"], int)):
            raise TypeError("its files or objects are of another kind")  # noqa: TRY301 - one answer
    except FileNotFoundError:
        raise UsageError(
            f"no {path}: expected the folder of a run that is done, its --out"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: expected a receipt of `roadspeed run`; {error!r}") from None
    return receipt
