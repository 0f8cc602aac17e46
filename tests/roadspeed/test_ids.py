"""Ids of any kind: text, floats, signed, in every format; and trips counted by their id.

The real drives' ids are written otherwise, so what comes out must be what they give as they are.
"""

from __future__ import annotations

import csv
import json
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import geopandas
import numpy as np
import pytest
from typer.testing import CliRunner

import mapreduce as mr
from mapreduce.engines.local import Local
from roadspeed.cli import app
from roadspeed.road_source import RoadSource
from roadspeed.roads import Named, join
from roadspeed.run import RunRequest, run_speeds
from roadspeed.speeds import Speeds
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.rows import as_columns, as_csv, as_lines, as_parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = needs_curitiba
COLUMNS = ("fixes", "trips", "mean", "std", "min", "max")


def uuid(link: str) -> str:
    return str(UUID(int=int(link) * 0x1_0001_0001))


@cache
def fixes() -> list[dict[str, Any]]:
    """All fixes of all drives, with the drive's name."""
    found = []
    for path in sorted((CURITIBA / "trips").glob("*.json")):
        for fix in json.loads(path.read_bytes())["data"]:
            link = (fix["dbResponse"] or {}).get("linkID")
            found.append({"trip": path.stem, "link": link, "speed": fix["absVelocity"]})
    return found


@cache
def known() -> mr.Result:
    return mr.run(Speeds(), CURITIBA / "trips", workers=1)


def changed(change: Callable[[str], Any]) -> list[dict[str, Any]]:
    return [{**f, "link": None if f["link"] is None else change(f["link"])} for f in fixes()]


def as_json(rows: list[dict[str, Any]]) -> bytes:
    by_trip: dict[str, list[Any]] = {}
    for row in rows:
        by_trip.setdefault(row["trip"], []).append(row)
    return json.dumps([{"id": trip, "data": rows} for trip, rows in by_trip.items()]).encode()


FORMS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "json": as_json,
    "json-lines": as_lines,
    "json-columns": as_columns,
    "csv": as_csv,
    "parquet": as_parquet,
}


def speeds(form: str, rows: list[dict[str, Any]], **options: Any) -> mr.Result:
    at = "[].data" if form == "json" else ""
    job = Speeds(format=form, records_at=at, link="link", speed="speed", **options)
    return mr.run(job, mr.Memory({"all": FORMS[form](rows)}), workers=2)


def trip_in(form: str) -> str:
    return "/[].id" if form == "json" else "trip"


def check_same(got: mr.Result, ids: list[Any]) -> None:
    """Compare with the drives as they are; `ids` says what each link is called now."""
    order = sorted(range(len(ids)), key=ids.__getitem__)
    assert got.rows["link"].tolist() == [ids[n] for n in order]
    for name in COLUMNS:
        expected = np.asarray(known().rows[name])[order]
        np.testing.assert_array_equal(np.asarray(got.rows[name]), expected, err_msg=name)
    assert (got.ledger.read, got.ledger.kept) == (18_014, 17_888)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("write", [str, "w{}".format, uuid], ids=["digits", "prefixed", "uuid"])
def test_text_ids_give_the_same_speeds(form: str, write: Callable[[str], str]) -> None:
    got = speeds(form, changed(write), link_type="text", trip=trip_in(form))
    check_same(got, [write(str(link)).encode() for link in known().rows["link"].tolist()])


@pytest.mark.parametrize("form", FORMS)
def test_integral_floats_are_ids_where_that_is_said(form: str) -> None:
    got = speeds(form, changed(float), link_type="float", trip=trip_in(form))
    check_same(got, known().rows["link"].tolist())
    beyond = [{"trip": "a", "link": link, "speed": 1.0} for link in (2.0**53, 1.5, -(2.0**60), 3.0)]
    few = speeds(form, beyond, link_type="float")
    assert few.rows["link"].tolist() == [3]
    assert few.ledger.dropped == {"bad_link": 3}


@pytest.mark.parametrize("form", FORMS)
def test_a_float_is_no_id_where_nothing_is_said(form: str) -> None:
    got = speeds(form, changed(float))
    assert len(got.rows["link"]) == 0
    assert got.ledger.dropped == {"bad_link": 17_888, "no_link": 126}


def test_signs_are_directions_where_that_is_said() -> None:
    rows = [
        {**row, "link": row["link"] and f"-{row['link']}"} if n % 2 else row
        for n, row in enumerate(fixes())
    ]
    got = speeds("csv", rows, signed=True, trip="trip")
    check_same(got, known().rows["link"].tolist())
    assert len(speeds("csv", rows, trip="trip").rows["link"]) > len(known().rows["link"])


def test_a_trip_in_several_objects_counts_once() -> None:
    rows = fixes()
    job = Speeds(format="csv", link="link", speed="speed", trip="trip")
    objects = {f"{n}.csv": as_csv(rows[n::7]) for n in range(7)}
    got = mr.run(job, mr.Memory(objects), workers=2)
    check_same(got, known().rows["link"].tolist())
    by_object = mr.run(
        Speeds(format="csv", link="link", speed="speed"), mr.Memory(objects), workers=1
    )
    assert by_object.rows["trips"].tolist() != got.rows["trips"].tolist()


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_or_named_id_is_none(form: str) -> None:
    rows = [{"trip": 1, "link": link, "speed": 1.0} for link in ("", "none", "a", "b" * 65, None)]
    got = speeds(form, rows, link_type="text", no_link=("none",))
    assert got.rows["link"].tolist() == [b"a"]
    assert got.ledger.dropped == {"no_link": 3, "bad_link": 1}


