"""Trips of the demo town as flat rows, and as objects of every format; a job of all measures."""

from __future__ import annotations

import io
import json
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

import mapreduce as mr
from roadspeed.speeds import Speeds
from tests.roadspeed.rows import Rows, as_csv, as_lines
from tests.roadspeed.towns import default_town

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TRIPS = 8
ZONE, HOLIDAY = ZoneInfo("Europe/London"), date(2019, 5, 9)
BY = ("hour", "day", "date", "period", "week-hour", "direction", "direction-week-hour")
PERIODS = ("morning=Mon-Fri 06:00-10:00", "night=22:00-05:00")


@cache
def rows() -> tuple[Rows, ...]:
    """Give the rows of each trip, with what may be wrong with them."""
    return tuple(_rows(number) for number in range(1, TRIPS + 1))


def _rows(number: int) -> Rows:
    found = []
    for at, fix in enumerate(default_town().trip(number)["data"]):
        match = fix["dbResponse"] or {}
        link = match.get("linkID", "")
        found.append(
            {
                "trip": f"trip {number}",
                "link": int(link) if link.isdecimal() else None,
                "speed": fix["absVelocity"],
                "time": None if at % 97 == 5 else fix["datetime"],
                "way": match.get("dirTravel"),
                "limit": match.get("speedLimit"),
                "lat": fix["lat"],
                "lon": fix["long"],
            }
        )
    return found


def job(form: str = "json", **more: Any) -> Speeds:
    """The job of everything at once, over such rows."""
    given: dict[str, Any] = {
        "by": BY,
        "periods": PERIODS,
        "holidays": (HOLIDAY.toordinal() - date(1970, 1, 1).toordinal(),),
        "zone": mr.SideFile(mr.zone_file(ZONE.key)),
        "direction_from": "field",
        "direction": "way",
        "direction_values": "F=forward,T=backward",
        "speed_limit": "limit",
        "trip_ends": 50.0,
    }
    given |= {"link": "link", "speed": "speed", "trip": "trip", "time": "time"}
    given |= {"latitude": "lat", "longitude": "lon", "format": form}
    return Speeds(**given | more)


def as_document(mine: Rows) -> bytes:
    """Write a document of 2019."""
    return json.dumps({"data": mine}).encode()


def as_parquet(mine: Rows) -> bytes:
    """Write Parquet whose times are timestamps."""
    table = pa.Table.from_pylist(mine)
    times = pa.array([None if t is None else moment(t) for t in table["time"].to_pylist()])
    table = table.set_column(table.column_names.index("time"), "time", times)
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=700)
    return out.getvalue()


def with_numbers(mine: Rows, scale: int) -> Rows:
    """Give the same rows with times as numbers: seconds, or so many in a second."""
    return [
        row | {"time": None if row["time"] is None else moment(row["time"]).timestamp() * scale}
        for row in mine
    ]


def moment(text: str) -> datetime:
    """Read a time of these rows."""
    return datetime.fromisoformat(text)


WRITERS: Mapping[str, Callable[[Rows], bytes]] = {
    "json": as_document,
    "json-lines": as_lines,
    "csv": as_csv,
    "parquet": as_parquet,
}


def many(form: str = "json") -> dict[str, bytes]:
    """Give an object a trip."""
    return {f"{number:02}": WRITERS[form](mine) for number, mine in enumerate(rows())}


def mixed(form: str = "json") -> dict[str, bytes]:
    """Give one object in which the fixes of two trips each take turns, and the trips fall."""
    found: Rows = []
    for one, other in zip(rows()[::2], rows()[1::2], strict=True):
        turns = [row for pair in zip(one, other, strict=False) for row in pair]
        shorter = min(len(one), len(other))
        found = [*turns, *one[shorter:], *other[shorter:], *found]
    return {"all": WRITERS[form](found)}


def as_plain_parquet(mine: Rows) -> bytes:
    """Write Parquet with the types that the values have."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(mine), out, row_group_size=700)
    return out.getvalue()


def lines_of(features: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Give the ids and the lines of roads."""
    ids = np.array([one["properties"]["link_id"] for one in features], np.int64)
    lines = shapely.from_geojson([json.dumps(one["geometry"]) for one in features])
    order = np.argsort(ids)
    return ids[order], lines[order]
