"""The application end to end: real trips or generated ones in, the files people open out."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas
import pytest
from PIL import Image

from mapreduce.engines.local import Local
from mapreduce.runs.folder_lock import claimed
from roadspeed.road_source import RoadSource
from roadspeed.run import RunRequest, run_speeds
from roadspeed.town import make_town
from tests.curitiba import CURITIBA, needs_curitiba

if TYPE_CHECKING:
    from mapreduce import Progress
    from tests.services.seaweed import Seaweed


def roadspeed(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Type a command as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "roadspeed.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={**os.environ, **environ},
    )


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small town and a dozen trips."""
    folder = tmp_path_factory.mktemp("town")
    make_town(folder, 12)
    return folder


def receipt_of(out: Path) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads((out / "receipt.json").read_text())
    return receipt


@needs_curitiba
def test_curitiba_from_trips_to_map(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = roadspeed(
        "run", CURITIBA / "trips", "--roads", CURITIBA / "roads.geojson", "--out", out,
        "--context", "--title", "Curitiba", "--width", "800",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    receipt = receipt_of(out)
    assert receipt["objects"]["ok"] == 9
    assert receipt["records"]["kept"] == 17_888
    assert receipt["geometry"]["links"] == receipt["geometry"]["joined"] == 501
    with (out / "speeds.csv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    assert rows[0] == ["linkID", "count(linkID)", "avg(absVelocity)", "geom"]
    assert len(rows) == 502
    assert sum(int(r[1]) for r in rows[1:]) == 17_888
    assert all(r[3].startswith("LINESTRING") for r in rows[1:])
    assert len(geopandas.read_parquet(out / "speeds.parquet")) == 501
    assert len(geopandas.read_file(out / "speeds.gpkg", layer="speeds")) == 501
    with Image.open(out / "map.png") as image:
        assert image.width == 800
    assert "17,888 of 18,014 records (126 no_link)" in done.stdout
    assert "bounded by" in done.stdout


def test_a_run_without_roads_writes_all_that_needs_no_geometry(town: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = roadspeed("run", town / "trips", "--out", out)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.iterdir()} >= {"speeds.csv", "speeds.parquet", "receipt.json"}
    assert not (out / "map.png").exists()
    assert receipt_of(out)["geometry"]["joined"] == 0


def test_folder_and_bucket_give_the_same_bytes(
    town: Path, tmp_path: Path, seaweed: Seaweed
) -> None:
    bucket = seaweed.bucket()
    seaweed.put_folder(bucket, town / "trips")
    folder, stored = tmp_path / "folder", tmp_path / "bucket"
    roads = town / "roads.geojson"
    first = roadspeed("run", town / "trips", "--roads", roads, "--no-map", "--out", folder)
    second = roadspeed(
        "run", f"s3://{bucket}", "--roads", roads, "--no-map", "--out", stored, **seaweed.environ
    )
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert receipt_of(folder)["digest"] == receipt_of(stored)["digest"]
    assert (folder / "speeds.csv").read_bytes() == (stored / "speeds.csv").read_bytes()
    assert seaweed.secret not in (stored / "receipt.json").read_text() + second.stderr


def test_a_bad_trip_is_set_aside_and_the_exit_code_says_so(town: Path, tmp_path: Path) -> None:
    trips = tmp_path / "trips"
    trips.mkdir()
    for path in (town / "trips").rglob("*.json"):
        (trips / path.name).write_bytes(path.read_bytes())
    clean = roadspeed("run", trips, "--no-map", "--out", tmp_path / "clean")
    (trips / "zz-bad.json").write_text('{"data": [')
    (trips / "_notes.json").write_text("not a trip")
    spoilt = roadspeed("run", trips, "--no-map", "--out", tmp_path / "spoilt")
    allowed = roadspeed(
        "run", trips, "--no-map", "--out", tmp_path / "ok", "--max-bad-objects", "10%"
    )
    assert (clean.returncode, spoilt.returncode, allowed.returncode) == (0, 3, 0)
    assert "1 of 13 objects were quarantined" in spoilt.stderr
    receipt = receipt_of(tmp_path / "spoilt")
    assert receipt["objects"]["quarantined"] == receipt["objects"]["ignored"] == 1
    assert receipt["digest"] == receipt_of(tmp_path / "clean")["digest"]
    with (tmp_path / "spoilt" / "quarantine.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["key"], row["reason"]) == ("zz-bad.json", "not_json")


def test_a_sample_says_that_it_is_one(town: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = roadspeed("run", town / "trips", "--no-map", "--limit", "3", "--out", out)
    assert done.returncode == 0, done.stderr
    receipt = receipt_of(out)
    assert receipt["complete"] is False
    assert receipt["objects"]["ok"] == 3
    assert receipt["selection"]["limit"] == 3
    assert "only the first 3 trips" in (out / "speeds.csv-metadata.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere"], 2, "no folder or file"),
        (["{town}/trips", "--roads", "no.geojson"], 2, "no roads file"),
        (["{town}/trips", "--unit", "furlongs"], 2, "furlongs"),
        (["{town}/trips", "--bbox", "1,2,3"], 2, "4 numbers"),
        (["{town}/trips", "--sample", "200%"], 2, "sample"),
        (["{town}/trips", "--max-bad-objects", "few"], 2, "percentage"),
        (["{town}/trips", "--max-bad-objects", "-1"], 2, "percentage"),
        (["{town}/trips", "--max-dropped", "150%"], 2, "percentage"),
        (["{town}/trips", "--link", "no.such"], 1, "no_link"),
        (["{town}/trips", "--background", "pink"], 2, "pink"),
        (["{town}/trips", "--bbox", "3,2,1,1"], 2, "WEST,SOUTH,EAST,NORTH"),
        (["{town}/trips", "--centre", "1,2", "--scale", "-5"], 2, "N of 1:N"),
        (["{town}/trips", "--min-fixes", "-1"], 2, "min-fixes"),
        (["{town}/trips", "--link", "absVelocity"], 2, "absVelocity"),
        (["{town}/trips", "--link", ""], 2, "path"),
        (["{town}/trips", "--worker-memory", "-1"], 2, "--worker-memory"),
        (["{town}/trips", "--worker-memory", "100"], 2, "at least 256 MiB"),
        (["{town}/trips", "--engine", "warp"], 2, "warp"),
        (["s3://u:p@bucket"], 2, "AWS_SECRET_ACCESS_KEY"),
        (["{town}/roads.geojson"], 1, "expected a list at 'data'"),
        (["{town}/trips", "--roads", "postgresql://u:pw@127.0.0.1/x"], 2, "PGPASSWORD"),
        (["{town}/trips", "--roads", "postgresql://u@127.0.0.1:1/x"], 1, "cannot reach"),
        (["{town}/trips", "--roads", "{town}/roads.geojson", "--roads-id", "nope"], 2, "link_id"),
        (["{town}/trips", "--roads", "{town}/_town.json"], 2, "GDAL cannot read it"),
        (
            ["{town}/trips", "--roads-id", "link_id"],
            2,
            "--roads-id needs --roads: it says how roads are read",
        ),
        (
            ["{town}/trips", "--roads-crs", "x"],
            2,
            "--roads-crs needs --roads: it says how roads are read",
        ),
        (["{town}/trips", "--roads", "{town}/roads.geojson", "--roads-crs", "x"], 2, "--roads-crs"),
    ],
)
def test_what_is_typed_wrong_is_answered_with_what_to_type(
    arguments: list[str], code: int, says: str, town: Path, tmp_path: Path
) -> None:
    typed = [a.format(town=town) for a in arguments]
    done = roadspeed("run", *typed, "--no-map", "--out", tmp_path / "out")
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if "--roads" in arguments:
        assert "map:" not in done.stderr  # told before a trip was read


def test_nobody_else_runs_in_the_folder_while_a_run_joins(town: Path, tmp_path: Path) -> None:
    refused: list[BaseException | None] = []

    def somebody_else(progress: Progress) -> None:
        if progress.phase == "join" and not refused:
            with ThreadPoolExecutor(1) as thread:  # as good as another process
                refused.append(thread.submit(claimed, tmp_path / "out").exception())

    roads = RoadSource(str(town / "roads.geojson"))
    wanted = RunRequest(tmp_path / "out", roads=roads)
    receipt = run_speeds(str(town / "trips"), wanted, Local(1), somebody_else)
    assert "another run is running" in str(refused[0])
    assert receipt["geometry"]["joined"]
    claimed(tmp_path / "out").close()


def test_what_has_no_geometry_is_told(town: Path, tmp_path: Path) -> None:
    roads = json.loads((town / "roads.geojson").read_text())
    roads["features"] = roads["features"][::2]
    (tmp_path / "half.geojson").write_text(json.dumps(roads))
    done = roadspeed(
        "run", town / "trips", "--roads", tmp_path / "half.geojson", "--no-map",
        "--out", tmp_path / "out",
    )  # fmt: skip
    geometry = receipt_of(tmp_path / "out")["geometry"]
    assert geometry["missing"] > 0
    told = f"{geometry['joined']:,} of {geometry['links']:,} links have a geometry"
    assert told in done.stdout


def test_a_run_never_reads_what_it_writes(town: Path) -> None:
    before = sorted(p.name for p in (town / "trips").iterdir())
    for out in (town / "trips", town / "trips" / "deeper" / "out"):
        done = roadspeed("run", town / "trips", "--no-map", "--out", out)
        assert done.returncode == 2
        assert "choose an --out outside it" in done.stderr
        assert sorted(p.name for p in (town / "trips").iterdir()) == before


def test_closed_standard_streams_are_no_hindrance(town: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "roadspeed.cli", "run", str(town / "trips"), "--no-map"]
    line = shlex.join([*command, "--out", str(tmp_path / "out")])
    done = subprocess.run(["sh", "-c", f"{line} >&- 2>&- <&-"], check=False, timeout=100)
    assert done.returncode == 0, (tmp_path / "out" / "quarantine.csv").read_text()
    assert receipt_of(tmp_path / "out")["objects"]["ok"] == 12


def test_inspect_names_the_options_to_use(tmp_path: Path) -> None:
    fixes = [{"m": {"edge_id": str(10**8 + i)}, "kmh_speed": 10.5 + i, "t": None} for i in range(9)]
    (tmp_path / "a.json").write_text(json.dumps({"trip": {"points": [None, *fixes, 7]}}))
    done = roadspeed("inspect", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--records-at trip.points --link m.edge_id --speed kmh_speed" in done.stdout
    assert "100.0 % null" in done.stdout
    assert "no JSON objects: 2 of these records" in done.stdout


def test_inspect_says_of_bad_objects_what_a_run_would(tmp_path: Path) -> None:
    fix = '{"linkID": 29464177.0, "kmh_speed": 7.5}'
    bodies = {
        "bom.json": f'{{"trip": {{"fixes": [{fix}, {{"linkID": null, "kmh_speed": 1}}]}}}}'.encode(
            "utf-8-sig"
        ),
        "cut.json": b'{"data": [',
        "deep.json": b'{"data": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        "none.json": b'{"data": 3}',
        "one.json": b'{"data": [{"linkID": 7.0}, {"linkID": 0x}]}',
        "wide.json": '{"data": []}'.encode("utf-16"),
    }
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)
    done = roadspeed("inspect", tmp_path)
    assert done.returncode == 0, done.stderr
    for said in (
        "2 of 6 objects, 2 records at 'trip.fixes'",
        "cut.json: could not be read: not_json: ends inside",
        "deep.json: could not be read: too_deep: nested deeper than 128",
        "none.json: could not be read: wrong_shape: a document without a list of records",
        "one.json: 1 of 2 records are malformed, and a run drops them (JSON is malformed",
        "wide.json: could not be read: bad_encoding: expected UTF-8, got UTF-16 or UTF-32",
        (
            f"  roadspeed run {tmp_path} --records-at trip.fixes --link linkID --link-type float"
            " --speed kmh_speed --out"
        ),
    ):
        assert said in done.stdout
    for number in ("0", "-1"):
        refused = roadspeed("inspect", tmp_path, "--objects", number)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert (
            refused.stderr
            == f"error: --objects: expected 1 or more objects to read, got {number}\n"
        )


def test_the_demo_needs_nothing_and_ends_as_the_readme_says(tmp_path: Path) -> None:
    done = roadspeed("demo", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.rpartition("the map: ")[2].strip())
    with Image.open(path) as image:
        assert image.width > 1000
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    told = readme.partition("`make demo` prints:\n\n```\n")[2].partition("```")[0]
    assert told.count("\n") == 3
    assert told in done.stdout
