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


def test_what_runs_withheld_is_withheld_of_their_sum(room: Path) -> None:
    fewest = {"mild": ("odd", 2), "strict": ("even", 3)}
    for name, (half, k) in fewest.items():
        done = roadspeed("run", room / "trips" / half, "--out", room / name, "--min-trips", str(k),
                         "--by", "link", "--no-map")  # fmt: skip
        assert done.returncode == 0, done.stderr
    out = room / "withheld"
    done = roadspeed("add", room / "mild", room / "strict", "--out", out, "--no-map")
    assert done.returncode == 0, done.stderr
    with (out / "speeds-by-link.csv").open(newline="") as file:
        assert min(int(row["trips"]) for row in csv.DictReader(file)) == 3
    assert receipt_of(out)["publishing"]["min_trips"] == 3


def test_a_folder_in_the_way_of_a_table_is_told_before_a_trip_is_read(
    room: Path, tmp_path: Path
) -> None:
    for name in ("speeds-by-hour.csv", "speeds-by-hour-wide.csv", "free-flow.parquet"):
        out = tmp_path / name
        (out / name).mkdir(parents=True)
        done = roadspeed("run", room / "trips", "--out", out, "--no-map", "--by", "hour")
        assert done.returncode == 2
        assert f"{name}: expected no folder" in " ".join(done.stderr.split())
        assert "map:" not in done.stderr


def test_what_is_published_keeps_no_sums(room: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    for path in (room / "trips" / "odd").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    done = roadspeed(
        "run", tmp_path, "--roads", room / "roads.geojson", "--out", room / "open",
        "--publish", "--max-bad-objects", "1", *TOLD,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert receipt_of(room / "open")["objects"]["quarantined"] == 1
    assert not list((room / "open").glob("*sums*"))
    done = roadspeed("add", room / "open", room / "odd", "--out", tmp_path / "both", "--no-map")
    assert done.returncode == 2
    assert "was run with --publish, which keeps no sums" in " ".join(done.stderr.split())
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
