"""A join of nothing is told: what ids look like on both sides, which column would do, and 3."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from roadspeed import roads
from roadspeed.town import make_town

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.postgis import Postgis

IDS = np.array([7001, 7002, 7003], dtype=np.int64)
CSV = "id;link;name;geom\n1;7001;a;LINESTRING (1 2, 3 4)\n2;7002.0;b;LINESTRING (1 2, 3 5)\n"


def test_a_wrong_column_is_told_with_the_right_one_and_ends_with_3(tmp_path: Path) -> None:
    town = make_town(tmp_path / "town", trips=5, seed=3)
    features = json.loads(town.roads.read_text())["features"]
    for number, feature in enumerate(features):
        feature["properties"]["row"] = -1 - number
    path = tmp_path / "roads.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    command = [sys.executable, "-m", "roadspeed.cli", "run", str(town.trips), "--roads", str(path)]

    def typed(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more, "--no-map", "--out", str(tmp_path / "out")],
            capture_output=True,
            text=True,
            check=False,
        )

    done = typed("--roads-id", "row")
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_text())
    links = receipt["geometry"]["links"]
    assert done.returncode == 3
    assert f"The column link_id has {links:,} of the {links:,} ids" in done.stderr
    assert "--roads-id link_id" in done.stderr
    assert "such as -1, -2, -3" in done.stderr
    assert (tmp_path / "out" / "speeds.csv").exists()
    assert "the same command with other --roads options does not read the trips" in done.stderr
    for looked in ("status", "verify"):
        said = mapreduce_says(looked, str(tmp_path / "out"))
        assert "not finished" not in said
    for trip in town.trips.rglob("*.json"):
        trip.write_text("no trip any more")
    again = typed("--roads-id", "link_id")
    assert again.returncode == 0, again.stderr
    corrected = json.loads((tmp_path / "out" / "receipt.json").read_text())
    assert corrected["digest"] == receipt["digest"]
    assert corrected["geometry"]["joined"] == links
    assert not list((tmp_path / "out").glob("journal*"))


def mapreduce_says(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mapreduce.cli", *words], capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def test_columns_are_named_by_how_many_ids_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "roads.csv"
    path.write_text(CSV)
    said = roads.unjoined(IDS, str(path))
    assert "ids such as 7001, 7002, 7003; the column id of" in said
    assert "has such as 1, 2. The column link has 2 of the 3 ids: --roads-id link" in said
    assert "None of its columns contains one" in roads.unjoined(np.array([5]), str(path))
    path.write_text(CSV.replace("LINESTRING (1 2, 3 4)", ""))
    assert "empty or cannot be read" in roads.unjoined(
        IDS[:1], str(path), named=roads.Named(id_column="link")
    )


def test_a_servers_columns_are_named_too(postgis: Postgis, cursor: Any) -> None:
    cursor.execute(
        "CREATE TABLE roads (id int, link text, at timestamp, geom geometry(LineString, 4326));"
        "INSERT INTO roads VALUES (1, '7001', now(), 'SRID=4326;LINESTRING (1 2, 3 4)'),"
        " (2, '07002', now(), 'SRID=4326;LINESTRING (1 2, 3 4)'), (3, 'x', NULL, NULL)"
    )
    said = roads.unjoined(IDS, postgis.url("table=roads"))
    assert "such as 1, 2, 3. The column link has 2 of the 3 ids: --roads-id link" in said


@pytest.mark.parametrize("given", ["~nobody-of-this-name.parquet", "PG:host=h password=hidden"])
def test_a_text_that_is_no_file_is_refused_without_a_traceback(given: str, tmp_path: Path) -> None:
    (tmp_path / "trips").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "roadspeed.cli", "run", "trips", "--roads", given, "--out", "out"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "no roads file" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_a_tilde_is_part_of_a_name_where_there_is_such_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("~roads.csv", "home.csv"):
        (tmp_path / name).write_text(CSV)
    for given in ("~roads.csv", "~/home.csv"):
        assert roads.join(IDS, given, named=roads.Named(id_column="link")).joined == 2
