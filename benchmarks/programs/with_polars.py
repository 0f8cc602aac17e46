"""Polars: a lazy scan with the schema given, exploded and grouped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from benchmarks.answers import answer

if TYPE_CHECKING:
    from benchmarks.answers import Rows


def start(threads: int) -> Any:
    """Import Polars, which reads its number of threads only then."""
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl  # noqa: PLC0415 - after the variable is set

    return pl


def speeds(pl: Any, folder: str) -> Rows:
    """Run the query."""
    fix = pl.Struct({"absVelocity": pl.Float64, "dbResponse": pl.Struct({"linkID": pl.String})})
    speed = pl.col("data").struct.field("absVelocity").alias("speed")
    link = pl.col("data").struct.field("dbResponse").struct.field("linkID").alias("link")
    table = (
        pl.scan_ndjson(f"{folder}/*/*.json", schema={"data": pl.List(fix)})
        .explode("data")
        .select(link.cast(pl.Int64, strict=False), speed)
        .drop_nulls()
        .group_by("link")
        .agg(pl.len().alias("count"), pl.col("speed").mean().alias("mean"))
        .sort("link")
        .collect(engine="streaming")
    )
    rows: Rows = table.rows()
    return rows


if __name__ == "__main__":
    answer(start, speeds)
