"""The command that `inspect` prints is typed as it stands, for data of every shape."""

from __future__ import annotations

import json
import shlex
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mapreduce as mr
from roadspeed.cli import app
from roadspeed.inspect.advice import told
from roadspeed.inspect.inspect import inspected
from roadspeed.outputs.parquet import read_parquet
from roadspeed.speeds import Speeds
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.osm_files import write_extract
from tests.roadspeed.rows import as_csv, as_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = needs_curitiba
Trips = dict[str, list[dict[str, Any]]]


@cache
def trips() -> Trips:
    found: Trips = {}
    for path in sorted((CURITIBA / "trips").glob("*.json")):
        found[path.stem] = [
            {
                "road_id": (fix["dbResponse"] or {}).get("linkID"),
                "speed": fix["absVelocity"],
                "lat": fix["lat"],
                "lon": fix["long"],
                "timestamp": fix["datetime"],
            }
            for fix in json.loads(path.read_bytes())["data"]
        ]
    return found


@cache
def known() -> mr.Result:
    return mr.run(Speeds(), CURITIBA / "trips", workers=1)


def all_in_one(change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> list[dict[str, Any]]:
    return [change(trip, fix) for trip, fixes in trips().items() for fix in fixes]


def columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def nested() -> bytes:
    return json.dumps(
        {"fleet": 7, "trips": [{"id": trip, "gps": fixes} for trip, fixes in trips().items()]}
    ).encode()


def text_link(trip: str, fix: dict[str, Any]) -> dict[str, Any]:
    link = fix["road_id"]
    return {"trip_id": trip, **fix, "road_id": link and f"w{link}"}


def float_link(trip: str, fix: dict[str, Any]) -> dict[str, Any]:
    link = fix["road_id"]
    return {"trip_id": trip, **fix, "road_id": link and float(link)}


def in_metres(_: str, fix: dict[str, Any]) -> dict[str, Any]:
    speed = fix["speed"]
    return {**fix, "speed": None if speed is None else speed / 3.6}


def as_texts(_: str, fix: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value is None else str(value) for name, value in fix.items()}


SHAPES: dict[str, tuple[str, Callable[[], bytes], set[str]]] = {
    "lists in a list": ("a.json", nested, {"--records-at trips[].gps", "--trip /trips[].id"}),
    "columns": (
        "a.json",
        lambda: json.dumps({"x": 1, "d": columns(all_in_one(lambda _, f: f))}).encode(),
        {"--format json-columns", "--records-at d"},
    ),
    "text ids": (
        "a.csv", lambda: as_csv(all_in_one(text_link)), {"--link-type text", "--trip trip_id"}
    ),
    "float ids": (
        "a.jsonl", lambda: as_lines(all_in_one(float_link)), {"--link-type float", "--trip trip_id"}
    ),
    "numbers as text": (
        "a.jsonl", lambda: as_lines(all_in_one(as_texts)), {"--text-numbers"}
    ),
    "metres a second": ("a.jsonl", lambda: as_lines(all_in_one(in_metres)), {"--unit m/s"}),
}  # fmt: skip


def command_for(folder: Path) -> list[str]:
    said = CliRunner().invoke(app, ["inspect", str(folder)])
    assert said.exit_code == 0, said.output
    return shlex.split(said.output.strip().rpartition("\n")[2])


def typed(words: list[str], out: Path, **given: str) -> None:
    given = {"OUT": str(out), **given}
    words = [
        given.get(word, word) for word in words if word not in {"roadspeed", "--roads", "ROADS"}
    ]
    done = CliRunner().invoke(app, [*words, "--no-map", "--workers", "1"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("shape", SHAPES)
def test_the_command_that_is_printed_gives_the_speeds(shape: str, tmp_path: Path) -> None:
    name, make, expected = SHAPES[shape]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(make())
    words = command_for(tmp_path / "in")
    for option in expected:
        assert option in " ".join(words)
    typed(words, tmp_path / "out")
    got = read_parquet(tmp_path / "out" / "speeds.parquet")
    order = np.argsort([str(link).removeprefix("w") for link in got.ids])
    again = np.argsort([str(link) for link in known().rows["link"].tolist()])
    np.testing.assert_array_equal(got.fixes[order], np.asarray(known().rows["fixes"])[again])
    if any("--trip" in option for option in expected):
        np.testing.assert_array_equal(got.trips[order], np.asarray(known().rows["trips"])[again])
    scale = 3.6 if shape == "metres a second" else 1.0
    np.testing.assert_allclose(
        got.mean[order] * scale, np.asarray(known().rows["mean"])[again], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("epoch", ["", "s", "ms"])
def test_traces_without_ids_and_speeds_are_matched_by_the_command(
    epoch: str, tmp_path: Path
) -> None:
    def bare(trip: str, fix: dict[str, Any]) -> dict[str, Any]:
        moment = np.datetime64(fix["timestamp"].removesuffix("Z"), "ms").astype(int)
        time = {"": fix["timestamp"], "s": int(moment) // 1000, "ms": int(moment)}[epoch]
        return {"vehicle_id": trip, "latitude": fix["lat"], "longitude": fix["lon"], "ts": time}

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(as_csv(all_in_one(bare)))
    words = command_for(tmp_path / "in")
    assert "--osm EXTRACT --speed-from positions" in " ".join(words)
    assert ("--time-epoch" in words) == bool(epoch)
    extract = tmp_path / "city.osm.pbf"
    write_extract(extract, json.loads((CURITIBA / "roads.geojson").read_bytes())["features"])
    typed(words, tmp_path / "out", EXTRACT=str(extract))
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_bytes())
    assert receipt["records"]["kept"] > 17_000
    assert receipt["geometry"]["missing"] == 0


def test_gpx_is_matched_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for trip, fixes in trips().items():
        points = "".join(
            f'<trkpt lat="{f["lat"]}" lon="{f["lon"]}"><time>{f["timestamp"]}</time></trkpt>'
            for f in fixes
            if f["lat"] is not None
        )
        gpx = f'<?xml version="1.0"?>\n<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}'
        (tmp_path / "in" / f"{trip}.gpx").write_text(f"{gpx}</trkseg></trk></gpx>")
    words = command_for(tmp_path / "in")
    assert words[3:] == shlex.split("--format gpx --osm EXTRACT --speed-from positions --out OUT")
    extract = tmp_path / "city.osm.pbf"
    write_extract(extract, json.loads((CURITIBA / "roads.geojson").read_bytes())["features"])
    typed(words, tmp_path / "out", EXTRACT=str(extract))
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_bytes())
    assert (receipt["objects"]["ok"], receipt["records"]["read"]) == (9, 18_012)
    assert receipt["records"]["kept"] > 17_000


def test_too_few_steps_tell_no_unit(tmp_path: Path) -> None:
    rows = [fix for fix in next(iter(trips().values())) if fix["lat"] and fix["road_id"]][:15]
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    assert "add --unit if it is not km/h" in told(inspected(str(tmp_path)), str(tmp_path))
