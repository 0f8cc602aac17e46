"""What a time costs to decode beside a speed: `python -m benchmarks.times`.

CPU time of a row, of this process alone: the least of several readings, less that of a reading
without either field. Trips as in 2019 (1,700 fixes, one a second), and a table of 100,000 rows.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import mapreduce as mr

if TYPE_CHECKING:
    from collections.abc import Callable

TRIP, TABLE, READINGS = 1_700, 100_000, 15
START = datetime(2019, 3, 1, 8, 15, 30, tzinfo=UTC)
STYLES = {
    "in UTC": "%Y-%m-%dT%H:%M:%SZ",
    "local": "%Y-%m-%d %H:%M:%S",
    "with an offset": "%Y-%m-%dT%H:%M:%S+01:00",
    "with milliseconds": "%Y-%m-%dT%H:%M:%S.250Z",
}
ZONE = mr.TimeZone(mr.zone_file("Europe/London"))
BASE: dict[str, Any] = {"lat": mr.Float("lat")}
SPEED: dict[str, Any] = {**BASE, "speed": mr.Float("speed")}
TIME: dict[str, Any] = {**BASE, "time": mr.Time("time", optional=True, zone=ZONE, lenient=True)}


def main() -> None:
    """Print nanoseconds of a row, and the ratio."""
    for style, layout in STYLES.items():
        for n in (TRIP, TABLE):
            for form, read in (("JSON", _json(n, layout)), ("CSV", _csv(n, layout))):
                base, speed, moment = (_cpu_ns(read(fields)) / n for fields in (BASE, SPEED, TIME))
                print(
                    f"{form:4} {n:7,} rows, times {style:17}: without {base:5.0f} ns,"
                    f" a speed {speed - base:4.0f}, a time {moment - base:4.0f};"
                    f" with a time {moment / speed:.2f} of with a speed"
                )


def _rows(n: int, layout: str) -> list[dict[str, Any]]:
    seeded = Random(5)
    return [
        {
            "time": (START + timedelta(seconds=k)).strftime(layout),
            "speed": round(seeded.uniform(0, 120), 2),
            "lat": round(seeded.uniform(54, 55), 6),
        }
        for k in range(n)
    ]


def _json(n: int, layout: str) -> Callable[[dict[str, Any]], Callable[[], object]]:
    document = json.dumps({"data": _rows(n, layout)}).encode()

    def read(fields: dict[str, Any]) -> Callable[[], object]:
        form = mr.Json(at="data", **fields)
        return lambda: form.parse(document)

    return read


def _csv(n: int, layout: str) -> Callable[[dict[str, Any]], Callable[[], object]]:
    lines = [f"{row['time']},{row['speed']},{row['lat']}\n" for row in _rows(n, layout)]
    table = "".join(["time,speed,lat\n", *lines]).encode()

    def read(fields: dict[str, Any]) -> Callable[[], object]:
        form = mr.Csv(**fields)
        return lambda: form.begin()(table)

    return read


def _cpu_ns(read: Callable[[], object]) -> int:
    found = []
    for _ in range(READINGS):
        before = time.process_time_ns()
        read()
        found.append(time.process_time_ns() - before)
    return min(found)


if __name__ == "__main__":
    main()
