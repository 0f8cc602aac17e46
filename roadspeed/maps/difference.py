"""Speeds against other speeds: rush hour against free flow, one run against another.

A side is a speed of each link and the fixes it rests on. Free flow is what the run wrote of it; a
run that wrote none gives the mean of its off-peak hours' 85th percentiles, weighted by fixes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from mapreduce.errors import UsageError
from roadspeed.maps.finished_run import FinishedRun, finished_run
from roadspeed.maps.shown import Shown, name_of
from roadspeed.maps.speeds_by_cell import cells_there, one_column, parts_there, speeds_by_cell

if TYPE_CHECKING:
    from typing import Any

    from roadspeed.maps.cells import Cells
    from roadspeed.maps.strokes import Floats, Ints
    from roadspeed.outputs.link_table import LinkTable

FREE_FLOW: Final = "free-flow"
LIMIT: Final = "limit"
ALL: Final = "all"
OFF_PEAK: Final = (*range(9, 16), *range(19, 22))  # of weekdays, as the FHWA has it
P85: Final = "p85"
NAMES: Final = {FREE_FLOW: "free flow", LIMIT: "the limit"}
FILES: Final = {FREE_FLOW: ("free-flow.parquet", "free_flow"), LIMIT: ("limits.parquet", "limit")}


@dataclass(frozen=True, slots=True)
class Side:
    """One of two speeds: float64[n] in the run's unit, NaN where unknown; its fixes, int64[n].

    `fixes` is None where they are not counted, as of a posted limit.
    """

    name: str
    speed: Floats
    fixes: Ints | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which speeds of a run: a column, of some cells of one part; without a part of all time."""

    column: str = "mean"
    part: str | None = None
    cells: str | None = None


def with_part(run: FinishedRun, choice: Choice, *more: str) -> Choice:
    """Choose the part whose cells a choice names, unless it has one; never hours of the week.

    Parameters
    ----------
    run
        Whose tables there are.
    choice
        What was asked for.
    more
        Other texts that must name cells of it too.

    Raises
    ------
    UsageError
        Where no part has all these cells, or the run has none at all.
    """
    texts = [*([] if choice.cells is None else [choice.cells]), *more]
    if choice.part is not None or not texts:
        return choice
    first: UsageError | None = None
    there = [part for part in parts_there(run) if part != "week_hour"]  # 8 is an hour of the day
    for part in there or ["hour"]:
        try:
            for text in texts:
                _chosen(cells_there(run, part), text)
        except UsageError as error:
            first = first or error
        else:
            return replace(choice, part=part)
    raise first or AssertionError


def side_of(run: FinishedRun, table: LinkTable, choice: Choice, links: Any) -> Side:
    """Return one side: all time without cells, else these cells together."""
    if choice.cells is None or choice.part is None:
        return Side("all time", _all_time(run, table, choice.column, links), table.fixes)
    found = speeds_by_cell(run, choice.part, choice.column, links)
    chosen = _chosen(found.cells, choice.cells)
    speed, fixes = found.of(chosen)
    return Side(found.cells.label(chosen), speed, fixes)


def against(
    run: FinishedRun, table: LinkTable, choice: Choice, other: str, links: Any
) -> tuple[Side, Side]:
    """Return both sides of a difference.

    Parameters
    ----------
    run, table
        The run and its links.
    choice
        The first side.
    other
        The second: the folder of another run, `free-flow`, `limit`, `all`, or cells.
    links
        Arrow array of the links.

    Raises
    ------
    UsageError
        Where the run, or the other, does not have what is asked for.
    """
    if other in FILES:
        choice = with_part(run, choice)
        return side_of(run, table, choice, links), _reference(run, other, links)
    if Path(other).is_dir():
        return _of_runs(run, table, choice, Path(other), links)
    if other == ALL:
        choice = with_part(run, choice)
        return side_of(run, table, choice, links), side_of(run, table, Choice(choice.column), links)
    if "/" in other:
        raise UsageError(f"--against {other}: expected the folder of a finished run; there is none")
    choice = with_part(run, choice, other)
    second = side_of(run, table, replace(choice, cells=other), links)
    return side_of(run, table, choice, links), second


def shown_of_difference(one: Side, two: Side, column: str, *, relative: bool) -> Shown:
    """Return what the colours of a difference mean."""
    name = name_of(column)
    of = two.name if two.fixes is None else f"that of {two.name}"
    label = (
        f"{_capital(name)} as a share of {of}; orange is slower"
        if relative
        else f"Difference of {name}, {{unit}}; orange is slower"
    )
    where = "" if two.fixes is None else " on a side"
    return Shown(
        "ratio" if relative else "difference",
        _capital(f"{one.name} against {two.name}"),
        label,
        f"fewer than {{min_fixes:,}} fixes{where}",
    )


def values_of(one: Side, two: Side, *, relative: bool) -> tuple[Floats, Ints]:
    """Return the difference or ratio, float64[n], and the fewer fixes of both sides, int64[n]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        values = one.speed / two.speed if relative else one.speed - two.speed
    fixes = one.fixes if one.fixes is not None else np.zeros(len(values), np.int64)
    return values, fixes if two.fixes is None else np.minimum(fixes, two.fixes)


def _of_runs(
    run: FinishedRun, table: LinkTable, choice: Choice, folder: Path, links: Any
) -> tuple[Side, Side]:
    other = finished_run(folder)
    theirs = other.link_table()
    if theirs.unit != table.unit:
        raise UsageError(
            f"{folder} has speeds in {theirs.unit}, and {run.folder} in {table.unit}: run one of"
            " them again with the --unit of its trips converted"
        )
    choice = with_part(run, choice)
    second = side_of(other, theirs, choice, pa.array(theirs.ids))
    place = {link: number for number, link in enumerate(theirs.ids)}
    at = np.array([place.get(link, -1) for link in table.ids], dtype=np.int64)
    speed = np.append(second.speed, np.nan)[at]
    counts = second.fixes if second.fixes is not None else np.zeros(len(theirs), np.int64)
    first = side_of(run, table, choice, links)
    when = "" if choice.cells is None else f", {first.name}"
    return (
        replace(first, name=f"{run.folder.name}{when}"),
        Side(folder.name, speed, np.append(counts, 0)[at]),
    )


def _reference(run: FinishedRun, name: str, links: Any) -> Side:
    file, column = FILES[name]
    if run.has(file):
        return Side(NAMES[name], one_column(run, file, column, links), None)
    if name == LIMIT:
        raise UsageError(
            f"{run.folder} has no {file}: run again with --speed-limit, where fixes say it"
        )
    found = speeds_by_cell(run, "hour", P85, links)
    speed, fixes = found.of(OFF_PEAK)
    return Side("off-peak p85", speed, fixes)


def _all_time(run: FinishedRun, table: LinkTable, column: str, links: Any) -> Floats:
    if column == "mean":
        return table.mean
    if not run.has("speeds-by-link.parquet"):
        raise UsageError(
            f"{run.folder} has {column} by cell only, and no speeds-by-link.parquet: add --cells"
        )
    return one_column(run, "speeds-by-link.parquet", column, links)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _chosen(cells: Cells, text: str) -> tuple[int, ...]:
    """Read several choices, with commas between them."""
    return tuple(sorted({cell for part in text.split(",") for cell in cells.chosen(part)}))
