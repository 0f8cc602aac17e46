"""Roads from files: every format and reference system gives the same join as a plain dict."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from mapreduce.errors import UsageError
from roadspeed import roads
from roadspeed.roads.files.delimited import separator_of
from roadspeed.roads.files.parquet import _as_wkb
from roadspeed.roads.rows import cells

if TYPE_CHECKING:
    from collections.abc import Callable

CURITIBA = Path(__file__).parents[2].parent / "shared" / "data" / "curitiba" / "roads.geojson"
WANTED = np.array([-7, 3, 11, 12, 2**40, 2**40 + 1], dtype=np.int64)


def town() -> geopandas.GeoDataFrame:
    """Shuffled rows: 3 twice the same, 11 twice differing, 12 empty, 2**40 + 1 absent."""
    table = [
        (2**40, "service", "LINESTRING (-49.3 -25.4, -49.31 -25.41)"),
        (11, "primary", "LINESTRING (-49.2 -25.4, -49.21 -25.42)"),
        (99, "primary", "LINESTRING (-49.1 -25.4, -49.11 -25.42)"),
        (3, None, "LINESTRING (-49.25 -25.45, -49.26 -25.44, -49.27 -25.43)"),
        (12, "primary", None),
        (-7, "trunk", "MULTILINESTRING ((-49.2 -25.3, -49.21 -25.31), (-49.3 -25.3, -49.4 -25.3))"),
        (3, "motorway", "LINESTRING (-49.25 -25.45, -49.26 -25.44, -49.27 -25.43)"),
        (11, "primary", "LINESTRING (-49.21 -25.42, -49.22 -25.43)"),
    ]
    ids, classes, texts = zip(*table, strict=True)
    return geopandas.GeoDataFrame(
        {"link_id": np.array(ids, dtype=np.int64), "highway": classes, "width": 1.5},
        geometry=list(shapely.from_wkt(np.array(texts, dtype=object))),
        crs="EPSG:4326",
    )


def as_csv(frame: geopandas.GeoDataFrame, path: Path, separator: str, hexadecimal: bool) -> None:
    table = pd.DataFrame(frame.drop(columns="geometry"))
    table["geom"] = frame.geometry.to_wkb(hex=True) if hexadecimal else frame.geometry.to_wkt()
    table.to_csv(path, sep=separator, index=False)


NESTED = {
    "point": ["POINT (1 2)", None, "POINT (3 4)"],
    "linestring": ["LINESTRING (0 0, 1 1)", None, "LINESTRING EMPTY", "LINESTRING (2 2, 3 3, 4 5)"],
    "polygon": ["POLYGON ((0 0, 9 0, 9 9, 0 0), (5 2, 6 2, 6 3, 5 2))", None],
    "multipoint": ["MULTIPOINT (1 1, 2 2)", None],
    "multilinestring": ["MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))", None, "MULTILINESTRING EMPTY"],
    "multipolygon": ["MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))", None],
}  # fmt: skip


@pytest.mark.parametrize("raised", [False, True])
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("kind", NESTED)
def test_geoarrow_is_what_geopandas_wrote(kind: str, *, interleaved: bool, raised: bool) -> None:
    shapes = [None if text is None else shapely.from_wkt(text) for text in NESTED[kind]]
    written = [shapely.force_3d(shape, 7.0) if raised else shape for shape in shapes]
    frame = geopandas.GeoDataFrame(geometry=geopandas.GeoSeries(written))
    table = pa.table(frame.to_arrow(geometry_encoding="geoarrow", interleaved=interleaved))
    column = table["geometry"].chunk(0)
    for first in (0, 1):  # a batch may be a slice of what was read
        read = [shapely.from_wkb(raw) for raw in _as_wkb(column[first:], kind).to_pylist()]
        assert [_drawn(shape) for shape in read] == [_drawn(shape) for shape in shapes[first:]]


def _drawn(shape: shapely.Geometry | None) -> str | None:
    return None if shape is None or shape.is_empty else shape.wkt


WRITERS: dict[str, Callable[[geopandas.GeoDataFrame, Path], None]] = {
    "roads.geojson": lambda f, p: f.to_file(p),
    "roads.gpkg": lambda f, p: f.to_file(p),
    "roads.fgb": lambda f, p: f.to_file(p, SPATIAL_INDEX="NO"),
    "roads.shp": lambda f, p: f.to_file(p),
    "roads.parquet": lambda f, p: f.to_parquet(p, write_covering_bbox=True),
    "native.parquet": lambda f, p: f.explode().to_parquet(p, geometry_encoding="geoarrow"),
    "semicolon.csv": lambda f, p: as_csv(f, p, ";", hexadecimal=False),
    "comma.csv": lambda f, p: as_csv(f, p, ",", hexadecimal=False),
    "hex.tsv": lambda f, p: as_csv(f, p, "\t", hexadecimal=True),
}


def check(joined: roads.JoinedRoads) -> None:
    """Compare with a plain dict over the rows."""
    frame = town()
    oracle: dict[int, set[str]] = {}
    for link, shape in zip(frame["link_id"], frame.geometry, strict=True):
        if shape is not None:
            parts = {
                shapely.normalize(shapely.set_precision(g, 1e-7)).wkt
                for g in shapely.get_parts(shape)
            }
            oracle.setdefault(int(link), set()).update(parts)
    for link, shape in zip(WANTED.tolist(), joined.geometry, strict=True):
        parts = shapely.get_parts(shape) if shape is not None else []
        got = {shapely.normalize(shapely.set_precision(g, 1e-7)).wkt for g in parts}
        assert got == oracle.get(link, set()), link
    assert (joined.joined, joined.missing) == (4, 2)
    assert joined.road_class.tolist() == ["trunk", "motorway", "primary", None, "service", None]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:31982"])
def test_every_format_and_reference_system_gives_the_same_join(
    name: str, crs: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    WRITERS[name](town().to_crs(crs), path)
    plain = path.suffix in {".csv", ".tsv"}
    joined = roads.join(WANTED, str(path), named=roads.Named(crs=crs if plain else None))
    check(joined)
    if name != "native.parquet":  # explode() makes two rows of a row
        assert (joined.merged, joined.folded) == (1, 1)
    assert joined.unreadable == 0


def test_ids_as_text_floats_and_decimals_follow_one_rule() -> None:
    texts = ["12", "-0", "007", " 12", "1_000", "\uff11\uff12", "1e3", "+5", "", None, "9" * 5000]
    texts += [str(2**63 - 1), str(2**63), str(-(2**63)), "0" * 30 + "8", "12\n"]
    ids, valid = cells.integers(pa.array(texts))
    kept = [text for text, ok in zip(texts, valid, strict=True) if ok]
    assert kept == ["12", "-0", "007", str(2**63 - 1), str(-(2**63)), "0" * 30 + "8"]
    assert ids[valid].tolist() == [12, 0, 7, 2**63 - 1, -(2**63), 8]
    ids, valid = cells.integers(pa.array([1.0, 1.5, None, float("nan"), 1e300, -3.0]))
    assert ids[valid].tolist() == [1, -3]
    ids, valid = cells.integers(pa.array([1, 2**64 - 1, None], pa.uint64()))
    assert valid.tolist() == [True, False, False]
    ids, valid = cells.integers(pa.array([1, None], pa.int32()).cast(pa.decimal128(20, 2)))
    assert ids[valid].tolist() == [1]
    assert not cells.integers(pa.array([True]))[1].any()


def test_rows_with_bad_ids_or_shapes_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "roads.csv"
    path.write_text(
        "\ufefflinkID;geom\n3;LINESTRING (1 2, 3 4)\nx;LINESTRING (1 2, 3 4)\n"
        ";POINT (1 1)\n11;LINESTRING (1\n12;POINT (1 2);more\n-7;LINESTRING (5 6, 7 8)\n"
    )
    joined = roads.join(WANTED, str(path))
    assert [g and g.wkt for g in joined.geometry[:4]] == [
        "LINESTRING (5 6, 7 8)",
        "LINESTRING (1 2, 3 4)",
        None,
        None,
    ]
    assert joined.unreadable == 3


def with_nan(path: Path, name: str) -> Path:
    """Write the small town, 3 with a coordinate that is NaN and 2**40 with an infinite one."""
    frame = town()
    bad = {3: "LINESTRING (NaN -25.45, -49.26 -25.44)", 2**40: "LINESTRING (1 1, inf 2)"}
    with np.errstate(all="ignore"):
        shapes = [
            shapely.from_wkt(bad[link]) if link in bad else shape
            for link, shape in zip(frame["link_id"], frame.geometry, strict=True)
        ]
        frame = frame.set_geometry(geopandas.GeoSeries(shapes, crs="EPSG:4326"))
        if name == "roads.geojson":
            text = town().to_json()
            text = text.replace("-49.25, -25.45", "NaN, -25.45").replace("-49.31,", "Infinity,")
            (path / name).write_text(text)
        else:
            WRITERS[name](frame, path / name)
    return path / name


@pytest.mark.parametrize("name", [n for n in WRITERS if n not in {"native.parquet", "roads.shp"}])
def test_coordinates_that_are_no_numbers_are_unreadable(name: str, tmp_path: Path) -> None:
    path = with_nan(tmp_path, name)
    joined = roads.join(WANTED, str(path))
    assert [g is not None for g in joined.geometry] == [True, False, True, False, False, False]
    assert (joined.joined, joined.unreadable) == (2, 3)
    geometry, _ = roads.context(str(path))
    assert np.isfinite(shapely.get_coordinates(geometry)).all()
    lost = roads.join(np.array([3, 2**40]), str(path))  # others are well: no run fails for these
    assert (lost.joined, lost.missing, lost.unreadable) == (0, 2, 3)


def test_a_height_that_is_no_number_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "roads.csv"
    path.write_text("link_id;geom\n3;LINESTRING Z (1 2 NaN, 3 4 5)\n")
    assert roads.join(WANTED, str(path)).geometry[1].wkt == "LINESTRING (1 2, 3 4)"


def test_a_compressed_csv_in_ewkt_says_its_own_reference_system(tmp_path: Path) -> None:
    path = tmp_path / "roads.csv.gz"
    path.write_bytes(
        gzip.compress(b'edge_id,wkt\n3,"SRID=31982;LINESTRING (674000 7188000, 675000 7188000)"\n')
    )
    joined = roads.join(WANTED, str(path))
    assert shapely.bounds(joined.geometry[1]) == pytest.approx(
        [-49.27, -25.41, -49.26, -25.41], abs=0.02
    )


def test_coordinates_of_no_known_system_are_refused_with_the_option(tmp_path: Path) -> None:
    path = tmp_path / "roads.csv"
    path.write_text("link_id;geom\n3;LINESTRING (674000 7188000, 675000 7188000)\n")
    with pytest.raises(UsageError, match="--roads-crs EPSG:"):
        roads.join(WANTED, str(path))
    assert roads.join(WANTED, str(path), named=roads.Named(crs="EPSG:31982")).joined == 1
    with pytest.raises(UsageError, match="EPSG:27700"):
        roads.join(WANTED, str(path), named=roads.Named(crs="nowhere"))


def test_which_id_is_meant_is_asked_where_two_could_be(tmp_path: Path) -> None:
    path = tmp_path / "roads.csv"
    path.write_text("osm_id;edge_id;number;geom\n3;11;x;LINESTRING (1 2, 3 4)\n")
    with pytest.raises(UsageError, match=r"osm_id, edge_id.*--roads-id osm_id"):
        roads.join(WANTED, str(path))
    with pytest.raises(UsageError, match=r"osm_id, edge_id.*--roads-id osm_id"):
        roads.check(str(path))
    with pytest.raises(UsageError, match="EPSG:27700"):
        roads.check(str(path), named=roads.Named(id_column="edge_id", crs="nowhere"))
    roads.check(str(path), named=roads.Named(id_column="edge_id", crs="EPSG:4326"))
    with pytest.raises(UsageError, match=r"no such column.*--roads-id edge_id"):
        roads.join(WANTED, str(path), named=roads.Named(id_column="EDGE_IDS"))
    with pytest.raises(UsageError, match=r"expected integers in the id column number, got 'x'"):
        roads.join(WANTED, str(path), named=roads.Named(id_column="number"))
    assert (
        roads.join(WANTED, str(path), named=roads.Named(id_column="edge_id")).geometry[2]
        is not None
    )


def test_a_layer_must_be_named_where_there_are_two(tmp_path: Path) -> None:
    path = tmp_path / "roads.gpkg"
    town().to_file(path, layer="north")
    town().to_file(path, layer="south")
    with pytest.raises(UsageError, match=r"north, south.*--roads-table north"):
        roads.join(WANTED, str(path))
    with pytest.raises(UsageError, match="expected a layer 'east'"):
        roads.join(WANTED, str(path), named=roads.Named(table="east"))
    check(roads.join(WANTED, str(path), named=roads.Named(table="south")))


@pytest.mark.parametrize("name", ["comma.csv", "roads.parquet"])
def test_a_table_is_not_named_where_there_is_but_one(name: str, tmp_path: Path) -> None:
    WRITERS[name](town(), tmp_path / name)
    with pytest.raises(
        UsageError, match=r"expected no --roads-table, got 'x': .* is a single table"
    ):
        roads.join(WANTED, str(tmp_path / name), named=roads.Named(table="x"))


def test_a_features_own_number_serves_as_id_if_named(tmp_path: Path) -> None:
    path = tmp_path / "roads.geojson"
    feature = {"type": "Feature", "id": 11, "properties": {}}
    feature["geometry"] = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(UsageError, match="--roads-id"):
        roads.join(WANTED, str(path))
    assert (
        roads.join(WANTED, str(path), named=roads.Named(id_column="fid")).geometry[2].wkt
        == "LINESTRING (1 2, 3 4)"
    )


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("absent.gpkg", None, "no such file"),
        ("roads.gpkg", b"not a database", "GDAL cannot read it"),
        ("roads.parquet", b"PAR1", "expected GeoParquet"),
        ("roads.csv", b"oneword\n1\n", "separated by"),
        ("roads.csv", b"id,geom\n3,LINESTRING (1 2, 3 4)\n", "quote a geometry"),
        ("roads.csv", b"id;geom\n3;somewhere\n", "expected WKT or WKB"),
        ("roads.csv", b"id;highway\n3;primary\n", "--roads-geometry"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    name: str, body: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if body is not None:
        path.write_bytes(body)
    with pytest.raises(UsageError, match=said) as checking:
        roads.check(str(path))
    if said != "expected WKT or WKB":  # what is wrong with geometries is counted by then
        with pytest.raises(UsageError) as joining:
            roads.join(WANTED, str(path))
        assert str(checking.value) == str(joining.value)


def test_plain_parquet_with_wkt_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "roads.parquet"
    table = {"way_id": ["3", "bad"], "wkt": ["LINESTRING (1 2, 3 4)", "POINT (1 1)"]}
    pq.write_table(pa.table(table), path)
    joined = roads.join(WANTED, str(path))
    assert (joined.joined, joined.unreadable) == (1, 1)


@pytest.mark.parametrize("name", ["roads.gpkg", "roads.parquet", "semicolon.csv"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:31982"])
def test_context_is_all_roads_that_touch_the_box(name: str, crs: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](town().to_crs(crs), path)
    named = crs if name.endswith("csv") else None
    box = (-49.22, -25.44, -49.05, -25.35)
    geometry, road_class = roads.context(str(path), box, named=roads.Named(crs=named))
    assert road_class.tolist() == ["primary"] * 3
    assert shapely.intersects(geometry, shapely.box(*box)).all()
    assert len(roads.context(str(path), named=roads.Named(crs=named))[0]) == 7
    assert len(roads.context(str(path), limit=2, named=roads.Named(crs=named))[0]) == 2


def test_progress_is_told(tmp_path: Path) -> None:
    path = tmp_path / "roads.parquet"
    town().to_parquet(path)
    told: list[tuple[int, int | None]] = []
    roads.join(WANTED, str(path), on_progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (8, 8)


def test_a_separator_inside_quotes_does_not_count() -> None:
    assert separator_of('"a,b,c,d";id;geom') == ";"
    assert separator_of("id\tgeom") == "\t"


@pytest.mark.skipif(not CURITIBA.exists(), reason="the development data is not here")
def test_curitiba_joins_every_road_to_itself() -> None:
    features = json.loads(CURITIBA.read_text())["features"]
    oracle = {f["properties"]["link_id"]: f["geometry"]["coordinates"] for f in features}
    ids = np.array(sorted(oracle), dtype=np.int64)
    joined = roads.join(ids, str(CURITIBA))
    assert (joined.joined, joined.missing, joined.merged) == (len(oracle), 0, 0)
    for link in ids[::997].tolist():
        shape = joined.geometry[np.searchsorted(ids, link)]
        assert np.array_equal(shapely.get_coordinates(shape), oracle[link])
