"""Speeds by cell of a run, one dense array: a row a cell, a column a link of `speeds.parquet`.

A table that tells more apart (`direction-hour`, `week-hour`) gives what is asked for too: its rows
are pooled, weighted by their fixes. That is exact for a mean, and for a percentile an estimate. The
file is read in batches, so memory is that of the arrays: 8 bytes a cell and link.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mapreduce.errors import UsageError
from roadspeed.maps.cells import DAYS, HOURS, Cells, names_of_hours, names_of_week
from roadspeed.maps.finished_run import BY, PARQUET

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

    from roadspeed.maps.finished_run import FinishedRun
    from roadspeed.maps.strokes import Floats, Ints

    Singles = npt.NDArray[np.float32]

BATCH: Final = 1 << 18
MOST_CELLS: Final = 1_000
SOURCES: Final = {  # part -> the columns that it can be had from
    "hour": ("hour", "week_hour"),
    "day": ("day", "week_hour"),
    "week_hour": ("week_hour",),
    "period": ("period",),
    "date": ("date",),
}


@dataclass(frozen=True, slots=True)
class SpeedsByCell:
    """Speeds of n links in m cells.

    `fixes` is float32[m, n], 0 where there are none; `speed` float32[m, n] in the run's unit, NaN
    there. `pooled` says that rows of a table that tells more apart were put together.
    """

    cells: Cells
    column: str
    fixes: Singles
    speed: Singles
    pooled: bool

    def of(self, chosen: Iterable[int]) -> tuple[Floats, Ints]:
        """Return speed, float64[n], and fixes, int64[n], of some cells together."""
        rows = list(chosen)
        fixes = self.fixes[rows].astype(np.float64)
        total = np.where(fixes > 0, fixes * np.nan_to_num(self.speed[rows]), 0.0).sum(axis=0)
        count = np.where(np.isfinite(self.speed[rows]), fixes, 0.0).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / count, count.astype(np.int64)


def speeds_by_cell(run: FinishedRun, part: str, column: str, links: Any) -> SpeedsByCell:
    """Read a run's speeds by one part of the time.

    Parameters
    ----------
    run
        Whose folder it is.
    part
        `hour`, `day`, `week_hour`, `period` or `date`.
    column
        Which column of the table: `mean`, `p85`, …
    links
        Arrow array of the links, one column of the result each.

    Raises
    ------
    UsageError
        Where no table of the run has it.
    """
    path, parts = _table_of(run, part)
    source = next(one for one in SOURCES[part] if one in parts)
    schema = pq.read_schema(path)
    if column not in schema.names or not pa.types.is_floating(schema.field(column).type):
        skip = {"link", *parts}
        there = [f.name for f in schema if pa.types.is_floating(f.type) and f.name not in skip]
        raise UsageError(f"--column: {path.name} has {', '.join(there)}, got {column!r}")
    cells = _cells_of(path, part, source)
    size = (len(cells.names), len(links))
    fixes, total = np.zeros(size, np.float32), np.zeros(size, np.float32)
    file = pq.ParquetFile(path)
    for batch in file.iter_batches(BATCH, columns=["link", source, "fixes", column]):
        at = pc.index_in(batch.column("link"), value_set=links)
        speed = batch.column(column).to_numpy(zero_copy_only=False)
        cell = _numbers(batch.column(source), cells, part, source)
        known = np.asarray(at.is_valid()) & np.isfinite(speed)
        where = cell[known], np.asarray(at.fill_null(0))[known]
        weight = batch.column("fixes").to_numpy()[known].astype(np.float32)
        np.add.at(fixes, where, weight)
        np.add.at(total, where, weight * speed[known].astype(np.float32))
    with np.errstate(invalid="ignore", divide="ignore"):
        np.divide(total, fixes, out=total)
    return SpeedsByCell(cells, column, fixes, total, len(parts) > 1 or source != part)


def cells_there(run: FinishedRun, part: str) -> Cells:
    """Return the cells of a part that a run's speeds are told apart by.

    Raises
    ------
    UsageError
        Where no table of the run has it.
    """
    path, parts = _table_of(run, part)
    return _cells_of(path, part, next(one for one in SOURCES[part] if one in parts))


def parts_there(run: FinishedRun) -> list[str]:
    """Return the parts of the time that a run's speeds can be told apart by."""
    columns = {p for one in run.groupings for p in one.replace("week-hour", "week_hour").split("-")}
    return [part for part, sources in SOURCES.items() if columns.intersection(sources)]


