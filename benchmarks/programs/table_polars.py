"""Polars: a lazy scan, the types of CSV given, grouped by the streaming engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.answers import answer
from benchmarks.programs.with_polars import start

if TYPE_CHECKING:
    from benchmarks.answers import Rows


def speeds(pl: Any, folder: str) -> Rows:
    """Run the query."""
    if folder.endswith("csv"):
        types = {"trip": pl.String, "latitude": pl.Float64, "longitude": pl.Float64}
        types |= {"link": pl.Int64, "speed": pl.Float64}
        table = pl.scan_csv(f"{folder}/*/*.csv", schema=types)
    else:
        table = pl.scan_parquet(f"{folder}/*/*.parquet")
    found = (
        table.select("link", "speed")
        .drop_nulls()
        .group_by("link")
        .agg(pl.len().alias("count"), pl.col("speed").mean().alias("mean"))
        .collect(engine="streaming")
    )
    rows: Rows = found.rows()
    return rows


if __name__ == "__main__":
    answer(start, speeds)
