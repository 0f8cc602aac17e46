"""`speeds.parquet` is GeoParquet 1.1 for geopandas, pandas and pyarrow."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from mapreduce.errors import UsageError
from roadspeed.outputs import column_docs
from roadspeed.outputs.parquet import read_parquet, write_parquet
from tests.roadspeed.link_tables import HOSTILE_CLASS, large, nothing, of_points, small

if TYPE_CHECKING:
    from pathlib import Path

    from roadspeed.outputs import LinkTable

NUMBERS = ("link", "fixes", "trips", "mean", "std", "ci95", "min", "max")


def test_geopandas_reads_back_every_column(tmp_path: Path) -> None:
    table = small()
    write_parquet(tmp_path / "speeds.parquet", table)
    frame = gpd.read_parquet(tmp_path / "speeds.parquet")
    assert list(frame.columns) == [c.name for c in column_docs.SPEEDS]
    for name in NUMBERS:
        np.testing.assert_array_equal(frame[name].to_numpy(), getattr(table, name))
    assert frame["road_class"].tolist()[2:] == ["3", HOSTILE_CLASS, "primary_link"]
    assert pd.isna(frame["road_class"][1])
    assert frame.crs == "EPSG:4326"
    assert frame.geometry.isna().tolist() == [False, False, True, True, False]
    assert table.geometry is not None
    assert shapely.equals(frame.geometry[0], table.geometry[0])
    assert not frame.geometry[4].has_z


def test_the_geo_metadata_is_that_of_the_specification(tmp_path: Path) -> None:
    write_parquet(tmp_path / "speeds.parquet", small())
    geo = json.loads(pq.read_schema(tmp_path / "speeds.parquet").metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] == "geometry"
    about = geo["columns"]["geometry"]
    assert about["encoding"] == "WKB"
    assert about["geometry_types"] == ["LineString", "MultiLineString"]
    assert about["crs"]["id"] == {"authority": "EPSG", "code": 4326}
    assert about["bbox"] == [-49.31, -25.412345678, 3.0, 51.6]
    assert about["covering"]["bbox"]["ymax"] == ["bbox", "ymax"]


def test_each_row_has_the_box_of_its_geometry_or_none(tmp_path: Path) -> None:
    write_parquet(tmp_path / "speeds.parquet", small())
    boxes = pq.read_table(tmp_path / "speeds.parquet")["bbox"].to_pylist()
    assert boxes[1] == {"xmin": 0.0, "ymin": 0.0, "xmax": 3.0, "ymax": 3.5}
    assert boxes[2:4] == [None, None]


def test_a_box_finds_the_links_within_it(tmp_path: Path) -> None:
    table = large()
    write_parquet(tmp_path / "speeds.parquet", table)
    found = gpd.read_parquet(tmp_path / "speeds.parquet", bbox=(-7, 54.5, -6.9, 54.6))
    assert table.geometry is not None
    west, south, east, north = shapely.bounds(table.geometry).T
    expected = (west <= -6.9) & (east >= -7) & (south <= 54.6) & (north >= 54.5)
    assert found["link"].tolist() == table.link[expected].tolist()
    assert len(found) > 0


def test_every_field_has_description_and_unit(tmp_path: Path) -> None:
    write_parquet(tmp_path / "speeds.parquet", replace(small(sample="10%"), unit="m/s"))
    schema = pq.read_schema(tmp_path / "speeds.parquet")
    documented = {c.name: c for c in column_docs.FILES["speeds.parquet"]}
    assert schema.names == list(documented)
    for field in schema:
        assert field.metadata[b"description"].decode() == documented[field.name].meaning
        assert field.metadata[b"unit"].decode() == documented[field.name].unit_in("m/s")
    assert schema.field("mean").metadata[b"unit"] == b"m/s"
    assert json.loads(schema.metadata[b"roadspeed"]) == {"unit": "m/s", "sample": "10%"}


def test_what_is_not_defined_is_null(tmp_path: Path) -> None:
    write_parquet(tmp_path / "speeds.parquet", small())
    table = pq.read_table(tmp_path / "speeds.parquet")
    assert table["std"].null_count == 1
    assert table["geometry"].null_count == 2


def test_without_roads_it_is_plain_parquet(tmp_path: Path) -> None:
    write_parquet(tmp_path / "speeds.parquet", small(geometry=False))
    assert b"geo" not in pq.read_schema(tmp_path / "speeds.parquet").metadata
    frame = pd.read_parquet(tmp_path / "speeds.parquet")
    assert "geometry" not in frame
    assert frame["mean"].tolist() == small().mean.tolist()


@pytest.mark.parametrize("rows", [0, 1, 65_536, 65_537])
def test_row_groups_hold_all_rows(rows: int, tmp_path: Path) -> None:
    table = large(max(rows, 1))
    cut = next(table.chunks(rows)) if rows else nothing()
    write_parquet(tmp_path / "speeds.parquet", cut)
    assert pq.read_table(tmp_path / "speeds.parquet")["link"].to_pylist() == cut.link.tolist()
    assert len(gpd.read_parquet(tmp_path / "speeds.parquet")) == rows


def test_points_are_named_as_points(tmp_path: Path) -> None:
    write_parquet(tmp_path / "speeds.parquet", of_points(small()))
    geo = json.loads(pq.read_schema(tmp_path / "speeds.parquet").metadata[b"geo"])
    assert geo["columns"]["geometry"]["geometry_types"] == ["Point"]


@pytest.mark.parametrize(
    "table", [small(sample="only 3"), small(geometry=False), nothing(), large(99)]
)
def test_a_table_is_read_back_as_it_was_written(table: LinkTable, tmp_path: Path) -> None:
    path = tmp_path / "speeds.parquet"
    write_parquet(path, table)
    read = read_parquet(path)
    again = tmp_path / "again.parquet"
    write_parquet(again, read)
    assert again.read_bytes() == path.read_bytes()
    assert (read.unit, read.sample) == (table.unit, table.sample)


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "speeds.parquet"
    with pytest.raises(UsageError, match="no file"):
        read_parquet(path)
    path.write_text("link;fixes")
    with pytest.raises(UsageError, match="expected a file that roadspeed wrote"):
        read_parquet(path)
    gpd.GeoDataFrame({"link": [1]}, geometry=[shapely.Point(1, 2)], crs=4326).to_parquet(path)
    with pytest.raises(UsageError, match="expected a file that roadspeed wrote"):
        read_parquet(path)
