"""`speeds.gpkg` is what GDAL, SQLite and QGIS expect, and carries its style."""

from __future__ import annotations

import itertools
import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from matplotlib.colors import to_hex

from mapreduce.errors import UsageError
from roadspeed.outputs import qgis_style
from roadspeed.outputs.column_docs import SPEEDS
from roadspeed.outputs.geopackage import write_geopackage
from tests.roadspeed.link_tables import HOSTILE_CLASS, large, nothing, of_points, small

if TYPE_CHECKING:
    from pathlib import Path

    from roadspeed.outputs.link_table import Unit

NUMBERS = ("link", "fixes", "trips", "mean", "std", "ci95", "min", "max")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    write_geopackage(tmp_path / "speeds.gpkg", small(sample="1% of the trips"))
    return tmp_path / "speeds.gpkg"


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_gdal_reads_back_every_column(package: Path) -> None:
    table, frame = small(), pyogrio.read_dataframe(package, layer="speeds")
    assert list(frame.columns) == [c.name for c in SPEEDS]
    for name in NUMBERS:
        np.testing.assert_array_equal(frame[name].to_numpy(), getattr(table, name))
    assert frame["road_class"].tolist()[2:] == ["3", HOSTILE_CLASS, "primary_link"]
    assert pd.isna(frame["road_class"][1])
    assert frame.crs == "EPSG:4326"
    assert table.geometry is not None
    assert frame.geometry.isna().tolist() == [False, False, True, True, False]
    assert shapely.equals(frame.geometry[0], table.geometry[0])
    assert shapely.equals(frame.geometry[1], table.geometry[1])


def test_the_layer_has_one_type_and_no_height(package: Path) -> None:
    assert pyogrio.read_info(package, layer="speeds")["geometry_type"] == "MultiLineString"
    assert set(pyogrio.read_dataframe(package, layer="speeds").geometry.dropna().geom_type) == {
        "MultiLineString"
    }


def test_a_box_is_answered_by_the_spatial_index(package: Path) -> None:
    assert rows(package, "SELECT count(*) FROM rtree_speeds_geometry") == [(3,)]
    found = pyogrio.read_dataframe(package, layer="speeds", bbox=(0.5, 0.5, 4, 4))
    assert found["link"].tolist() == [1]


def test_every_column_is_described_with_its_unit(package: Path) -> None:
    described = dict(
        rows(
            package,
            "SELECT column_name, description FROM gpkg_data_columns WHERE table_name = 'speeds'",
        )
    )
    assert set(described) == {c.name for c in SPEEDS}
    for column in SPEEDS:
        assert column.meaning in str(described[column.name])
    assert str(described["mean"]).endswith("Unit: km/h.")
    assert ("gpkg_schema",) in rows(package, "SELECT extension_name FROM gpkg_extensions")


def test_the_layer_says_that_it_is_of_a_sample(package: Path) -> None:
    [(text,)] = rows(package, "SELECT description FROM gpkg_contents WHERE table_name = 'speeds'")
    assert text == "Speeds by road link in km/h, of a sample: 1% of the trips"


def test_sqlite_finds_the_file_sound(package: Path) -> None:
    assert rows(package, "PRAGMA integrity_check") == [("ok",)]
    assert rows(package, "PRAGMA foreign_key_check") == []


def test_the_style_is_the_layers_default(package: Path) -> None:
    [(table, column, default, qml)] = rows(
        package, "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles"
    )
    assert (table, column, default) == ("speeds", "geometry", 1)
    assert qml == qgis_style.qml("km/h")
    assert rows(package, "SELECT column_name FROM gpkg_geometry_columns") == [("geometry",)]
    kinds = dict(rows(package, "SELECT table_name, data_type FROM gpkg_contents"))
    assert kinds == {"speeds": "features", "layer_styles": "attributes"}