def test_a_fix_without_its_trip_is_dropped_and_told() -> None:
    rows = [{"trip": trip, "link": 1, "speed": 1.0} for trip in (None, "x" * 65, "", 7, "y")]
    got = speeds("json-lines", rows, trip="trip")
    assert got.rows["trips"].tolist() == [3]
    assert got.ledger.dropped == {"no_trip": 1, "bad_trip": 1}


def test_a_trip_may_be_known_by_two_fields() -> None:
    rows = [
        {"car": car, "trip": trip, "link": 1, "speed": 1.0}
        for car, trip in [(1, 11), (11, 1), (1, 11), (2, 11), (1, 1)]
    ]
    assert speeds("csv", rows, trip="trip").rows["trips"].tolist() == [2]
    assert speeds("json-lines", rows, trip="car,trip").rows["trips"].tolist() == [4]


ROADS = {
    "w1": "LINESTRING (0 0, 1 1)",
    "w;2": "LINESTRING (0 1, 1 1)",
    "é": "LINESTRING (0 2, 1 1)",
}
TEXT = Named(text_ids=True)
IDS = np.array(sorted(link.encode() for link in [*ROADS, "missing"]), dtype="S64")


def road_files(folder: Path) -> dict[str, str]:
    frame = geopandas.GeoDataFrame(
        {"id": list(ROADS)}, geometry=geopandas.GeoSeries.from_wkt(list(ROADS.values())), crs=4326
    )
    frame.to_file(folder / "roads.geojson", driver="GeoJSON")
    frame.to_file(folder / "roads.gpkg")
    frame.to_parquet(folder / "roads.parquet")
    lines = ["id\tgeom", *(f"{link}\t{line}" for link, line in ROADS.items())]
    (folder / "roads.csv").write_text("\n".join(lines), encoding="utf-8")
    return {path.suffix: str(path) for path in folder.iterdir()}


def check_joined(joined: Any) -> None:
    assert (joined.joined, joined.missing) == (3, 1)
    wkt = {IDS[n].decode(): g and g.wkt for n, g in enumerate(joined.geometry)}
    assert wkt == {**ROADS, "missing": None}


@pytest.mark.parametrize("ending", [".geojson", ".gpkg", ".parquet", ".csv"])
def test_roads_are_joined_by_text(ending: str, tmp_path: Path) -> None:
    check_joined(join(IDS, road_files(tmp_path)[ending], TEXT))


def test_roads_in_postgis_are_joined_by_text(cursor: Any, postgis: Any) -> None:
    cursor.execute("CREATE TABLE words (id text, geom geometry(LineString, 4326))")
    for link, line in ROADS.items():
        cursor.execute("INSERT INTO words VALUES (%s, ST_GeomFromText(%s, 4326))", (link, line))
    cursor.connection.commit()
    check_joined(join(IDS, postgis.url("table=words"), TEXT))


def test_integers_of_roads_are_joined_by_their_digits(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(
        {"id": [12, 7]},
        geometry=geopandas.GeoSeries.from_wkt(["LINESTRING (0 0, 1 1)"] * 2),
        crs=4326,
    )
    frame.to_parquet(tmp_path / "roads.parquet")
    ids = np.array([b"12", b"7", b"w7"], dtype="S64")
    joined = join(ids, str(tmp_path / "roads.parquet"), TEXT)
    assert [g is not None for g in joined.geometry] == [True, True, False]


def test_files_hold_text_ids(tmp_path: Path) -> None:
    roads = tmp_path / "roads"
    roads.mkdir()
    rows = [{"trip": 1, "link": link, "speed": 30.0} for link in [*ROADS, "missing"]]
    (tmp_path / "trips").mkdir()
    (tmp_path / "trips" / "a.csv").write_bytes(as_csv(rows))
    out = tmp_path / "out"
    wanted = RunRequest(
        out=out,
        job=Speeds(format="csv", link="link", speed="speed", trip="trip", link_type="text"),
        roads=RoadSource(road_files(roads)[".gpkg"]),
    )
    receipt = run_speeds(str(tmp_path / "trips"), wanted, Local(workers=1))
    assert receipt["geometry"]["joined"] == 3
    names = sorted([*ROADS, "missing"], key=str.encode)
    assert geopandas.read_parquet(out / "speeds.parquet")["link"].tolist() == names
    assert geopandas.read_file(out / "speeds.gpkg", layer="speeds")["link"].tolist() == names
    with (out / "speeds.csv").open(encoding="utf-8", newline="") as file:
        assert [row["linkID"] for row in csv.DictReader(file, delimiter=";")] == names
    about = json.loads((out / "speeds.csv-metadata.json").read_text(encoding="utf-8"))
    kinds = {c["titles"]: c["datatype"] for c in about["tableSchema"]["columns"]}
    assert kinds["linkID"] == "string"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--link-type", "uuid"], "--link-type is one of int, text, float"),
        (["--link-type", "text", "--signed-links"], "have no sign"),
        (["--no-link", "none"], "need --link-type text"),
        (["--format", "csv", "--trip", "/id"], "a Head needs a format of documents"),
        (["--trip", "a..b"], "an empty key"),
    ],
)
def test_options_that_cannot_be_are_refused(options: list[str], told: str, tmp_path: Path) -> None:
    said = CliRunner().invoke(
        app, ["run", str(CURITIBA / "trips"), "--out", str(tmp_path / "out"), *options]
    )
    assert said.exit_code == 2
    assert told in " ".join(said.output.split())