def one_column(run: FinishedRun, name: str, column: str, links: Any) -> Floats:
    """Read a column of a table with one row a link: float64[n], NaN where it has none.

    Raises
    ------
    UsageError
        Where the table is not as the run wrote it.
    """
    read = pq.read_table(run.checked(name), columns=["link", column])
    found = np.full(len(links), np.nan)
    at = pc.index_in(read.column("link").combine_chunks(), value_set=links)
    known = np.asarray(at.is_valid())
    values = read.column(column).to_numpy().astype(np.float64)
    found[np.asarray(at.fill_null(0))[known]] = values[known]
    return found


def _table_of(run: FinishedRun, part: str) -> tuple[Path, list[str]]:
    """Return the table that a part can be had from, with the fewest other parts."""
    found = []
    for grouping in run.groupings:
        parts = grouping.replace("week-hour", "week_hour").split("-")
        for rank, source in enumerate(SOURCES[part]):
            if source in parts:
                found.append((len(parts), rank, grouping, parts))
    if not found:
        wanted = part.replace("_", "-")
        there = ", ".join(run.groupings) or "none"
        raise UsageError(
            f"{run.folder} has no {BY}{wanted}{PARQUET}: run again with --by {wanted}"
            f" (speeds by: {there})"
        )
    _, _, grouping, parts = min(found)
    return run.checked(f"{BY}{grouping}{PARQUET}"), parts


def _cells_of(path: Path, part: str, source: str) -> Cells:
    if part == "hour":
        return Cells(part, names_of_hours())
    column = pq.read_table(path, columns=[source]).column(source)
    if part in ("day", "week_hour"):
        last = pc.max(column).as_py() or 0
        holidays = last >= len(DAYS) if source == "day" else last >= (len(DAYS) - 1) * HOURS
        days = len(DAYS) if holidays else len(DAYS) - 1
        return Cells(part, DAYS[:days] if part == "day" else names_of_week(days))
    if part == "date":
        names = tuple(str(day) for day in sorted(pc.unique(column).to_pylist()))
    else:
        names = _periods(path, column)
    if len(names) > MOST_CELLS:
        raise UsageError(f"{path.name} has {len(names):,} of these; at most {MOST_CELLS:,} fit")
    return Cells(part, names)


def _periods(path: Path, column: Any) -> tuple[str, ...]:
    """Return the names of periods in their order: as metadata says, or as links have them.

    Rows of a link ascend by the period's number, so a name that comes after another in a link's
    rows is later; names are put in an order that no link contradicts.
    """
    about = json.loads((pq.read_schema(path).metadata or {}).get(b"roadspeed", b"{}"))
    there = pc.unique(column).to_pylist()
    if said := [name for name in about.get("periods", ()) if name in there]:
        return (*said, *sorted(set(there) - set(said)))
    number = pc.index_in(column.combine_chunks(), value_set=pa.array(there)).to_numpy()
    link = pq.read_table(path, columns=["link"]).column("link").combine_chunks()
    same = np.asarray(pc.equal(link.slice(1), link.slice(0, max(0, len(link) - 1))))
    later = np.zeros((len(there), len(there)), dtype=bool)
    later[number[1:][same], number[:-1][same]] = True
    for middle in range(len(there)):
        later |= later[:, middle, None] & later[None, middle]
    return tuple(there[i] for i in np.argsort(later.sum(axis=1), kind="stable"))


def _numbers(column: Any, cells: Cells, part: str, source: str) -> Ints:
    """Return the number of each row's cell: int64[k]."""
    if part == "period":
        column = pc.index_in(column, value_set=pa.array(cells.names))
    if part == "date":
        column = pc.index_in(column.cast(pa.string()), value_set=pa.array(cells.names))
    number: Ints = column.to_numpy(zero_copy_only=False).astype(np.int64)
    if source == "day":
        return number - 1
    if source == "week_hour" and part != "week_hour":
        return number % HOURS if part == "hour" else number // HOURS
    return number
