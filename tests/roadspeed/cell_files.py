"""Tables of speeds by cell beside the other files of a finished run, computed by Polars."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq

from mapreduce.runs import receipt_file
from mapreduce.runs.report import file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PERCENTILES = (5, 15, 50, 85, 95)


def fixes_of(trips: Iterable[Path], zone: str = "UTC") -> pl.DataFrame:
    """Read trips of the 2019 shape: link, speed, trip and the cells of the local time of a fix."""
    rows: dict[str, list[Any]] = {"link": [], "speed": [], "time": [], "trip": []}
    for number, path in enumerate(trips):
        for fix in json.loads(path.read_text())["data"]:
            at = fix["dbResponse"]
            if at is None or at["linkID"] is None or fix["absVelocity"] is None:
                continue
            if not str(at["linkID"]).isdecimal():
                continue
            rows["link"].append(int(at["linkID"]))
            rows["speed"].append(float(fix["absVelocity"]))
            rows["time"].append(fix["datetime"])
            rows["trip"].append(number)
    time = pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    return with_cells(pl.DataFrame(rows).with_columns(time.dt.convert_time_zone(zone)))


def with_cells(fixes: pl.DataFrame) -> pl.DataFrame:
    """Add the cells of the column `time`: hour, day, week_hour, date."""
    hour, day = pl.col("time").dt.hour().cast(pl.Int64), pl.col("time").dt.weekday().cast(pl.Int64)
    return fixes.with_columns(
        hour=hour, day=day, week_hour=(day - 1) * 24 + hour, date=pl.col("time").dt.date()
    )


def write_by(folder: Path, grouping: str, fixes: pl.DataFrame) -> Path:
    """Write `speeds-by-GROUPING.parquet` as a run does, and enter it into the run's receipt."""
    parts = [] if grouping == "link" else grouping.replace("week-hour", "week_hour").split("-")
    speed = pl.col("speed")
    table = (
        fixes.group_by("link", *parts)
        .agg(
            fixes=pl.len().cast(pl.Int64),
            trips=pl.col("trip").n_unique().cast(pl.Int64),
            mean=speed.mean(),
            std=speed.std(),
            **{f"p{p}": speed.quantile(p / 100, "linear") for p in PERCENTILES},
        )
        .sort("link", *parts)
    )
    said = pq.read_schema(folder / "speeds.parquet").metadata[b"roadspeed"]
    about = {**json.loads(said), "grouping": grouping}
    made = table.to_arrow().replace_schema_metadata({"roadspeed": json.dumps(about)})
    path = folder / f"speeds-by-{grouping}.parquet"
    pq.write_table(made, path)
    entered(folder, path)
    return path


def entered(folder: Path, path: Path) -> None:
    """Enter a file into the receipt of a folder."""
    said = receipt_file.read(folder / "receipt.json")[1]
    del said["checksum"]
    said["files"][path.name] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    receipt_file.write(folder, said)
