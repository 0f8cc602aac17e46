"""What was planted in the town is found: its rush, and that bends and junctions are slow."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from roadspeed.speeds import Speeds
from tests.roadspeed.towns import default_town

TRIPS = 130
MAIN_ROADS = ("primary", "trunk", "secondary")
NEAR, LONG = 3, 10  # fixes, and so seconds: before a junction, and of a stay
SHARP_M = 25.0


def planted(fixes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give fixes with what is to be told apart in the place of a link."""
    found = []
    for _, stay_ in groupby(fixes, lambda fix: (fix["dbResponse"] or {}).get("linkID")):
        stay = [*stay_]
        halts = any(fix["absVelocity"] == 0 for fix in stay[NEAR:-NEAR])
        for at, fix in enumerate(stay):
            match = fix["dbResponse"]
            if match is None or fix["absVelocity"] is None:
                continue
            kind = "main" if match["roadType"] in MAIN_ROADS else match["roadType"]
            bend = "sharp bend" if abs(fix["radii"] or 1e9) < SHARP_M else "bend"
            bend = "straight" if fix["radii"] is None else bend
            near = "junction" if at >= len(stay) - NEAR else "midway"
            near = "halts" if halts or len(stay) < LONG else near
            row = {"speed": fix["absVelocity"], "time": fix["datetime"], "kind": kind}
            found.append(row | {"bend": f"{kind} {bend}", "near": f"{kind} {near}"})
    return found


@pytest.fixture(scope="module")
def trips() -> mr.Memory:
    town = default_town()
    made = {
        f"{number:03}": json.dumps({"data": planted(town.trip(number)["data"])}).encode()
        for number in range(1, TRIPS + 1)
    }
    return mr.Memory(made)


def tables(trips: mr.Memory, link: str, *by: str) -> dict[str, dict[str, Any]]:
    """Run with what is told apart as the link."""
    job = Speeds(
        link=link, link_type="text", speed="speed", time="time", by=by,
        periods=("work=Mon-Fri 00:00-24:00",) if "period-hour" in by else (),
    )  # fmt: skip
    result = mr.run(job, trips, workers=2)
    found: dict[str, dict[str, Any]] = {
        name: {key: np.asarray(column) for key, column in columns.items()}
        for name, columns in result.tables.items()
    }
    return found


def mean(table: dict[str, Any], link: str, hours: tuple[int, ...] | None = None) -> float:
    """Give the mean of a link over some hours, from their means and counts."""
    mine = table["link"] == link.encode()
    if hours is not None:
        mine &= np.isin(table["hour"], hours)
    assert table["fixes"][mine].sum() > 200
    return float(np.average(table["mean"][mine], weights=table["fixes"][mine]))


def test_the_rush_is_found_on_main_roads_of_working_days(trips: mr.Memory) -> None:
    table = tables(trips, "kind", "period-hour")["by_period_hour"]
    quiet = mean(table, "main", (10, 11, 14, 15, 20, 21))
    assert mean(table, "main", (8,)) < 0.9 * quiet
    assert mean(table, "main", (17,)) < 0.9 * quiet
    assert mean(table, "residential", (8,)) > 0.9 * mean(table, "residential", (10, 11, 14, 15))


def test_free_flow_is_faster_than_the_rush(trips: mr.Memory) -> None:
    table = tables(trips, "kind", "hour")["free_flow"]
    main = table["link"].tolist().index(b"main")
    assert table["travel_time_index"][main] > 1.2
    assert 0.2 < table["congested_share"][main] < 1


def test_bends_and_junctions_are_slow(trips: mr.Memory) -> None:
    table = tables(trips, "bend", "link")["by_link"]
    straight = mean(table, "residential straight")
    assert mean(table, "residential sharp bend") < 0.75 * straight
    table = tables(trips, "near", "link")["by_link"]
    assert mean(table, "residential junction") < 0.85 * mean(table, "residential midway")
