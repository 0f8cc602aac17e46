"""Two finished runs compared link by link, from the tables that they wrote; no trip is read.

The first run is what the second is held against: a difference is that of B minus A, and `slower`
says that B is. Rows are paired by link, and with a grouping by link and cell. Runs may differ in
what they read, which is what is compared, but not in their unit; other parameters that differ are
told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mapreduce.atomic_file import whole
from mapreduce.errors import UsageError
from mapreduce.runs.finished import finished_run
from roadspeed.comparison import (
    FASTER,
    ONLY_A,
    ONLY_B,
    SLOWER,
    UNDECIDED,
    verdicts,
    welch_half_width_95,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mapreduce.runs.finished import FinishedRun
    from roadspeed.statistics import Floats, Ints

TABLE: Final = "speeds"
BY: Final = "speeds-by-"
ENDING: Final = ".parquet"
VALUES: Final = ("fixes", "trips", "mean", "std")
ABOUT: Final = b"roadspeed"
MEANINGS: Final = {
    "fixes_a": "Fixes of the first run.",
    "fixes_b": "Fixes of the second run.",
    "trips_a": "Trips of the first run.",
    "trips_b": "Trips of the second run.",
    "mean_a": "Mean speed of the fixes of the first run.",
    "mean_b": "Mean speed of the fixes of the second run.",
    "std_a": "Standard deviation of the fixes of the first run.",
    "std_b": "Standard deviation of the fixes of the second run.",
    "difference": "mean_b - mean_a; null where only one run has the link.",
    "ci95": "Half-width of the 95 % confidence interval of the difference (Welch), as if fixes were"
    " independent. Fixes of one trip are not, so treat it as a lower bound. Null where a run has"
    " fewer than two fixes.",
    "verdict": "slower or faster: the second run is, by more than ci95; undecided: by less,"
    " or in too few trips;"
    " only_a, only_b: the other run has no fix.",
}
SPEEDS: Final = frozenset(("mean_a", "mean_b", "std_a", "std_b", "difference", "ci95"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it: a row for each link, or link and cell, that one of the runs has.

    Attributes
    ----------
    keys
        The columns that name a row: `link`, and the parts of the grouping.
    unit
        Of all speeds.
    rows
        An Arrow table of the keys and of `MEANINGS`, ascending by key.
    notes
        What else the runs differ in, for people.
    """

    keys: tuple[str, ...]
    unit: str
    rows: Any
    notes: tuple[str, ...]


def compare(a: Path, b: Path, grouping: str | None = None, *, min_trips: int = 1) -> Comparison:
    """Compare the second run with the first.

    Parameters
    ----------
    a, b
        Folders (`--out`) of finished runs.
    grouping
        As `hour`, of the tables `speeds-by-hour`; None for the speeds of all time.
    min_trips
        Rows with fewer trips in one of the runs are undecided.

    Raises
    ------
    UsageError
        Where a folder holds no finished run or no such table, or units or ids differ.
    MapReduceError
        Where a file was changed since.
    """
    name = (TABLE if grouping is None else BY + grouping) + ENDING
    runs = [finished_run(folder) for folder in (a, b)]
    tables = [_read(run, name) for run in runs]
    units = [json.loads(table.schema.metadata[ABOUT])["unit"] for table in tables]
    if units[0] != units[1]:
        raise UsageError(
            f"{a} is in {units[0]}, {b} in {units[1]}: only speeds in one unit can be compared."
            " Run one of them again with the other's --unit, if the trips are in it"
        )
    keys = _keys_of(tables[0])
    _check_ids(keys, tables, runs)
    return Comparison(keys, units[0], _compared(keys, tables, min_trips), tuple(_notes(runs)))


def write_comparison(path: Path, found: Comparison, runs: Sequence[Path]) -> None:
    """Write all rows as Parquet or CSV, by the ending of the name.

    Raises
    ------
    UsageError
        Where it has another ending.
    """
    check_name(path)
    about = {"unit": found.unit, "a": str(runs[0]), "b": str(runs[1])}
    schema = pa.schema(
        [_described(field, found.unit) for field in found.rows.schema],
        {ABOUT: json.dumps(about, ensure_ascii=False).encode()},
    )
    rows = found.rows.cast(schema)
    with whole(path) as partial:
        if path.suffix == ENDING:
            pq.write_table(rows, partial, compression="zstd")
        else:
            pa_csv.write_csv(rows, partial)


def check_name(path: Path) -> None:
    """Refuse a file of no known kind, or in no folder, before the work."""
    if path.suffix not in {ENDING, ".csv"}:
        raise UsageError(f"--out {path}: expected a name that ends in .csv or .parquet")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--out {path}: there is no folder {path.parent}")


