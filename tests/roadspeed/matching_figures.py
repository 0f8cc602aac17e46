"""The figures of docs/matching.md: `python -m tests.roadspeed.matching_figures`.

Shares of fixes on the right way and fixes a second by sampling interval, and how far off each
source of speed is by the time between fixes. Rates are of one process; a busy machine lowers them.
"""

from __future__ import annotations

import json
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mapreduce.output import say
from roadspeed.osm.links import NO_LINK
from roadspeed.osm.match_folder import folder_of
from roadspeed.osm.matcher import NO_LEG
from roadspeed.osm.osm_roads import LINKS_A_WAY
from roadspeed.positions import haversine_m
from tests.curitiba import CURITIBA
from tests.roadspeed.osm_files import write_extract
from tests.roadspeed.test_matching import fixes_of, matcher
from tests.roadspeed.towns import default_town

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roadspeed.osm.match_folder import MatchFolder

INTERVALS_S = (0, 2, 5, 15)
NOISES_M = (0.1, 5.0, 10.0, 20.0)
APART_S = (1, 5, 15, 30)
TOWN_TRIPS = range(1, 21)
SECOND_US = 1_000_000
KMH = 3.6
MOST_GAP_S = 60


def curitiba_drives() -> Iterator[tuple[Any, Any, Any, Any]]:
    """Latitude, longitude, seconds and recorded speed of each drive, by time."""
    for path in sorted((CURITIBA / "trips").glob("*.json")):
        fixes = [
            fix
            for fix in json.loads(path.read_bytes())["data"]
            if fix["lat"] is not None and fix["absVelocity"] is not None
        ]
        seconds = np.array([datetime.fromisoformat(fix["datetime"]).timestamp() for fix in fixes])
        order = np.argsort(seconds, kind="stable")
        columns = (np.array([f[name] for f in fixes]) for name in ("lat", "long", "absVelocity"))
        lat, lon, speed = (column[order] for column in columns)
        yield lat, lon, seconds[order], speed


def town_drives(noise_m: float) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Do the same for drives made up, a fix a second."""
    for number in TOWN_TRIPS:
        fixes = default_town().trip(number)["data"]
        lat, lon, _ = fixes_of(fixes, noise_m, number, at="true")
        speeds = [
            np.nan if fix["absVelocity"] is None else fix["absVelocity"]
            for fix in fixes
            if fix["dbResponse"] and fix["dbResponse"]["matchLatitude"] is not None
        ]
        yield lat, lon, np.arange(len(lat)) * 1.0, np.array(speeds)


def share_and_rate(
    folder: MatchFolder, trips: Any, accuracy_m: float, interval_s: float
) -> tuple[float, float]:
    """Give the share of fixes on their way, and fixes matched a second."""
    matching, right, known, fixes = matcher(folder, accuracy_m, interval_s), 0, 0, 0
    began_s = time.perf_counter()
    for lat, lon, way in trips:
        found = matching.match(lat, lon, np.arange(len(lat)) * SECOND_US).link
        right += int(np.count_nonzero((found // LINKS_A_WAY == way) & (way >= 0)))
        known += int(np.count_nonzero(way >= 0))
        fixes += len(lat)
    return right / known, fixes / (time.perf_counter() - began_s)


def errors(drives: Any, folder: MatchFolder, apart_s: float) -> tuple[float, float]:
    """Give the mean errors of speeds from positions, and along the road, in km/h."""
    matching, off = matcher(folder, interval_s=5.0), []
    for lat, lon, seconds, speed in drives:
        kept = [0]
        for place in range(1, len(seconds)):
            if seconds[place] - seconds[kept[-1]] >= apart_s:
                kept.append(place)
        found = matching.match(lat[kept], lon[kept], (seconds[kept] * 1e6).astype(np.int64))
        straight_m = haversine_m(lat[kept[:-1]], lon[kept[:-1]], lat[kept[1:]], lon[kept[1:]])
        way_m = np.maximum(np.diff(found.at_mm), 0) / 1e3
        passed_s = np.diff(seconds[kept])
        good = (passed_s > 0) & (passed_s <= MOST_GAP_S) & (np.diff(found.leg) == 0)
        good &= (found.leg[1:] != NO_LEG) & (found.link[1:] != NO_LINK)
        for i in np.flatnonzero(good).tolist():
            between = speed[kept[i] + 1 : kept[i + 1] + 1]
            if np.isfinite(between).any():
                true = np.nanmean(between)
                ways = (straight_m[i], way_m[i])
                off.append([abs(way / passed_s[i] * KMH - true) for way in ways])
    positions, along = np.mean(off, axis=0)
    return float(positions), float(along)


def main() -> None:
    """Say both tables."""
    with tempfile.TemporaryDirectory() as place:
        made = {}
        roads = json.loads((CURITIBA / "roads.geojson").read_bytes())["features"]
        for name, features in (("curitiba", roads), ("town", default_town().roads()["features"])):
            write_extract(Path(place, f"{name}.osm.pbf"), features)
            made[name] = folder_of(Path(place, f"{name}.osm.pbf"))
        real = [
            fixes_of(json.loads(path.read_bytes())["data"], 0.0, 0, at="raw")
            for path in sorted((CURITIBA / "trips").glob("*.json"))
        ]
        town = default_town()
        for interval_s in INTERVALS_S:
            told = [share_and_rate(made["curitiba"], real, 5.0, interval_s)]
            for noise_m in NOISES_M:
                trips = [fixes_of(town.trip(n)["data"], noise_m, n, at="true") for n in TOWN_TRIPS]
                told.append(share_and_rate(made["town"], trips, max(noise_m, 5.0), interval_s))
            shares = ", ".join(f"{share:.1%}" for share, _ in told)
            rates = sorted(rate for _, rate in told)
            say(f"{interval_s} s: {shares}; {rates[0]:,.0f} to {rates[-1]:,.0f} fixes/s")
        for apart_s in APART_S:
            cells = [
                errors(curitiba_drives(), made["curitiba"], apart_s),
                errors(town_drives(0.1), made["town"], apart_s),
                errors(town_drives(5.0), made["town"], apart_s),
            ]
            say(f"{apart_s} s apart: " + "; ".join(f"{a:.1f}, {b:.1f}" for a, b in cells))


if __name__ == "__main__":
    main()
