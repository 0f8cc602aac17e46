"""The town's fixes as CSV and as Parquet: this project beside DuckDB, Polars and chDB.

All read the same files in one run, in interleaved rounds, each in a fresh process. The others are
told the columns and their types, and give count and mean; ours gives its seven columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import ujson

from benchmarks import peers
from benchmarks.corpus import Corpus, corpus
from benchmarks.peers import Entrant

if TYPE_CHECKING:
    from pathlib import Path

FORMATS: Final = ("csv", "parquet")
TABLES: Final = 144  # hard links of one: as many fixes as the runs of 2019 had
OURS: Final = Entrant("**this project%**, 2 processes, seven columns", "table_roadspeed", 2, 99)
ENTRANTS: Final = (
    OURS,
    Entrant("Polars%, 2 threads", "table_polars", 2, 99, "polars"),
    Entrant("DuckDB%, 2 threads", "table_duckdb", 2, 99, "duckdb"),
    Entrant("chDB%, 2 threads", "table_chdb", 2, 99, "chdb"),
)


def measured(root: Path, files: int, tables: int, rounds: int) -> str:
    """Measure both formats; give the tables of the page."""
    told = []
    for format_ in FORMATS:
        many, few = (made(root, files, n, format_) for n in (tables, 1))
        runs = peers.measure(many, few, ENTRANTS, rounds)
        told.append(f"**{format_}**: {peers.report(many, runs, OURS)}")
    return "\n\n".join(told)


def made(root: Path, files: int, tables: int, format_: str) -> Corpus:
    """Make tables of the town's fixes, each of which holds those of `files` trips."""
    folder = root / f"fixes-{files}-{tables}-{format_}"
    inside = folder / "0"
    inside.mkdir(parents=True, exist_ok=True)
    first = root / f"fixes-{files}.{format_}"
    if not first.exists():
        _write(_fixes(root, files), first)
    for number in range(tables):
        link = inside / f"{number:03}.{format_}"
        if not link.exists():
            link.hardlink_to(first)
    return Corpus(folder, tables, 1, first.stat().st_size * tables, "table")


def _fixes(root: Path, files: int) -> pa.Table:
    """Give the fixes of trips with the columns that a warehouse would have."""
    rows = []
    for trip in sorted(corpus(root, files, files).folder.glob("*/*.json")):
        for fix in ujson.loads(trip.read_bytes())["data"]:
            link = (fix.get("dbResponse") or {}).get("linkID")
            if link and link.isdecimal() and isinstance(fix.get("absVelocity"), float):
                where = {"latitude": fix["lat"], "longitude": fix["long"]}
                speed = fix["absVelocity"]
                rows.append({"trip": trip.stem, **where, "link": int(link), "speed": speed})
    return pa.Table.from_pylist(rows)


def _write(fixes: pa.Table, path: Path) -> None:
    part = path.with_suffix(".part")
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(fixes, part, pyarrow.csv.WriteOptions(quoting_style="none"))
    else:
        pyarrow.parquet.write_table(fixes, part)
    part.replace(path)
