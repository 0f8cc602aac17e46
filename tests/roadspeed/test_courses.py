"""Courses are those of the roads, whatever their source, and equal courses are equal bytes."""

from __future__ import annotations

import json
import mmap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely

from mapreduce.errors import JobError, UsageError
from roadspeed import roads
from roadspeed.measures.courses import Courses
from roadspeed.measures.direction import directions
from roadspeed.roads import Named
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.test_roads_postgis import fill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.postgis import Postgis


def geojson(path: Path, rows: list[tuple[Any, str]]) -> str:
    features = [
        {
            "type": "Feature",
            "properties": {"link_id": link},
            "geometry": json.loads(shapely.to_geojson(shapely.from_wkt(text))),
        }
        for link, text in rows
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


ROWS = [
    (9, "LINESTRING (1 50, 1.5 50.5, 2 50)"),
    (3, "MULTILINESTRING ((0 50, 1 50), (2 51, 3 51))"),
    (3, "LINESTRING (5 52, 6 52)"),
    (4, "POLYGON ((0 0, 1 0, 1 1, 0 0))"),
    (5, "POINT (1 1)"),
    (6, "GEOMETRYCOLLECTION (POINT (0 0), LINESTRING (7 7, 8 8))"),
    (-1, "LINESTRING (-6.1234567 54, -6 54.0000001)"),
    (-1, "LINESTRING (-6.1234567 54, -6 54.0000001)"),
]


def lines_of(made: Courses) -> dict[Any, list[list[tuple[float, float]]]]:
    found: dict[Any, list[list[tuple[float, float]]]] = {}
    for row, link in enumerate(made.link.tolist()):
        found[link] = []
        start, stop = made.starts[row : row + 2].tolist()
        for at in range(start, stop):
            if at == start or at in made.breaks:
                found[link].append([])
            found[link][-1].append((made.lon[at] / 1e7, made.lat[at] / 1e7))
    return found


def test_every_line_of_a_road_is_kept_as_it_is_drawn(tmp_path: Path) -> None:
    made = roads.courses(geojson(tmp_path / "roads.geojson", ROWS))
    assert lines_of(made) == {
        -1: [[(-6.1234567, 54.0), (-6.0, 54.0000001)]],
        3: [[(0.0, 50.0), (1.0, 50.0)], [(2.0, 51.0), (3.0, 51.0)], [(5.0, 52.0), (6.0, 52.0)]],
        6: [[(7.0, 7.0), (8.0, 8.0)]],
        9: [[(1.0, 50.0), (1.5, 50.5), (2.0, 50.0)]],
    }
    assert len(made) == 4


def test_equal_courses_are_equal_bytes_whatever_the_order_of_the_roads(tmp_path: Path) -> None:
    bodies = set()
    for number, rows in enumerate((ROWS, ROWS[::-1], ROWS[3:] + ROWS[:3])):
        path = tmp_path / f"{number}.npz"
        roads.courses(geojson(tmp_path / f"{number}.geojson", rows)).write(path)
        bodies.add(path.read_bytes())
    assert len(bodies) == 1
    again = Courses.read(tmp_path / "0.npz")
    assert lines_of(again) == lines_of(roads.courses(str(tmp_path / "0.geojson")))
    assert [a.dtype.str for a in (again.lon, again.starts, again.breaks)] == ["<i4", "<i8", "<i8"]


def test_a_file_is_numpys_and_its_arrays_are_mapped_not_copied(tmp_path: Path) -> None:
    made = roads.courses(geojson(tmp_path / "roads.geojson", ROWS))
    made.write(tmp_path / "c.npz")
    again = Courses.read(tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz") as arrays:
        for name in ("link", "starts", "breaks", "lon", "lat"):
            array = getattr(again, name)
            np.testing.assert_array_equal(array, arrays[name])
            np.testing.assert_array_equal(array, getattr(made, name))
            assert isinstance(array.base.base, mmap.mmap)
            assert array.ctypes.data % 64 == 0


def test_ids_may_be_text(tmp_path: Path) -> None:
    where = geojson(
        tmp_path / "roads.geojson", [("b é", ROWS[0][1]), ("a", ROWS[6][1]), ("", ROWS[6][1])]
    )
    made = roads.courses(where, Named(text_ids=True))
    assert made.link.tolist() == [b"a", "b é".encode()]
    made.write(tmp_path / "c.npz")
    assert Courses.read(tmp_path / "c.npz").link.tolist() == made.link.tolist()


def test_roads_of_postgis_have_the_courses_that_they_have_in_a_file(
    postgis: Postgis, cursor: Any, tmp_path: Path
) -> None:
    fill(cursor)
    made = roads.courses(postgis.url("table=roads"))
    cursor.execute("SELECT link_id, ST_AsText(geom) FROM roads WHERE geom IS NOT NULL")
    in_file = roads.courses(geojson(tmp_path / "roads.geojson", cursor.fetchall()))
    assert lines_of(made) == lines_of(in_file)
    assert made.link.tolist() == [-7, 3, 11, 99, 2**40]
    assert [len(parts) for parts in lines_of(made).values()] == [2, 1, 2, 1, 1]


@pytest.mark.parametrize("kind", ["text", "varchar(20)"])
def test_text_ids_of_postgis(postgis: Postgis, cursor: Any, kind: str) -> None:
    fill(cursor, kind=kind)
    cursor.execute("INSERT INTO roads SELECT '', highway, geom FROM roads LIMIT 1")
    made = roads.courses(postgis.url("table=roads"), Named(text_ids=True))
    assert made.link.tolist() == [b"-7", b"1099511627776", b"11", b"3", b"99"]
    assert roads.courses(postgis.url("table=roads")).link.tolist() == [-7, 3, 11, 99, 2**40]


def test_roads_without_any_line_are_refused_as_by_a_join(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no roads file"):
        roads.courses(str(tmp_path / "none.geojson"))


@pytest.mark.parametrize("body", [b"", b"PK", b"no roads"])
def test_a_file_that_is_none_is_refused(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.npz").write_bytes(body)
    with pytest.raises(JobError, match="expected a file of the courses of links"):
        Courses.read(tmp_path / "c.npz")
    with pytest.raises(JobError, match="expected a file of the courses of links"):
        Courses.read(tmp_path / "missing.npz")


def test_a_file_that_is_cut_or_of_other_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    roads.courses(geojson(tmp_path / "roads.geojson", ROWS)).write(path)
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:size])
        with pytest.raises(JobError, match="expected a file of the courses of links"):
            Courses.read(path)
    np.savez(path, link=np.arange(3))
    with pytest.raises(JobError, match="expected a file of the courses of links"):
        Courses.read(path)
    arrays: dict[str, Any] = {
        "link": np.arange(2),
        "starts": np.array([0, 2, 9]),
        "breaks": np.zeros(0, np.int64),
    }
    np.savez(path, **arrays, lon=np.zeros(4, np.int32), lat=np.zeros(4, np.int32))
    with pytest.raises(JobError, match="expected a file of the courses of links"):
        Courses.read(path)
    np.savez(path, **{**arrays, "link": np.array([None, {}])}, lon=np.zeros(4), lat=np.zeros(4))
    with pytest.raises(JobError, match="expected a file of the courses of links"):
        Courses.read(path)


@needs_curitiba
def test_the_courses_of_curitiba_are_its_roads(tmp_path: Path) -> None:
    made = roads.courses(str(CURITIBA / "roads.geojson"))
    known = {
        road["properties"]["link_id"]: road["geometry"]["coordinates"]
        for road in json.loads((CURITIBA / "roads.geojson").read_bytes())["features"]
    }
    assert made.link.tolist() == sorted(known)
    for link, parts in lines_of(made).items():
        assert parts == [[tuple(place) for place in known[link]]]
    made.write(tmp_path / "c.npz")
    again = Courses.read(tmp_path / "c.npz")
    heading = np.full(len(made), 33.0)
    ours, theirs = (directions(one, made.link, heading) for one in (made, again))
    np.testing.assert_array_equal(ours, theirs)
