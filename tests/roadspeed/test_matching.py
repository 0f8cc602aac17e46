"""Matching by Valhalla: real drives and drives made up, on any engine; what cannot be matched.

There is no extract of OpenStreetMap to be had here, so one is written from the roads of the drives.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mapreduce as mr
from mapreduce.engines.dask import Dask
from mapreduce.engines.local import Local
from mapreduce.errors import JobError, UsageError
from roadspeed.cli import app
from roadspeed.osm import match_folder
from roadspeed.osm.links import NO_LINK
from roadspeed.osm.match_folder import folder_of
from roadspeed.osm.matched_speeds import MatchedSpeeds
from roadspeed.osm.matcher import Matcher
from roadspeed.osm.osm_roads import LINKS_A_WAY
from roadspeed.osm.valhalla import Meili
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.osm_files import road, write_extract
from tests.roadspeed.towns import default_town

if TYPE_CHECKING:
    from pathlib import Path

    from roadspeed.osm.match_folder import MatchFolder

SQUARE = [
    road(1, (0.0, 50.0), (0.001, 50.0), (0.002, 50.0), (0.003, 50.0)),
    road(2, (0.002, 50.0), (0.002, 50.001), (0.002, 50.002)),
]


@pytest.fixture(scope="module")
def curitiba(tmp_path_factory: pytest.TempPathFactory) -> MatchFolder:
    extract = tmp_path_factory.mktemp("curitiba") / "city.osm.pbf"
    write_extract(extract, json.loads((CURITIBA / "roads.geojson").read_bytes())["features"])
    return folder_of(extract)


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> MatchFolder:
    extract = tmp_path_factory.mktemp("square") / "square.osm.pbf"
    write_extract(extract, SQUARE)
    return folder_of(extract)


def job_of(folder: MatchFolder, **more: Any) -> MatchedSpeeds:
    given = {"tiles": mr.SideFile(folder.tiles), "ways": mr.SideFile(folder.links), **more}
    return MatchedSpeeds(**given)


def matcher(folder: MatchFolder, accuracy_m: float = 5.0) -> Matcher:
    return Matcher(Meili(folder.tiles, accuracy_m, 50.0), folder.links)


def share_right(folder: MatchFolder, trips: Any, accuracy_m: float) -> float:
    """Give the share of fixes with a link that are matched to its way."""
    matching, right, all_ = matcher(folder, accuracy_m), 0, 0
    for lat, lon, way in trips:
        found = matching.links_of(lat, lon, np.arange(len(lat)) * 1_000_000)
        right += int(np.count_nonzero((found // LINKS_A_WAY == way) & (way >= 0)))
        all_ += int(np.count_nonzero(way >= 0))
    return right / all_


def fixes_of(fixes: list[dict[str, Any]], noise_m: float, seed: int, *, at: str) -> Any:
    """Give latitude, longitude and the way of the fixes that have a position."""
    lat_name, lon_name = {"raw": ("lat", "long"), "true": ("matchLatitude", "matchLongitude")}[at]
    rows = []
    for fix in fixes:
        match = fix["dbResponse"]
        place = fix if at == "raw" else match
        if place and place[lat_name] is not None:
            link = match["linkID"] if match else ""
            way = int(link) if link.isdigit() else NO_LINK
            rows.append((place[lat_name], place[lon_name], way))
    lat, lon, ways = (np.array(column) for column in zip(*rows, strict=True))
    rng = np.random.default_rng(seed)
    metre = 360 / 40_030_000
    lat = lat + rng.normal(0, noise_m, len(lat)) * metre
    lon = lon + rng.normal(0, noise_m, len(lon)) * metre / np.cos(np.radians(lat))
    return lat, lon, ways


@needs_curitiba
def test_real_drives_are_matched_to_the_ways_that_they_came_with(curitiba: MatchFolder) -> None:
    trips = [
        fixes_of(json.loads(path.read_bytes())["data"], 0.0, 0, at="raw")
        for path in sorted((CURITIBA / "trips").glob("*.json"))
    ]
    assert share_right(curitiba, trips, 5.0) > 0.88


@pytest.mark.parametrize(
    ("noise_m", "least"), [(0.1, 0.94), (5.0, 0.86), (10.0, 0.81), (20.0, 0.63)]
)
def test_drives_made_up_are_found_again_through_noise(
    noise_m: float, least: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    town = default_town()
    extract = tmp_path_factory.getbasetemp() / "town.osm.pbf"
    if not extract.exists():
        write_extract(extract, town.roads()["features"])
    trips = [
        fixes_of(town.trip(number)["data"], noise_m, number, at="true") for number in range(1, 21)
    ]
    assert share_right(folder_of(extract), trips, max(noise_m, 5.0)) > least


@needs_curitiba
@pytest.mark.parametrize("speed_from", ["field", "positions"])
def test_one_digest_on_every_engine(
    speed_from: str, curitiba: MatchFolder, dask_address: str
) -> None:
    job = job_of(curitiba, speed_from=speed_from)
    known = mr.run(job, CURITIBA / "trips", workers=1)
    for engine in (Local(workers=2), Dask(dask_address)):
        options = mr.Options(split_bytes=1 << 20)
        got = mr.run(job, CURITIBA / "trips", engine=engine, options=options)
        assert got.digest == known.digest
        assert got.ledger.dropped == known.ledger.dropped
    ledger = known.ledger
    assert ledger.read == ledger.kept + sum(ledger.dropped.values()) == 18_014
    assert ledger.dropped["unmatched"] < 600
    assert ledger.dropped["no_latitude"] == 2


@needs_curitiba
def test_many_trips_in_one_object_are_matched_one_by_one(curitiba: MatchFolder) -> None:
    known = mr.run(job_of(curitiba), CURITIBA / "trips", workers=1)
    fixes = [
        {"trip": path.stem, "t": fix["datetime"], "y": fix["lat"], "x": fix["long"]}
        for path in sorted((CURITIBA / "trips").glob("*.json"))
        for fix in json.loads(path.read_bytes())["data"]
    ]
    fixes.sort(key=lambda fix: str(fix["t"]))  # so that those of trips may alternate
    lines = b"\n".join(json.dumps(fix).encode() for fix in fixes)
    paths = {"trip": "trip", "time": "t", "latitude": "y", "longitude": "x"}
    got = mr.run(
        job_of(curitiba, format="json-lines", **paths), mr.Memory({"all": lines}), workers=1
    )
    for name in ("link", "fixes", "trips", "mean", "min", "max"):
        np.testing.assert_array_equal(np.asarray(got.rows[name]), np.asarray(known.rows[name]))
    assert got.ledger.dropped == known.ledger.dropped


def along(*points: tuple[float, float]) -> tuple[Any, Any, Any]:
    lon, lat = np.array(points).T
    return lat, lon, np.arange(len(points)) * 5_000_000


def test_each_fix_has_the_link_that_it_is_on(square: MatchFolder) -> None:
    place = along(
        (0.0005, 50.00001), (0.0012, 49.99999), (0.0019, 50.0), (0.002, 50.0005), (0.002, 50.0015)
    )
    assert matcher(square).links_of(*place).tolist() == [10_000, 10_000, 10_000, 20_000, 20_000]
    beyond = along((0.0022, 50.0), (0.0025, 50.0), (0.0028, 50.0))
    assert matcher(square).links_of(*beyond).tolist() == [10_001] * 3


def test_what_is_on_no_road_has_no_link(square: MatchFolder) -> None:
    far = along((1.0, 51.0), (1.001, 51.0), (1.002, 51.0))
    assert matcher(square).links_of(*far).tolist() == [NO_LINK] * 3
    alone = along((0.001, 50.0))
    assert matcher(square).links_of(*alone).tolist() == [NO_LINK]
    assert matcher(square).links_of(np.zeros(0), np.zeros(0), np.zeros(0, np.int64)).tolist() == []


def test_what_cannot_be_matched_is_counted(square: MatchFolder) -> None:
    def fix(x: float, y: float, second: int, v: float = 10.0) -> dict[str, Any]:
        time = f"2019-03-01T08:{second // 60:02}:{second % 60:02}Z"
        return {"lat": y, "long": x, "datetime": time, "absVelocity": v}

    good = [fix(0.0002 * n, 50.0, 2 * n) for n in range(10)]
    odd = [fix(0.0018, 91.0, 20), fix(1.0, 51.0, 200), fix(1.0, 51.0, 202), fix(0.001, 50.0, 900)]
    none = [{"lat": None, "long": 0.0}, {"lat": 50.0, "long": 0.0, "datetime": "noon"}]
    trip = json.dumps({"data": [*odd, *none, *good[::-1]]}).encode()
    by_field = mr.run(job_of(square, speed_from="field"), mr.Memory({"a": trip}), workers=1)
    assert by_field.ledger.kept == 10
    expected = {"latitude_out_of_range": 1, "no_latitude": 1, "bad_time": 1, "unmatched": 3}
    assert by_field.ledger.dropped == expected
    by_step = mr.run(job_of(square), mr.Memory({"a": trip}), workers=1)
    assert by_step.ledger.dropped == {**expected, "first_of_trip": 1}
    assert by_step.ledger.kept == 9
    assert by_step.rows["mean"].tolist()[0] == pytest.approx(0.0002 * 71_560 / 2 * 3.6, rel=0.01)


def test_a_folder_is_made_once_for_an_extract(tmp_path: Path) -> None:
    extract = tmp_path / "square.osm.pbf"
    write_extract(extract, SQUARE)
    said: list[str] = []
    made = folder_of(extract, said.append)
    assert made.folder == tmp_path / "square.match"
    assert said
    before = made.tiles.read_bytes()
    said.clear()
    assert folder_of(extract, said.append) == made
    assert folder_of(made.folder, said.append) == made
    assert said == []
    made.links.unlink()
    folder_of(extract, said.append)
    assert said
    assert made.tiles.read_bytes() == before
    write_extract(extract, SQUARE[:1])
    folder_of(extract, said.append)
    assert made.tiles.read_bytes() != before


@pytest.mark.parametrize("name", ["nothing.osm.pbf", "empty"])
def test_what_is_no_folder_or_extract_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="roadspeed roads tiles"):
        folder_of(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"no tar" * 1000])
def test_tiles_that_are_none_are_refused(
    content: bytes, square: MatchFolder, tmp_path: Path
) -> None:
    (tmp_path / "tiles.tar").write_bytes(content)
    job = job_of(square, tiles=mr.SideFile(tmp_path / "tiles.tar"))
    trip = json.dumps({"data": [{"lat": 50.0, "long": 0.0, "datetime": "2019-03-01T08:00Z"}] * 3})
    with pytest.raises(JobError, match="expected the tiles of `roadspeed roads tiles`"):
        mr.run(job, mr.Memory({"a": trip.encode()}), workers=1)


def test_without_valhalla_the_message_says_what_to_do(
    square: MatchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valhalla", None)
    with pytest.raises(UsageError, match=r"pip install 'roadspeed\[match\]'"):
        match_folder.make(square.folder, square.folder)
    with pytest.raises(JobError, match=r"pip install 'roadspeed\[match\]'"):
        matcher(square)


@needs_curitiba
def test_a_run_joins_the_roads_of_the_extract_and_credits_them(
    curitiba: MatchFolder, tmp_path: Path
) -> None:
    trips, out = str(CURITIBA / "trips"), tmp_path / "out"
    options = ["--osm", str(curitiba.folder), "--width", "400", "--speed-from", "positions"]
    done = CliRunner().invoke(app, ["run", trips, "--out", str(out), *options])
    assert done.exit_code == 0, done.output
    receipt = json.loads((out / "receipt.json").read_bytes())
    assert receipt["geometry"]["missing"] == 0
    about = (out / "speeds.csv-metadata.json").read_text(encoding="utf-8")
    assert "OpenStreetMap contributors" in about
    assert "the id of its way times 10,000" in about
    assert "the speeds (from positions and times)" in about
    assert "linkID`" not in about


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--osm", "nowhere"], "no file nowhere"),
        (["--speed-from", "thin air"], "--speed-from is one of field, positions"),
        (["--max-gap", "9"], "--max-gap needs --osm, or --speed-from positions"),
        (["--speed-from", "positions", "--time-epoch", "days"], "--time-epoch is s or ms"),
        (["--speed-from", "positions", "--max-gap", "0"], "--max-gap is above 0 seconds"),
    ],
)
def test_options_that_cannot_be_are_refused(options: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    out = str(tmp_path / "out")
    said = CliRunner().invoke(app, ["run", str(tmp_path / "a.json"), "--out", out, *options])
    assert said.exit_code == 2
    assert told in " ".join(said.output.split())


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed_from": "matched"},
        {"gps_accuracy": 0.0},
        {"search_radius": 1e9},
        {"link_type": "text"},
        {"signed": True},
        {"no_link": ("0",)},
    ],
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, Any], square: MatchFolder) -> None:
    with pytest.raises(UsageError):
        job_of(square, **wrong)
