"""Speeds from positions and times: against a plain loop, whatever the order, format and blocks."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from roadspeed import positions
from roadspeed.traced_speeds import TracedSpeeds
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.rows import as_csv, as_lines, as_parquet

START = datetime(2019, 3, 1, 8, tzinfo=UTC)
fixes = st.lists(
    st.fixed_dictionaries(
        {
            "trip": st.sampled_from(["a", "b"]),
            "link": st.sampled_from([1, 2, None]),
            "t": st.integers(0, 300),
            "y": st.floats(49.999, 50.001),
            "x": st.floats(-0.001, 0.001),
        }
    ),
    max_size=30,
)
NAMES: dict[str, Any] = {
    "link": "link", "latitude": "y", "longitude": "x", "time": "t", "trip": "trip", "unit": "m/s",
}  # fmt: skip


def metres(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Give the distance by another formula: of the chord between two points of the sphere."""

    def place(fix: dict[str, Any]) -> tuple[float, float, float]:
        lat, lon = math.radians(fix["y"]), math.radians(fix["x"])
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    chord = math.dist(place(a), place(b))
    return 2 * positions.EARTH_RADIUS_M * math.asin(chord / 2)


def plain(found: list[dict[str, Any]], gap: float, most: float) -> tuple[Any, dict[str, int]]:
    """Do it one by one."""
    speeds: dict[int, list[float]] = {}
    dropped: dict[str, int] = {}
    for trip in ("a", "b"):
        mine = sorted((f for f in found if f["trip"] == trip), key=lambda f: f["t"])
        for before, fix in zip([None, *mine], mine, strict=False):
            if fix["link"] is None or before is None:
                first = "no_link" if fix["link"] is None else "first_of_trip"
                dropped[first] = dropped.get(first, 0) + 1
                continue
            passed, reason = fix["t"] - before["t"], ""
            if passed > gap:
                reason = "after_gap"
            elif passed == 0:
                reason = "no_time_passed"
            elif round(metres(before, fix), 3) / passed > most:
                reason = "speed_out_of_range"
            if reason:
                dropped[reason] = dropped.get(reason, 0) + 1
            else:
                speeds.setdefault(fix["link"], []).append(metres(before, fix) / passed)
    return speeds, dropped


@settings(max_examples=40)
@given(fixes, st.sampled_from([5.0, 60.0]), st.sampled_from([3.0, 100.0]))
def test_speeds_are_those_of_a_plain_loop(
    found: list[dict[str, Any]], gap: float, most: float
) -> None:
    if not found:
        return
    lines = b"\n".join(
        json.dumps({**f, "t": (START + timedelta(seconds=f["t"])).isoformat()}).encode()
        for f in found
    )
    job = TracedSpeeds(format="json-lines", max_gap=gap, max_speed=most, **NAMES)
    got = mr.run(job, mr.Memory({"all": lines}), workers=1)
    speeds, dropped = plain(found, gap, most)
    assert got.ledger.dropped == dropped
    assert got.rows["link"].tolist() == sorted(speeds)
    for link, fixes_, mean in zip(
        *(np.asarray(got.rows[name]).tolist() for name in ("link", "fixes", "mean")), strict=True
    ):
        assert fixes_ == len(speeds[link])
        assert mean == pytest.approx(sum(speeds[link]) / fixes_, abs=0.01)


def drive() -> list[dict[str, Any]]:
    rng = np.random.default_rng(5)
    steps = np.cumsum(rng.normal(0.0001, 0.00005, (5_000, 2)), axis=0)
    return [
        {"trip": "ab"[n % 2], "link": n // 50, "t": n, "y": 50 + y / 50, "x": x / 50}
        for n, (x, y) in enumerate(steps.tolist())
    ]


def test_one_digest_in_every_format_and_order() -> None:
    digests = set()
    rows = drive()
    shuffled = [rows[n] for n in np.random.default_rng(1).permutation(len(rows)).tolist()]
    for form, make in (("csv", as_csv), ("parquet", as_parquet), ("json-lines", as_lines)):
        for some in (rows, shuffled):
            job = TracedSpeeds(format=form, time_epoch="s", **NAMES)
            options = mr.Options(split_bytes=1 << 16)
            got = mr.run(job, mr.Memory({"all": make(some)}), workers=2, options=options)
            digests.add(got.digest)
            assert got.ledger.dropped == {"first_of_trip": 2}
    assert len(digests) == 1


@needs_curitiba
def test_real_speeds_are_found_again_from_positions() -> None:
    known = mr.run(TracedSpeeds(), CURITIBA / "trips", workers=1)
    assert known.ledger.dropped["first_of_trip"] <= 9
    speeds = [
        (fix["absVelocity"], fix["dist"])
        for path in (CURITIBA / "trips").glob("*.json")
        for fix in json.loads(path.read_bytes())["data"]
        if fix["absVelocity"] is not None and fix["dist"] is not None
    ]
    mean = float(np.average(known.rows["mean"], weights=known.rows["fixes"]))
    assert mean == pytest.approx(sum(v for v, _ in speeds) / len(speeds), rel=0.05)


def test_the_distance_is_that_of_the_sphere() -> None:
    quarter = positions.haversine_m(*(np.array([v]) for v in (0.0, 0.0, 90.0, 0.0)))
    assert quarter[0] == pytest.approx(math.pi / 2 * positions.EARTH_RADIUS_M)
    around = positions.haversine_m(*(np.array([v]) for v in (0.0, 179.5, 0.0, -179.5)))
    assert around[0] == pytest.approx(math.radians(1) * positions.EARTH_RADIUS_M)
