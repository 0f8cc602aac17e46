"""The join against the way of 2019: `python benchmarks/join.py` starts its own PostGIS.

140,000 link ids of 170,000 roads. The 2019 way opens 14 connections, one after the other, and
asks each for 10,000 ids written out in the query, with the geometry as text. Ours is
`roadspeed.roads.join`. Both directly and through a wire with a 100 ms round trip, runs
interleaved, medians. What comes back is compared before anything is timed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg2
import shapely

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from roadspeed import roads
from tests.services.delay import Wire, delayed
from tests.services.postgis import Postgis, private_postgis

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ROADS, IDS, CONNECTIONS = 170_000, 140_000, 14
ROUND_TRIP_S = 0.1
BESIDE = "ours, directly"  # timed in between the delayed ones, to tell what the wire costs
# Lines of 4 to 16 vertices (10 on average), in no order, ids with gaps, an index, as in 2019.
TABLE = f"""
SELECT setseed(0.5);
CREATE TABLE roads AS
SELECT 1000000000 + 7 * g + g % 5 AS link_id,
       ST_SetSRID(ST_MakeLine(ARRAY(SELECT ST_MakePoint(
         -8 + (g % 500) * 0.005 + k * 0.0004, 54 + (g / 500) * 0.004 + sin(k + g) * 0.0003)
         FROM generate_series(0, 3 + g % 13) k)), 4326)::geometry(LineString, 4326) AS geom
  FROM generate_series(1, {ROADS}) g ORDER BY random();
CREATE UNIQUE INDEX ON roads (link_id); ANALYZE roads;
"""
PROJECTED = """
CREATE TABLE irish AS SELECT link_id, ST_Transform(geom, 29902)::geometry(LineString, 29902) AS geom
  FROM roads; CREATE UNIQUE INDEX ON irish (link_id); ANALYZE irish;
"""


def as_in_2019(server: Postgis, port: int, ids: NDArray[np.int64]) -> dict[int, str]:
    """Ask 14 times for 10,000 ids written out, geometry as text."""
    found: dict[int, str] = {}
    step = IDS // CONNECTIONS
    for start in range(0, IDS, step):
        connection = psycopg2.connect(
            host=server.host, port=port, user=server.user, dbname=server.database
        )
        with connection.cursor() as cursor:
            wanted = ", ".join(str(link) for link in ids[start : start + step].tolist())
            cursor.execute(
                f"SELECT link_id, ST_AsText(geom) FROM roads WHERE link_id IN ({wanted})"
            )
            found.update(cursor.fetchall())
        connection.close()
    return found


def ours(server: Postgis, port: int, ids: NDArray[np.int64], table: str = "roads") -> roads.Joined:
    """Ask once, by key."""
    return roads.join(ids, server.url(f"table={table}", port=port))


def ours_as_text(server: Postgis, port: int, ids: NDArray[np.int64]) -> list[str]:
    """Ask once, and write the WKT that `speeds.csv` holds."""
    texts: list[str] = shapely.to_wkt(ours(server, port, ids).geometry, rounding_precision=-1)
    return texts


def median_s(runs: int, ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Time every way, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def check_same(server: Postgis, ids: NDArray[np.int64]) -> None:
    """Compare what the two ways find before timing them."""
    theirs = as_in_2019(server, server.port, ids)
    joined = ours(server, server.port, ids)
    texts = np.array([theirs[link] for link in ids.tolist()], dtype=object)
    same = shapely.equals_exact(shapely.from_wkt(texts), joined.geometry, 1e-12)
    if not same.all():
        raise SystemExit(f"the two ways differ on {int((~same).sum())} links")


def markdown(near: dict[str, float], far: dict[str, float], wire: Wire, joins: int) -> str:
    """Write the table for docs/benchmarks.md."""
    lines = [
        f"{IDS:,} ids of {ROADS:,} roads, PostGIS on the same machine ({os.cpu_count()} cores).",
        "Medians, seconds; in brackets how many times faster than the way of 2019.",
        "",
        f"| Way | directly | {ROUND_TRIP_S * 1000:.0f} ms a round trip |",
        "|---|---|---|",
    ]
    first = next(iter(near))
    for name in near:
        cells = [
            f"{taken[name]:.2f} ({taken[first] / taken[name]:.1f} times)" if name in taken else ""
            for taken in (near, far)
        ]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    trips = wire.round_trips / joins
    dearer = (far["ours"] - far[BESIDE]) / ROUND_TRIP_S
    lines += [
        "",
        f"Ours took {trips:.0f} round trips in all, connecting included.",
        f"The wire made it {dearer:.1f} round trips' time slower.",
    ]
    return "\n".join(lines)


def run(runs: int = 5) -> str:
    """Measure, and return the markdown."""
    with private_postgis() as server, contextlib.closing(server.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(TABLE + PROJECTED)
        cursor.execute("SELECT link_id FROM roads ORDER BY 1")
        every = np.array([row[0] for row in cursor.fetchall()], dtype=np.int64)
        ids = np.sort(np.random.default_rng(2019).choice(every, IDS, replace=False))
        check_same(server, ids)
        direct, literals = server.port, "2019: 14 connections, literals, text"
        near = median_s(
            runs,
            {
                literals: lambda: as_in_2019(server, direct, ids),
                "ours": lambda: ours(server, direct, ids),
                "ours, and its WKT written": lambda: ours_as_text(server, direct, ids),
                "ours, projected from Irish Grid (2019 projected nothing)": lambda: ours(
                    server, direct, ids, "irish"
                ),
            },
        )
        with delayed(direct, ROUND_TRIP_S) as slow, delayed(direct, ROUND_TRIP_S) as wire:
            far = median_s(
                runs,
                {
                    literals: lambda: as_in_2019(server, slow.port, ids),
                    "ours": lambda: ours(server, wire.port, ids),
                    BESIDE: lambda: ours(server, direct, ids),
                },
            )
        return markdown(near, far, wire, runs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="interleaved runs of each way")
    print(run(parser.parse_args().runs))
