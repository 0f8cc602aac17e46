"""Runs with groupings added: every table is that of one run over all trips; none is published."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from roadspeed.town import make_town
from tests.roadspeed.test_run import receipt_of, roadspeed

if TYPE_CHECKING:
    from pathlib import Path

TOLD = (
    "--no-map", "--by", "hour,direction-week-hour", "--timezone", "Europe/London",
    "--heading", "dbResponse.matchDirection", "--speed-limit", "dbResponse.speedLimit",
)  # fmt: skip


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small town, runs over the two halves of its trips, and one over all."""
    room = tmp_path_factory.mktemp("measured")
    make_town(room, 12)
    for number, path in enumerate(sorted((room / "trips").rglob("*.json"))):
        half = room / "trips" / ("odd" if number % 2 else "even")
        half.mkdir(exist_ok=True)
        path.rename(half / path.name)
    for name in ("odd", "even", ""):
        done = roadspeed(
            "run", room / "trips" / name, "--roads", room / "roads.geojson",
            "--out", room / (name or "whole"), *TOLD,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return room


def test_added_tables_of_groupings_are_those_of_the_run_over_all_trips(room: Path) -> None:
    done = roadspeed("add", room / "odd", room / "even", "--out", room / "added", "--no-map")
    assert done.returncode == 0, done.stderr
    whole = {p.name: p.read_bytes() for p in (room / "whole").iterdir()}
    measured = [n for n in whole if n.startswith(("speeds", "free-flow", "limits", "sums.partial"))]
    assert len([n for n in measured if n.startswith("speeds-by-")]) == 7
    for name in measured:
        assert (room / "added" / name).read_bytes() == whole[name], name
    assert receipt_of(room / "added")["groupings"] == receipt_of(room / "whole")["groupings"]


def test_what_is_published_keeps_no_sums(room: Path) -> None:
    done = roadspeed(
        "run", room / "trips", "--roads", room / "roads.geojson", "--out", room / "open",
        "--publish", *TOLD,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list((room / "open").glob("sums.*"))
    assert receipt_of(room / "open")["publishing"]["min_trips"] == 5


def test_sums_of_peak_hours_are_not_published(room: Path) -> None:
    done = roadspeed("run", room / "trips", "--out", room / "few", "--min-trips", "2", *TOLD[:-4],
                     "--signed-links")  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (room / "few" / "free-flow.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert not {"peak_fixes", "peak_mean"} & {*rows[0]}
    indexes = [row["travel_time_index"] for row in rows if row["travel_time_index"]]
    assert indexes
    assert all(len(index.partition(".")[2]) <= 2 for index in indexes)
