"""Runs of town trips added: the files of one run over all of them, from no trip."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from mapreduce.runs import receipt_file
from roadspeed.town import make_town
from tests.mapreduce.test_cli import mapreduce
from tests.roadspeed.test_run import receipt_of, roadspeed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.seaweed import Seaweed

SAME = ("speeds.csv", "speeds.parquet", "speeds.csv-metadata.json", "map.png", "sums.partial")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small town, its trips in two folders of one."""
    folder = tmp_path_factory.mktemp("town")
    make_town(folder, 12)
    trips = sorted((folder / "trips").rglob("*.json"))
    for number, path in enumerate(trips):
        month = folder / "trips" / ("january" if number % 3 else "february")
        month.mkdir(exist_ok=True)
        path.rename(month / path.name)
    (folder / "trips" / "january" / "bad.json").write_text("<html>")
    return folder


@pytest.fixture(scope="module")
def months(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs over each month, and over both."""
    room = tmp_path_factory.mktemp("months")
    map_ = ("--width", "600", "--title", "Town")
    for name, part in {"january": "january", "february": "february", "whole": ""}.items():
        done = roadspeed(
            "run", town / "trips" / part, "--roads", town / "roads.geojson", "--out", room / name,
            "--max-bad-objects", "1", *map_,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return room


@pytest.mark.parametrize("roads", [True, False])
def test_all_files_are_those_of_the_run_over_all_trips(
    roads: bool,
    town: Path,
    months: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    given = ("--roads", town / "roads.geojson") if roads else ()
    runs = (months / "february", months / "january")
    done = roadspeed(
        "add", *runs, "--out", out, *given, "--width", "600", "--title", "Town",
        "--max-bad-objects", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in SAME:
        assert (out / name).read_bytes() == (months / "whole" / name).read_bytes(), name
    whole, got = receipt_of(months / "whole"), receipt_of(out)
    for name in ("digest", "objects", "records", "complete", "selection", "parameters", "speeds"):
        assert got[name] == whole[name]
    assert got["geometry"]["joined"] == whole["geometry"]["joined"] > 0
    assert [one["folder"] for one in got["added"]] == [str(run) for run in runs]
    assert [one["digest"] for one in got["added"]] == [receipt_of(run)["digest"] for run in runs]
    assert all(one["fingerprint"].startswith("sha256:") for one in got["added"])
    with (out / "quarantine.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["key"] == f"{town.resolve()}/trips/january/bad.json"
    assert mapreduce("verify", out).returncode == 0
    assert mapreduce("status", out).stdout.startswith("finished")
    assert mapreduce("retry", out).returncode == 2


def test_what_would_count_twice_or_mixes_units_writes_nothing(
    town: Path, months: Path, tmp_path: Path
) -> None:
    twice = roadspeed("add", months / "whole", months / "january", "--out", tmp_path / "out")
    assert twice.returncode == 2
    assert "9 objects are in more than one of the runs (9 in the same version)" in twice.stderr
    miles, out = tmp_path / "miles", tmp_path / "out"
    trips = town / "trips" / "february"
    assert roadspeed("run", trips, "--unit", "mph", "--out", miles).returncode == 0
    mixed = roadspeed("add", months / "january", miles, "--out", out)
    assert mixed.returncode == 2
    assert "its parameter unit is 'km/h', there it is 'mph'" in mixed.stderr
    assert {path.name for path in out.iterdir()} <= {"journal.lock"}
    for refused in (twice, mixed):
        assert "Traceback" not in refused.stderr


def test_runs_without_roads_are_added_without_a_map(town: Path, tmp_path: Path) -> None:
    for part in ("january", "february"):
        bare = ("--out", tmp_path / part, "--max-bad-objects", "1", "--limit", "2")
        assert roadspeed("run", town / "trips" / part, *bare).returncode == 0
    out = tmp_path / "out"
    runs = [tmp_path / "january", tmp_path / "february"]
    assert roadspeed("add", *runs, "--out", out, "--max-bad-objects", "1").returncode == 0
    assert not (out / "map.png").exists()
    receipt = receipt_of(out)
    assert (receipt["complete"], receipt["selection"]["limit"]) == (False, 2)
    refused = roadspeed("add", *runs, "--out", tmp_path / "no", "--context")
    assert (refused.returncode, "--context needs --roads" in refused.stderr) == (2, True)


def test_other_roads_of_two_runs_are_told(town: Path, months: Path, tmp_path: Path) -> None:
    roads = json.loads((town / "roads.geojson").read_text())
    for feature in roads["features"]:
        feature["geometry"]["coordinates"] = feature["geometry"]["coordinates"][::-1]
    (tmp_path / "other.geojson").write_text(json.dumps(roads))
    trips, other = town / "trips" / "february", tmp_path / "february"
    told = ("--roads", tmp_path / "other.geojson", "--no-map")
    assert roadspeed("run", trips, "--out", other, *told).returncode == 0
    done = roadspeed("add", months / "january", other, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "joined to different roads" in done.stderr
    assert "--roads" in done.stderr


def test_a_run_of_another_job_is_shown_its_own_command(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"in-{name}").mkdir()
        fix = {"dbResponse": {"linkID": "5"}, "tangAccel": -4.0}
        (tmp_path / f"in-{name}" / "t.json").write_text(json.dumps({"data": [fix]}))
        job = ("examples/braking.py:HarshBraking", tmp_path / f"in-{name}")
        assert mapreduce("run", *job, "--out", tmp_path / name).returncode == 0
    done = roadspeed("add", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "mapreduce add braking.py:HarshBraking" in done.stderr


def test_parts_of_a_bucket_add_up_to_it(town: Path, tmp_path: Path, seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    seaweed.put_folder(bucket, town / "trips")
    for name in ("january/", "february/", ""):
        done = roadspeed(
            "run", f"s3://{bucket}/{name}", "--out", tmp_path / (name or "whole"),
            "--max-bad-objects", "1", **seaweed.environ,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    runs, out = [tmp_path / "january", tmp_path / "february"], tmp_path / "out"
    assert roadspeed("add", *runs, "--out", out, "--max-bad-objects", "1").returncode == 0
    assert receipt_of(out)["digest"] == receipt_of(tmp_path / "whole")["digest"]
    assert receipt_of(out)["objects"] == receipt_of(tmp_path / "whole")["objects"]
    twice = roadspeed("add", tmp_path / "whole", out, "--out", tmp_path / "no")
    assert "13 objects are in more than one of the runs" in twice.stderr
    assert f"s3://{bucket}/february/" in twice.stderr
    good = next((town / "trips" / "february").iterdir()).read_bytes()
    seaweed.put(bucket, {"january/bad.json": good})
    one = f"s3://{bucket}/january/bad.json"
    done = roadspeed("run", one, "--out", tmp_path / "corrected", **seaweed.environ)
    assert done.returncode == 0, done.stderr
    runs = [tmp_path / "january", tmp_path / "corrected"]
    corrected = roadspeed("add", *runs, "--out", tmp_path / "no")
    assert "1 objects are in more than one of the runs (1 in another version)" in corrected.stderr
    assert f"{one} (as " in corrected.stderr


def test_sums_are_left_out_where_that_is_asked_for(town: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = roadspeed("run", town / "trips" / "february", "--no-keep-sums", "--out", out)
    assert done.returncode == 0, done.stderr
    assert not list(out.glob("sums.*"))
    refused = roadspeed("add", out, out, "--out", tmp_path / "x")
    assert "are one folder" in refused.stderr
    shutil.copytree(out, tmp_path / "copy")
    refused = roadspeed("add", out, tmp_path / "copy", "--out", tmp_path / "x")
    assert refused.returncode == 2
    assert f"the run in {out} kept no sums" in refused.stderr


def test_the_receipt_lists_the_sums(months: Path) -> None:
    receipt, _ = receipt_file.read(months / "whole" / "receipt.json")
    assert f"sha256:{receipt.files['sums.partial'].sha256}" == receipt.digest
    assert "sums.objects" in receipt.files
    assert pq.read_schema(months / "whole" / "speeds.parquet").names[0] == "link"
