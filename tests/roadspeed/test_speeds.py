"""The job itself, against a plain loop over the same documents."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

import mapreduce as mr
from roadspeed.speeds import Speeds
from tests.curitiba import CURITIBA, needs_curitiba

if TYPE_CHECKING:
    from pathlib import Path


def plain_loop(folder: Path) -> tuple[dict[int, list[float]], dict[int, set[str]], int]:
    """What the program of 2019 computes, in the most obvious way."""
    speeds: dict[int, list[float]] = defaultdict(list)
    trips: dict[int, set[str]] = defaultdict(set)
    read = 0
    for path in sorted(folder.glob("*.json")):
        for fix in json.loads(path.read_text())["data"]:
            read += 1
            link = (fix["dbResponse"] or {}).get("linkID")
            if link is not None and fix["absVelocity"] is not None:
                speeds[int(link)].append(fix["absVelocity"])
                trips[int(link)].add(path.name)
    return speeds, trips, read


@needs_curitiba
def test_curitiba_is_what_a_plain_loop_gives() -> None:
    speeds, trips, read = plain_loop(CURITIBA / "trips")
    result = mr.run(Speeds(), CURITIBA / "trips", workers=2)
    rows = result.rows
    assert result.receipt["objects"]["ok"] == 9
    assert result.receipt["records"] == {
        "read": 18_014,
        "kept": 17_888,
        "dropped": {"no_link": 126},
    }
    assert read == 18_014
    assert rows["link"].tolist() == sorted(speeds)
    assert len(rows["link"]) == 501
    for i, link in enumerate(rows["link"].tolist()):
        values = speeds[link]
        assert rows["fixes"][i] == len(values)
        assert rows["trips"][i] == len(trips[link])
        assert rows["mean"][i] == pytest.approx(statistics.fmean(values), abs=1e-6)
        assert rows["min"][i] == min(values)
        assert rows["max"][i] == max(values)
        if len(values) > 1:
            assert rows["std"][i] == pytest.approx(statistics.stdev(values), abs=1e-6)
        else:
            assert math.isnan(rows["std"][i])


def test_a_negative_and_an_impossible_speed_are_dropped_and_counted() -> None:
    fixes = [{"dbResponse": {"linkID": "7"}, "absVelocity": v} for v in (10, -1, 401, 400, None)]
    fixes.append({"dbResponse": {"linkID": "x7"}, "absVelocity": 3})
    trip = json.dumps({"data": fixes}).encode()
    result = mr.run(Speeds(), mr.Memory({"a": trip, "b": trip}), workers=1)
    assert result.receipt["records"]["dropped"] == {
        "bad_link": 2,
        "no_speed": 2,
        "speed_out_of_range": 4,
    }
    assert result.rows["fixes"].tolist() == [4]
    assert result.rows["trips"].tolist() == [2]
    assert result.rows["mean"].tolist() == [205.0]


def test_paths_and_unit_are_parameters_of_the_run() -> None:
    trip = json.dumps({"trip": {"fixes": [{"seg": 5, "v": 1.5}]}}).encode()
    job = Speeds(unit="m/s", max_speed=70, records_at="trip.fixes", link="seg", speed="v")
    result = mr.run(job, mr.Memory({"a": trip}), workers=1)
    assert result.rows["mean"].tolist() == [1.5]
    assert result.receipt["parameters"]["unit"] == "m/s"


def test_a_speed_limit_whose_square_would_not_fit_is_refused() -> None:
    with pytest.raises(mr.UsageError, match="at most 3000"):
        Speeds(max_speed=3001)
