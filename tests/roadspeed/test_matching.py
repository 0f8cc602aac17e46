"""Matching by Valhalla: real drives and drives made up, on any engine; what cannot be matched.

There is no extract of OpenStreetMap to be had here, so one is written from the roads of the drives.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import mapreduce as mr
from mapreduce.engines.dask import Dask
from mapreduce.engines.local import Local
from mapreduce.errors import JobError, UsageError
from roadspeed.cli import app
from roadspeed.measures.direction import BACKWARD, FORWARD, UNKNOWN
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


def matcher(folder: MatchFolder, accuracy_m: float = 5.0, interval_s: float = 0.0) -> Matcher:
    return Matcher(Meili(folder.tiles, accuracy_m, 50.0), folder.links, interval_s)


def share_right(folder: MatchFolder, trips: Any, accuracy_m: float) -> float:
    """Give the share of fixes with a link that are matched to its way."""
    matching, right, all_ = matcher(folder, accuracy_m, MatchedSpeeds.sampling_interval), 0, 0
    for lat, lon, way in trips:
        found = matching.match(lat, lon, np.arange(len(lat)) * 1_000_000).link
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
    assert share_right(curitiba, trips, 5.0) > 0.91


@pytest.mark.parametrize(
    ("noise_m", "least"), [(0.1, 0.95), (5.0, 0.89), (10.0, 0.85), (20.0, 0.71)]
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
    assert matcher(square).match(*place).link.tolist() == [10_000, 10_000, 10_000, 20_000, 20_000]
    beyond = along((0.0022, 50.0), (0.0025, 50.0), (0.0028, 50.0))
    assert matcher(square).match(*beyond).link.tolist() == [10_001] * 3


def test_what_is_on_no_road_has_no_link(square: MatchFolder) -> None:
    far = along((1.0, 51.0), (1.001, 51.0), (1.002, 51.0))
    assert matcher(square).match(*far).link.tolist() == [NO_LINK] * 3
    alone = along((0.001, 50.0))
    assert matcher(square).match(*alone).link.tolist() == [NO_LINK]
    assert (
        matcher(square).match(np.zeros(0), np.zeros(0), np.zeros(0, np.int64)).link.tolist() == []
    )


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


def test_speeds_along_the_road_are_those_of_a_plain_loop(square: MatchFolder) -> None:
    """Round a corner: 71.5 m east and 111.2 m north in 10 s, where a straight line is shorter."""
    places = [(0.001, 50.0), (0.002, 50.001), (0.002, 50.0015), (0.002, 50.0018)]
    fixes = [
        {"lat": y, "long": x, "datetime": f"2019-03-01T08:00:{10 * n:02}Z"}
        for n, (x, y) in enumerate(places)
    ]
    trip = mr.Memory({"a": json.dumps({"data": fixes}).encode()})
    straight = mr.run(job_of(square, sampling_interval=0.0), trip, workers=1)
    along = mr.run(job_of(square, sampling_interval=0.0, speed_from="matched"), trip, workers=1)
    east, north = 0.001 * 111_195 * np.cos(np.radians(50)), 111.195
    speeds = [3.6 * way / 10 for way in (east + north, north / 2, north * 0.3)]
    assert along.ledger.dropped == {"first_of_trip": 1}
    assert along.rows["link"].tolist() == [20_000]
    assert along.rows["fixes"].tolist() == [3]
    assert along.rows["mean"].tolist() == pytest.approx([np.mean(speeds)], rel=1e-3)
    assert along.rows["max"].tolist() == pytest.approx([max(speeds)], rel=1e-3)
    assert straight.rows["max"].tolist()[-1] < 0.8 * max(speeds)


def test_where_no_road_leads_on_there_is_no_speed(tmp_path: Path) -> None:
    far = road(3, (0.008, 50.003), (0.010, 50.003), (0.012, 50.003))
    write_extract(tmp_path / "two.osm.pbf", [*SQUARE, far])
    two = folder_of(tmp_path / "two.osm.pbf")
    places = [(0.0005, 50.0), (0.0015, 50.0), (0.0085, 50.003), (0.0095, 50.003), (0.0115, 50.003)]
    lat, lon, time = along(*places)
    found = matcher(two).match(lat, lon, time)
    assert (found.link // LINKS_A_WAY).tolist() == [1, 1, 3, 3, 3]
    assert np.flatnonzero(np.diff(found.leg)).tolist() == [1]
    fixes = [
        {"lat": y, "long": x, "datetime": f"2019-03-01T08:00:{10 * n:02}Z"}
        for n, (x, y) in enumerate(places)
    ]
    trip = mr.Memory({"a": json.dumps({"data": fixes}).encode()})
    job = job_of(two, sampling_interval=0.0, speed_from="matched")
    assert mr.run(job, trip, workers=1).ledger.dropped == {"first_of_trip": 1, "way_broken": 1}


def test_positions_that_were_not_matched_are_put_on_the_way(square: MatchFolder) -> None:
    lon = np.array([0.0003 + 0.00005 * n for n in range(40)])
    lat = np.full(40, 50.0) + np.where(np.arange(40) % 2, 2e-5, -2e-5)
    time = np.arange(40) * 1_000_000
    all_, some = (
        Matcher(Meili(square.tiles, 5.0, 50.0), square.links, interval).match(lat, lon, time)
        for interval in (0.0, 7.0)
    )
    assert some.link.tolist() == all_.link.tolist()
    assert (some.leg == 0).all()
    np.testing.assert_allclose(np.diff(some.at_mm), 3_574, atol=30)
    np.testing.assert_allclose(some.lat, 50.0, atol=1e-6)
    away = lat.copy()
    away[3] += 0.01
    lost = Matcher(Meili(square.tiles, 5.0, 50.0), square.links, 7.0).match(away, lon, time)
    assert np.flatnonzero(lost.link == NO_LINK).tolist() == [3]


@needs_curitiba
def test_matched_fixes_are_written_with_the_account_of_a_run(
    curitiba: MatchFolder, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for path in (CURITIBA / "trips").glob("*.json"):
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "in/bad.json").write_bytes(b"{")
    out = tmp_path / "out"
    typed = ["match", str(tmp_path / "in"), "--osm", str(curitiba.folder), "--out", str(out)]
    done = CliRunner().invoke(app, typed)
    assert done.exit_code == 3, done.output
    assert "1 of 10 objects were quarantined" in done.output
    known = mr.run(job_of(curitiba), tmp_path / "in", workers=1).ledger.dropped
    receipt = json.loads((out / "receipt.json").read_bytes())
    assert receipt["records"]["dropped"] == {n: known[n] for n in ("no_latitude", "unmatched")}
    assert (receipt["objects"]["ok"], receipt["objects"]["quarantined"]) == (9, 1)
    table = pq.read_table(out / "fixes.parquet").to_pandas()
    assert len(table) == receipt["records"]["read"] - receipt["records"]["dropped"]["no_latitude"]
    assert table["link"].notna().sum() == receipt["records"]["kept"]
    assert (table["link"].isna() == table["matched_latitude"].isna()).all()
    assert (table["link"].isna() == table["direction"].isna()).all()
    assert table["direction"].value_counts()["forward"] > len(table) / 2
    assert table["direction"].value_counts()["backward"] > len(table) / 100
    trip = json.loads((CURITIBA / "trips/A05.json").read_bytes())["data"]
    rows = table[table["object"] == "A05.json"]
    assert [trip[n]["lat"] for n in rows["record"]] == rows["latitude"].tolist()
    run = CliRunner().invoke(app, [*typed[:-1], str(tmp_path / "run"), "--workers", "1", "--json"])
    again = pq.read_table(tmp_path / "run/fixes.parquet")
    assert json.loads(run.stdout)["digest"] == receipt["digest"]
    assert again.equals(pq.read_table(out / "fixes.parquet"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "match needs --osm"),
        (["--osm", "x", "--speed-from", "matched"], "no speed is needed to match"),
        (["--osm", "nowhere"], "no file nowhere"),
    ],
)
def test_match_says_what_is_missing(options: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    typed = ["match", str(tmp_path / "a.json"), "--out", str(tmp_path / "out"), *options]
    said = CliRunner().invoke(app, typed)
    assert said.exit_code == 2
    assert told in " ".join(said.output.split())


@pytest.mark.parametrize(
    ("holds", "told"),
    [
        (b"{", "no object of 1 yielded a record (1 not_json)"),
        (b'{"data": [{"lat": 9, "long": 9, "datetime": "2019-01-01T00:00:00Z"}]}', "(1 unmatched)"),
    ],
)
def test_a_match_that_keeps_no_fix_fails_and_says_why(
    holds: bytes, told: str, square: MatchFolder, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_bytes(holds)
    out = tmp_path / "out"
    typed = [str(tmp_path / "a.json"), "--osm", str(square.folder), "--out", str(out)]
    said = CliRunner().invoke(app, ["match", *typed])
    assert said.exit_code == 1
    assert told in " ".join(said.output.split())
    assert list(out.iterdir()) == []


def test_the_folder_of_a_run_is_left_alone(square: MatchFolder, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"data": []}')
    out = tmp_path / "out"
    typed = [str(tmp_path / "a.json"), "--osm", str(square.folder), "--out", str(out)]
    assert CliRunner().invoke(app, ["run", *typed, "--no-map"]).exit_code == 0
    said = CliRunner().invoke(app, ["match", *typed])
    assert said.exit_code == 2
    assert "choose another --out" in " ".join(said.output.split())
    assert (out / "speeds.csv").exists()


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


@needs_curitiba
def test_directions_of_a_run_are_those_of_its_matched_fixes(
    curitiba: MatchFolder, tmp_path: Path
) -> None:
    trips, osm = str(CURITIBA / "trips"), ["--osm", str(curitiba.folder)]
    options = ["--speed-from", "field", "--by", "direction", "--no-map"]
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["run", trips, "--out", str(out), *osm, *options])
    assert done.exit_code == 0, done.output
    cells = pq.read_table(out / "speeds-by-direction.parquet").to_pandas()
    done = CliRunner().invoke(app, ["match", trips, "--out", str(tmp_path / "matched"), *osm])
    assert done.exit_code == 0, done.output
    fixes = pq.read_table(tmp_path / "matched/fixes.parquet").to_pandas().dropna(subset=["link"])
    known = fixes.groupby(["link", "direction"], observed=True).size()
    found = cells.set_index(["link", "direction"])["fixes"]
    assert {(int(link), way): n for (link, way), n in known.items()} == found.to_dict()
    assert {"forward", "backward"} <= {*cells["direction"]}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--osm", "nowhere"], "no file nowhere"),
        (["--speed-from", "thin air"], "--speed-from is one of field, positions, matched"),
        (["--speed-from", "matched"], "--speed-from matched needs --osm"),
        (["--max-gap", "9"], "--max-gap needs --by, --trip-ends, --osm, or --speed-from positions"),
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
        {"speed_from": "thought"},
        {"sampling_interval": -1.0},
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


def test_each_fix_says_which_way_along_the_link_it_was_driven(square: MatchFolder) -> None:
    lat, lon, time = along(
        (0.0005, 50.0), (0.0012, 50.0), (0.0019, 50.0), (0.002, 50.0005), (0.002, 50.0015)
    )
    matching = matcher(square)  # one for both ways, so what it remembers is of one way each
    for _ in range(2):
        assert matching.match(lat, lon, time).direction.tolist() == [FORWARD] * 5
        back = matching.match(lat[::-1], lon[::-1], time)
        assert back.direction.tolist() == [BACKWARD] * 5
    assert matching.match(lat + 1, lon + 1, time).direction.tolist() == [UNKNOWN] * 5


def test_directions_do_not_depend_on_what_was_matched_before(square: MatchFolder) -> None:
    """A trace that stands still shows no direction, whoever drove there before or will."""
    drive = along((0.002, 50.0002), (0.002, 50.001), (0.002, 50.0018))
    still = along((0.002, 50.001), (0.002, 50.001), (0.002, 50.001))
    before, after = matcher(square), matcher(square)
    assert before.match(*still).direction.tolist() == [UNKNOWN] * 3
    assert before.match(*drive).direction.tolist() == [FORWARD] * 3
    assert after.match(*drive).direction.tolist() == [FORWARD] * 3
    assert after.match(*still).direction.tolist() == [UNKNOWN] * 3


@pytest.mark.parametrize(("noise_m", "wrong"), [(0.1, 0.01), (10.0, 0.01), (20.0, 0.02)])
def test_drives_made_up_went_the_way_that_they_are_found_to_have_gone(
    noise_m: float, wrong: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    town = default_town()
    extract = tmp_path_factory.getbasetemp() / "town.osm.pbf"
    if not extract.exists():
        write_extract(extract, town.roads()["features"])
    matching = matcher(folder_of(extract), max(noise_m, 5.0), MatchedSpeeds.sampling_interval)
    found, true = [], []
    for number in range(1, 21):
        fixes = [
            fix
            for fix in town.trip(number)["data"]
            if (match := fix["dbResponse"]) and match["linkID"].isdigit()
        ]
        lat, lon, way = fixes_of(fixes, noise_m, number, at="true")
        got = matching.match(lat, lon, np.arange(len(lat)) * 1_000_000)
        moves = np.array([(fix["absVelocity"] or 0.0) >= 5.0 for fix in fixes])
        right = (got.link // LINKS_A_WAY == way) & moves
        said = np.array([fix["dbResponse"]["dirTravel"] == "F" for fix in fixes])
        true.append(np.where(said, FORWARD, BACKWARD)[right])
        found.append(got.direction[right])
    every, known = np.concatenate(found), np.concatenate(true)
    assert len(every) > 20_000
    assert (every == UNKNOWN).mean() < 0.001
    assert (every != known).mean() < wrong