def surest(found: Comparison, most: int) -> list[dict[str, Any]]:
    """Give the rows that differ for sure, those first whose difference is surely the largest.

    That is the least that the interval leaves of it: `abs(difference) - ci95`.
    """
    difference = _floats(found.rows, "difference")
    at_least = np.abs(difference) - _floats(found.rows, "ci95")
    sure = np.flatnonzero(np.isin(found.rows.column("verdict").to_numpy(), (SLOWER, FASTER)))
    order = sure[np.argsort(-at_least[sure], kind="stable")][:most]
    rows: list[dict[str, Any]] = found.rows.take(pa.array(order)).to_pylist()
    return rows


def counts(found: Comparison) -> dict[str, int]:
    """Count rows by verdict."""
    counted = found.rows.column("verdict").value_counts().to_pylist()
    return {one["values"]: one["counts"] for one in counted}


def _read(run: FinishedRun, name: str) -> Any:
    if not run.has(name):
        by = sorted(n[len(BY) : -len(ENDING)] for n in run.receipt.files if _is_grouping(n))
        if name == TABLE + ENDING:
            raise UsageError(f"{run.folder} belongs to another job: its run wrote no {name}")
        grouping = name[len(BY) : -len(ENDING)]
        have = f"it has {', '.join(by)}" if by else "it has no grouping"
        raise UsageError(
            f"{run.folder} has no table by {grouping}: {have}. Run again with --by {grouping}"
        )
    path = run.file(name)
    try:
        names = pq.read_schema(path).names
        table = pq.read_table(path, columns=[*names[: names.index("fixes")], *VALUES])
        _ = table.schema.metadata[ABOUT]
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{path}: expected a table that roadspeed wrote; {error}") from None
    return table


def _is_grouping(name: str) -> bool:
    return name.startswith(BY) and name.endswith(ENDING)


def _keys_of(table: Any) -> tuple[str, ...]:
    names = table.schema.names
    return tuple(names[: names.index("fixes")])


def _check_ids(keys: Sequence[str], tables: Sequence[Any], runs: Sequence[FinishedRun]) -> None:
    """Refuse links, or cells, that are not of one kind."""
    if _keys_of(tables[1]) != tuple(keys):
        raise UsageError(
            f"rows are named by {', '.join(keys)} in {runs[0].folder}, and by"
            f" {', '.join(_keys_of(tables[1]))} in {runs[1].folder}: they cannot be paired"
        )
    for key in keys:
        kinds = [table.schema.field(key).type for table in tables]
        if kinds[0] != kinds[1]:
            raise UsageError(
                f"column {key} is {kinds[0]} in {runs[0].folder}, and {kinds[1]} in"
                f" {runs[1].folder}: rows cannot be paired. Run one of them again with the other's"
                " --link-type"
            )


def _compared(keys: tuple[str, ...], tables: Sequence[Any], min_trips: int) -> Any:
    a, b = (table.select([*keys, *VALUES]).replace_schema_metadata(None) for table in tables)
    joined = a.join(
        b, keys=list(keys), join_type="full outer", left_suffix="_a", right_suffix="_b"
    ).sort_by([(key, "ascending") for key in keys])
    fixes = [_ints(joined, f"fixes_{side}") for side in "ab"]
    difference = _floats(joined, "mean_b") - _floats(joined, "mean_a")
    half = welch_half_width_95(
        _floats(joined, "std_a"), fixes[0], _floats(joined, "std_b"), fixes[1]
    )
    said = verdicts(difference, half)
    fewest = np.minimum(_ints(joined, "trips_a"), _ints(joined, "trips_b"))
    said[fewest < min_trips] = UNDECIDED
    said[fixes[1] == 0], said[fixes[0] == 0] = ONLY_A, ONLY_B
    columns = {key: joined.column(key) for key in keys}
    columns |= {f"{n}_{side}": joined.column(f"{n}_{side}") for n in VALUES for side in "ab"}
    columns |= {
        "difference": pa.array(difference, from_pandas=True),
        "ci95": pa.array(half, from_pandas=True),
        "verdict": pa.array(said),
    }
    return pa.table(columns)


def _ints(table: Any, name: str) -> Ints:
    column: Ints = table.column(name).fill_null(0).to_numpy().astype(np.int64)
    return column


def _floats(table: Any, name: str) -> Floats:
    column: Floats = table.column(name).to_numpy().astype(np.float64)  # null becomes NaN
    return column


def _described(field: Any, unit: str) -> Any:
    about = {"unit": unit if field.name in SPEEDS else ""}
    if field.name in MEANINGS:
        about["description"] = MEANINGS[field.name]
    return field.with_metadata(about)


def _notes(runs: Sequence[FinishedRun]) -> list[str]:
    """Say what else the runs differ in than the objects that they read."""
    a, b = ({"job": run.said["job"], **run.said["parameters"]} for run in runs)
    first, second = (run.folder for run in runs)
    return [
        f"{name} is {a.get(name)!r} in {first} and {b.get(name)!r} in {second}"
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    ]