def test_points_are_kept_but_get_no_line_style(tmp_path: Path) -> None:
    write_geopackage(tmp_path / "speeds.gpkg", of_points(small()))
    frame = pyogrio.read_dataframe(tmp_path / "speeds.gpkg", layer="speeds")
    assert set(frame.geometry.geom_type) == {"Point"}
    assert (
        rows(tmp_path / "speeds.gpkg", "SELECT name FROM sqlite_master WHERE name LIKE '%styles'")
        == []
    )


def test_no_links_and_no_geometries_are_written_too(tmp_path: Path) -> None:
    write_geopackage(tmp_path / "none.gpkg", nothing())
    assert len(pyogrio.read_dataframe(tmp_path / "none.gpkg", layer="speeds")) == 0
    bare = replace(small(), geometry=np.full(5, None, dtype=object))
    write_geopackage(tmp_path / "bare.gpkg", bare)
    assert len(pyogrio.read_dataframe(tmp_path / "bare.gpkg", layer="speeds")) == 5


def test_a_table_without_roads_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--roads"):
        write_geopackage(tmp_path / "speeds.gpkg", small(geometry=False))
    assert list(tmp_path.iterdir()) == []


def test_all_of_many_links_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadspeed.outputs.arrow.CHUNK_ROWS", 3000)
    table = large(10_000)
    write_geopackage(tmp_path / "speeds.gpkg", table)
    frame = pyogrio.read_dataframe(tmp_path / "speeds.gpkg", layer="speeds")
    assert frame["link"].tolist() == table.link.tolist()
    assert table.geometry is not None
    assert shapely.equals(frame.geometry.to_numpy(), table.geometry).all()


@pytest.mark.parametrize("unit", ["km/h", "mph", "m/s", "knots"])
def test_the_classes_cover_every_speed_once(unit: Unit) -> None:
    root = ET.fromstring(qgis_style.qml(unit))
    ranges = root.findall("./renderer-v2/ranges/range")
    edges = [(float(r.attrib["lower"]), float(r.attrib["upper"])) for r in ranges]
    assert edges[0][0] == 0
    assert edges[-1][1] > 10_000
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert [low for low, _ in edges] == list(qgis_style.BREAKS[unit])
    assert all(unit in r.attrib["label"] for r in ranges)


def test_the_style_grades_the_mean_from_purple_to_yellow() -> None:
    root = ET.fromstring(qgis_style.qml("km/h"))
    [renderer] = root.findall("renderer-v2")
    assert renderer.attrib["type"] == "graduatedSymbol"
    assert renderer.attrib["attr"] == "mean"
    ranges = renderer.findall("./ranges/range")
    symbols = {s.attrib["name"]: s for s in renderer.findall("./symbols/symbol")}
    plasma = mpl.colormaps["plasma"]
    for i, entry in enumerate(ranges):
        casing, ink = symbols[entry.attrib["symbol"]].findall("layer")
        [colour] = ink.findall("./Option/Option[@name='line_color']")
        red, green, blue, _ = map(int, colour.attrib["value"].split(","))
        assert f"#{red:02x}{green:02x}{blue:02x}" == to_hex(plasma(0.94 * i / 10))
        assert int(casing.attrib["pass"]) < int(ink.attrib["pass"])
    passes = [int(symbols[r.attrib["symbol"]][-1].attrib["pass"]) for r in ranges]
    assert passes == sorted(passes, reverse=True)  # the slowest is drawn last


def test_the_style_asks_only_for_columns_that_there_are() -> None:
    root = ET.fromstring(qgis_style.qml("km/h", min_fixes=12))
    expressions = [o.attrib["value"] for o in root.iter("Option") if o.get("name") == "expression"]
    quoted = {name for e in expressions for name in e.split('"')[1::2]}
    assert quoted == {"fixes", "road_class"}
    assert quoted <= {c.name for c in SPEEDS}
    assert any('"fixes" < 12' in e for e in expressions)
