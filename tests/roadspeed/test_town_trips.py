"""Trips of the demo town have the full shape, and speeds that behave as speeds do."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from roadspeed.town import Town, trip_bytes
from roadspeed.trip import FIX_FIELDS, MATCH_FIELDS
from tests.roadspeed.towns import default_town

Fix = dict[str, Any]
TRIPS = 200


@pytest.fixture(scope="module")
def town() -> Town:
    return default_town()


@pytest.fixture(scope="module")
def trips(town: Town) -> list[list[Fix]]:
    return [town.trip(number)["data"] for number in range(1, TRIPS + 1)]


def speeds(fixes: list[Fix]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([fix["absVelocity"] for fix in fixes if fix["absVelocity"] is not None])


def test_every_fix_has_every_field_and_no_other(trips: list[list[Fix]]) -> None:
    for trip in trips[:40]:
        for fix in trip:
            assert set(fix) == set(FIX_FIELDS)
            if fix["dbResponse"] is not None:
                assert set(fix["dbResponse"]) == set(MATCH_FIELDS)
                assert isinstance(fix["dbResponse"]["linkID"], str)


def test_trips_are_as_long_and_as_large_as_in_2019(town: Town, trips: list[list[Fix]]) -> None:
    counts = np.array([len(trip) for trip in trips])
    assert counts.min() >= 120
    assert counts.max() <= 4000
    assert 1_400 < counts.mean() < 2_000
    body = trip_bytes(town, 1)
    assert json.loads(body) == {"data": trips[0]}
    assert 500 < len(body) / len(trips[0]) < 700


def test_fixes_are_one_second_apart(trips: list[list[Fix]]) -> None:
    for trip in trips[:10]:
        times = [datetime.fromisoformat(fix["datetime"]) for fix in trip]
        assert all((b - a).total_seconds() == 1.0 for a, b in pairwise(times))
        assert [fix["timeSecs"] for fix in trip] == [float(k) for k in range(len(trip))]


def test_every_link_id_is_a_road_but_for_the_few_that_are_no_integer(
    town: Town, trips: list[list[Fix]]
) -> None:
    roads = {str(f["properties"]["link_id"]) for f in town.roads()["features"]}
    ids = [fix["dbResponse"]["linkID"] for trip in trips for fix in trip if fix["dbResponse"]]
    strange = Counter(i for i in ids if i not in roads)
    assert 0 < sum(strange.values()) < len(ids) / 5_000
    assert not any(i.isdigit() for i in strange)


def test_about_one_fix_in_a_hundred_is_unmatched_and_few_lack_a_speed(
    trips: list[list[Fix]],
) -> None:
    fixes = [fix for trip in trips for fix in trip]
    unmatched = sum(fix["dbResponse"] is None for fix in fixes) / len(fixes)
    silent = sum(fix["absVelocity"] is None for fix in fixes) / len(fixes)
    assert 0.005 < unmatched < 0.02
    assert 0.0 < silent < 0.005


def test_speed_agrees_with_the_distance_driven(trips: list[list[Fix]]) -> None:
    for trip in trips[:40]:
        driven = sum(fix["dist"] for fix in trip)
        assert abs(speeds(trip).sum() / 3.6 - driven) < 0.02 * driven + 20.0


def test_nobody_jumps_or_brakes_harder_than_a_car_can(trips: list[list[Fix]]) -> None:
    fixes = [fix for trip in trips for fix in trip]
    gain = np.array([fix["tangAccel"] for fix in fixes])
    side = np.array([fix["radAccel"] for fix in fixes])
    assert np.abs(gain).max() < 6.0
    assert np.abs(side).max() < 6.0
    assert max(fix["dist"] for fix in fixes) < 50.0


def test_positions_lie_near_the_road_they_are_matched_to(trips: list[list[Fix]]) -> None:
    east = 111_320.0 * np.cos(np.radians(54.72))
    gaps, claimed = [], []
    for fix in (fix for trip in trips[:20] for fix in trip if fix["dbResponse"]):
        match = fix["dbResponse"]
        x = (fix["long"] - match["matchLongitude"]) * east
        y = (fix["lat"] - match["matchLatitude"]) * 111_320.0
        gaps.append(float(np.hypot(x, y)))
        claimed.append(match["distFromPoint"])
    assert np.abs(np.array(gaps) - np.array(claimed)).max() < 0.2
    assert 1.0 < float(np.mean(gaps)) < 5.0


def test_speeds_fall_at_bends(trips: list[list[Fix]]) -> None:
    straight: list[float] = []
    bend: list[float] = []
    for trip in trips:
        seen = [fix["dbResponse"] for fix in trip]
        links = [match["linkID"] if match else None for match in seen]
        for k in range(4, len(trip) - 4):
            speed, radius = trip[k]["absVelocity"], trip[k]["radii"]
            if len(set(links[k - 4 : k + 5])) > 1 or not speed or not seen[k]:
                continue  # only fixes well within one link: no junction slows these
            if seen[k]["roadType"] == "residential" and seen[k]["speedLimit"] == 50.0:
                if radius is None:
                    straight.append(speed)
                elif abs(radius) < 22.0:
                    bend.append(speed)
    assert len(bend) > 100
    assert np.mean(bend) < 0.72 * np.mean(straight)


def test_speeds_fall_at_junctions(trips: list[list[Fix]]) -> None:
    before: list[float] = []
    midway: list[float] = []
    for trip in trips:
        stay: list[float] = []
        for fix, following in pairwise(trip):
            here, there = fix["dbResponse"], following["dbResponse"]
            if not here or here["roadType"] != "residential" or fix["absVelocity"] is None:
                stay = []
                continue
            stay.append(fix["absVelocity"])
            if there and there["linkID"] != here["linkID"]:
                if len(stay) > 9 and 0.0 not in stay[3:-3]:
                    before.append(stay[-1])
                    midway.append(stay[len(stay) // 2])
                stay = []
    assert len(before) > 500
    assert np.mean(before) < 0.75 * np.mean(midway)


def test_cars_halt_at_junctions_now_and_then(trips: list[list[Fix]]) -> None:
    stopped = np.concatenate([speeds(trip) == 0.0 for trip in trips])
    assert 0.04 < stopped.mean() < 0.3


def test_the_rush_is_slower_than_the_night(trips: list[list[Fix]]) -> None:
    rush, quiet = [], []
    kinds = {"primary", "trunk", "secondary"}
    for trip in trips:
        start = datetime.fromisoformat(trip[0]["datetime"])
        driven = [
            fix for fix in trip
            if fix["dbResponse"] and fix["dbResponse"]["roadType"] in kinds
        ]  # fmt: skip
        if len(driven) < 60 or start.weekday() > 4:
            continue
        clock = start.hour + start.minute / 60
        if 7.4 < clock < 8.6 or 16.5 < clock < 17.8:
            rush.append(speeds(driven).mean())
        elif clock > 19.0 or 9.8 < clock < 11.0:
            quiet.append(speeds(driven).mean())
    assert len(rush) > 15
    assert len(quiet) > 8
    assert np.mean(rush) < 0.85 * np.mean(quiet)


def test_the_morning_into_town_is_slower_than_out_of_it() -> None:
    from roadspeed.town.traffic import rush  # noqa: PLC0415 - only this test needs it

    hour = np.array([8.1, 8.1, 17.2, 17.2])
    into, out, home, back = rush(hour, np.array([0.9, -0.9, -0.9, 0.9]), working_day=True)
    assert into > 2 * out
    assert home > 2 * back


def test_faster_roads_are_driven_faster(trips: list[list[Fix]]) -> None:
    by_class: dict[str, list[float]] = {}
    for fix in (fix for trip in trips for fix in trip):
        if fix["dbResponse"] and fix["absVelocity"] is not None:
            by_class.setdefault(fix["dbResponse"]["roadType"], []).append(fix["absVelocity"])
    mean = {name: float(np.mean(values)) for name, values in by_class.items()}
    assert mean["motorway"] > 1.5 * mean["trunk"] > 1.5 * mean["residential"]
    assert mean["trunk"] > mean["secondary"] > mean["residential"]
    assert mean["ferry"] < 16.0
