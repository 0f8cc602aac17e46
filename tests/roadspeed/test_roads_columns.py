"""Rows without an id, and files with several columns of geometry: alike in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
from shapely import LineString, Point

from mapreduce.errors import UsageError
from roadspeed import roads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.postgis import Postgis

IDS = np.array([1, 2, 3], dtype=np.int64)
LINES = [LineString([(n, 1), (n, 2)]) for n in range(3)]


def frame(ids: list[Any], dtype: str) -> Any:
    made = gpd.GeoDataFrame({"n": range(3)}, geometry=LINES, crs=4326)
    made.insert(0, "link_id", gpd.pd.array(ids, dtype=dtype))
    return made


def as_csv(made: Any, path: Path) -> None:
    made.to_wkt().to_csv(path, index=False)


WRITE: dict[str, Callable[[Any, Path], None]] = {
    "r.parquet": lambda made, path: made.to_parquet(path),
    "r.feather": lambda made, path: made.to_feather(path),
    "r.gpkg": lambda made, path: made.to_file(path),
    "r.geojson": lambda made, path: made.to_file(path),
    "r.shp": lambda made, path: made.to_file(path),
    "r.fgb": lambda made, path: made.to_file(path),
    "r.csv": as_csv,
}


@pytest.mark.parametrize("name", WRITE)
@pytest.mark.parametrize(
    ("ids", "dtype", "unreadable"),
    [
        ([1, None, 3], "Int64", 0),
        ([1.0, None, 3.0], "float64", 0),
        (["1", None, "x3"], "object", 1),
        (["1", None, "3"], "object", 0),
    ],
    ids=["integers", "floats", "text, one no id", "text"],
)
def test_a_row_without_an_id_is_no_road_and_counted_nowhere(
    name: str, ids: list[Any], dtype: str, unreadable: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    WRITE[name](frame(ids, dtype), path)
    got = roads.join(IDS, str(path))
    assert (got.unreadable, got.joined) == (unreadable, 2 - unreadable)


def test_a_server_does_not_count_them_either(postgis: Postgis, cursor: Any) -> None:
    cursor.execute(
        "CREATE TABLE roads (link_id int, geom geometry(LineString, 4326));"
        "INSERT INTO roads VALUES (1, 'SRID=4326;LINESTRING (1 2, 3 4)'),"
        " (NULL, 'SRID=4326;LINESTRING (1 2, 3 4)')"
    )
    got = roads.join(IDS, postgis.url("table=roads"))
    assert (got.unreadable, got.joined) == (0, 1)


def two_geometries(first: list[Any], second: list[Any]) -> Any:
    made = gpd.GeoDataFrame({"link_id": [1, 2, 3]}, geometry=first, crs=4326)
    made["way"] = gpd.GeoSeries(second, crs=4326)
    return made


@pytest.mark.parametrize("name", ["r.parquet", "r.feather"])
def test_of_two_columns_of_geometry_that_with_lines_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    points = [Point(n, n) for n in range(3)]
    WRITE[name](two_geometries(points, LINES), path)
    with pytest.raises(UsageError, match=r"points \(POINT\).*--roads-geometry way$"):
        roads.check(str(path))
    named = roads.Named(geometry_column="way")
    roads.check(str(path), named)
    assert roads.join(IDS, str(path), named).joined == 3
    WRITE[name](two_geometries(points, points), path)
    with pytest.raises(UsageError, match="Use the file or table that contains the lines"):
        roads.check(str(path))


def test_in_csv_and_on_a_server_too(tmp_path: Path, postgis: Postgis, cursor: Any) -> None:
    path = tmp_path / "r.csv"
    path.write_text("id;geometry;wkt\n1;POINT (1 2);LINESTRING (1 2, 3 4)\n")
    named = roads.Named(geometry_column="geometry")
    with pytest.raises(UsageError, match=r"points.*--roads-geometry wkt$"):
        roads.check(str(path), named)
    cursor.execute(
        "CREATE TABLE roads (link_id int, geom geometry, way geometry);"
        "INSERT INTO roads VALUES (1, 'SRID=4326;POINT (1 2)', 'SRID=4326;LINESTRING (1 2, 3 4)')"
    )
    with pytest.raises(UsageError, match=r"points.*--roads-geometry way$"):
        roads.check(postgis.url("table=roads&geom=geom"))
    roads.check(postgis.url("table=roads&geom=way"))
