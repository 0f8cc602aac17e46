"""Parquet and Arrow files as geopandas, DuckDB, Polars and Spark write them: see `road_files`."""

from __future__ import annotations

import decimal
import json
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pyproj
import shapely
from pyarrow import feather

from tests.roadspeed.road_files import (
    ARCS,
    CLASSES,
    IDS,
    LINES,
    Written,
    all_roads,
    arcs,
    table,
    town,
)

if TYPE_CHECKING:
    from pathlib import Path

WKB = [shape.wkb for shape in shapely.from_wkt(np.array(LINES, dtype=object))]
GEOPARQUET = geopandas.read_parquet
OSGB = pyproj.CRS.from_epsg(27700)
ID_KINDS: dict[str, tuple[Any, dict[int, str]]] = {
    "text": (pa.array([str(i) for i in IDS]), all_roads()),
    "large text": (pa.array([str(i) for i in IDS], pa.large_string()), all_roads()),
    "text with zeros before": (pa.array([f"{i:020}" for i in IDS]), all_roads()),
    "text of floats": (pa.array([f"{i}.0" for i in IDS]), all_roads()),
    "bytes of text": (pa.array([str(i).encode() for i in IDS]), all_roads()),
    "floats, one between": (pa.array([7001.0, 7002.5, 7003.0, None]), all_roads(7002, 7004)),
    "decimals": (
        pa.array([decimal.Decimal(int(i)) for i in IDS], pa.decimal128(20, 0)),
        all_roads(),
    ),
    "unsigned": (pa.array([7001, 7002, 7003, 2**64 - 7004], pa.uint64()), all_roads(7004)),
    "int16": (pa.array(IDS.astype("int16")), all_roads()),
    "codes": (pa.array([str(i) for i in IDS]).dictionary_encode(), all_roads()),
    "lists": (pa.array([[7001], [7002, 5], [7003], []]), all_roads(7002, 7004)),
    "runs": (pa.RunEndEncodedArray.from_arrays([1, 2, 3, 4], IDS), all_roads()),
}


def save(path: Path, crs: Any = 4326, **how: Any) -> None:
    town(crs=crs).to_parquet(path, **how)


def cells(changed: dict[str, Any]) -> pa.Table:
    """The roads as plain Parquet, some columns otherwise."""
    return pa.table({"link_id": IDS, "highway": CLASSES, "geometry": WKB, **changed})


def plain(path: Path, **changed: Any) -> None:
    pq.write_table(cells(changed), path)


def as_arrow(path: Path, **changed: Any) -> None:
    feather.write_feather(cells(changed), path)


def extended(path: Path, crs: Any) -> None:
    """As GeoArrow has it: what the column is, at the column."""
    shapes = town(crs=crs).geometry.to_wkb()
    metadata = {"crs": town(crs=crs).crs.to_json_dict()}
    kind = {
        "ARROW:extension:name": "geoarrow.wkb",
        "ARROW:extension:metadata": json.dumps(metadata),
    }
    fields = [pa.field("link_id", pa.int64()), pa.field("shape", pa.binary(), metadata=kind)]
    made = pa.table([pa.array(IDS), pa.array(shapes)], schema=pa.schema(fields))
    feather.write_feather(made, path, compression="zstd")


def second(path: Path) -> None:
    """Two columns of geometry, each in a system of its own."""
    frame = town(crs=27700).rename_geometry("grid")
    frame["degrees"] = town().geometry
    frame.to_parquet(path)


def folder(path: Path, *systems: int) -> None:
    for at, crs in enumerate(systems):
        path.mkdir(exist_ok=True)
        save_part = town(crs=crs).iloc[at :: len(systems)]
        save_part.to_parquet(path / f"part-{at}.parquet")


def hive(path: Path) -> None:
    """As Spark writes it: a folder for each class, which is no column of the files."""
    frame = pd.DataFrame(table(shape="wkb")).fillna({"highway": "none"})
    made = pa.Table.from_pandas(frame, preserve_index=False)
    ds.write_dataset(
        made, path, format="parquet", partitioning=["highway"], partitioning_flavor="hive"
    )
    (path / "_SUCCESS").touch()


def delta(path: Path) -> None:
    folder(path, 4326)
    (path / "_delta_log").mkdir()


def duck(path: Path, shape: str, copy: str) -> None:
    import duckdb  # noqa: PLC0415 - slow to load

    with duckdb.connect() as database:
        database.register("town", pa.Table.from_pandas(table(), preserve_index=False))
        query = f"SELECT link_id, highway, {shape} AS geom FROM town"
        database.execute(f"COPY ({query}) TO '{path}' ({copy})")


def polars(path: Path, write: str, **columns: Any) -> None:
    import polars as pl  # noqa: PLC0415 - slow to load

    frame = pl.DataFrame({"link_id": IDS, "highway": CLASSES, "geometry": WKB, **columns})
    frame = frame.with_columns(pl.col("highway").cast(pl.Categorical))
    getattr(frame, write)(path)


def native(path: Path, crs: int, columns: int = 1) -> None:
    """GeoArrow's nested lists in place of WKB."""
    frame = town(crs=crs).explode()
    if columns > 1:
        frame["other"] = frame.geometry.translate(9999)
    frame.to_parquet(path, geometry_encoding="geoarrow")


def modern(path: Path) -> None:
    frame = town(at=pd.Timestamp("2026-11-26T05:00:00.123456789"))
    frame.to_parquet(path, compression="zstd", write_page_index=True, row_group_size=2)


def doubled(path: Path) -> None:
    made = pa.Table.from_arrays(
        [pa.array(IDS), pa.array(IDS), pa.array(WKB)], ["link_id", "link_id", "geometry"]
    )
    pq.write_table(made, path)


def arrow_file(path: Path, column: Any) -> None:
    made = cells({"geometry": column})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, made.schema) as writer:
        writer.write_table(made)


FILES = [
    Written("GeoParquet by geopandas", "r.parquet", save, all_roads(), read=GEOPARQUET),
    Written(
        "GeoParquet in Web Mercator",
        "r.parquet",
        partial(save, crs=3857),
        all_roads(),
        read=GEOPARQUET,
    ),
    Written(
        "GeoParquet in OSGB", "r.parquet", partial(save, crs=27700), all_roads(), read=GEOPARQUET
    ),
    Written(
        "GeoParquet with boxes",
        "r.parquet",
        partial(save, write_covering_bbox=True),
        all_roads(),
        read=GEOPARQUET,
    ),
    Written("GeoParquet of today", "r.parquet", modern, all_roads(), read=GEOPARQUET),
    Written("GeoArrow in Parquet", "r.parquet", partial(native, crs=2157), all_roads(), read=None),
    Written(
        "GeoArrow, a second column",
        "r.parquet",
        partial(native, crs=27700, columns=2),
        all_roads(),
        options={"geometry_column": "geometry"},
    ),
    Written(
        "Feather by geopandas",
        "r.feather",
        lambda p: town(crs=27700).to_feather(p),
        all_roads(),
        read=geopandas.read_feather,
    ),
    Written(
        "GeoArrow's WKB in an Arrow file", "r.arrow", partial(extended, crs=29902), all_roads()
    ),
    Written("the first of two geometries", "r.parquet", second, all_roads()),
    Written(
        "the second of two geometries",
        "r.parquet",
        second,
        all_roads(),
        options={"geometry_column": "degrees"},
    ),
    Written(
        "a folder of GeoParquet",
        "roads",
        lambda p: folder(p, 27700, 27700),
        all_roads(),
        read=GEOPARQUET,
    ),
    Written(
        "a folder of two systems",
        "roads",
        lambda p: folder(p, 27700, 4326),
        refused="expected one reference system in the files of a folder",
    ),
    Written(
        "a folder as Spark writes it",
        "roads",
        hive,
        all_roads(),
        classes=["primary", "residential", "none", "trunk"],
    ),
    Written("a table of Delta Lake", "roads", delta, refused="Delta Lake table"),
    Written(
        "DuckDB's own geometry",
        "r.parquet",
        lambda p: duck(p, "geom::GEOMETRY", "FORMAT parquet"),
        all_roads(),
        classes=CLASSES,
        read=GEOPARQUET,
    ),
    Written(
        "DuckDB, WKT in Parquet",
        "r.parquet",
        lambda p: duck(p, "geom", "FORMAT parquet"),
        all_roads(),
    ),
    Written(
        "DuckDB, CSV", "r.csv", lambda p: duck(p, "geom", "FORMAT csv, DELIMITER ';'"), all_roads()
    ),
    Written(
        "Polars, Parquet",
        "r.parquet",
        lambda p: polars(p, "write_parquet"),
        all_roads(),
        classes=CLASSES,
    ),
    Written(
        "Polars, Arrow with views",
        "r.arrow",
        lambda p: polars(p, "write_ipc"),
        all_roads(),
        classes=CLASSES,
    ),
    Written(
        "Polars, ids as text views",
        "r.arrow",
        lambda p: polars(p, "write_ipc", link_id=[str(i) for i in IDS]),
        all_roads(),
    ),
    Written(
        "WKB views",
        "r.arrow",
        lambda p: arrow_file(p, pa.array(WKB, pa.binary_view())),
        all_roads(),
    ),
    Written(
        "WKB of a fixed length",
        "r.arrow",
        lambda p: arrow_file(p, pa.array([WKB[0]] * 4, pa.binary(len(WKB[0])))),
        dict.fromkeys(IDS.tolist(), LINES[0]),
    ),
    Written("arcs in Parquet", "r.parquet", partial(plain, geometry=pa.array(ARCS)), arcs()),
    *(
        Written(
            f"ids as {name}",
            "r.parquet" if name != "runs" else "r.arrow",
            partial(plain if name != "runs" else as_arrow, link_id=ids),
            roads,
        )
        for name, (ids, roads) in ID_KINDS.items()
    ),
    Written(
        "ids that are UUIDs",
        "r.parquet",
        partial(plain, link_id=pa.array([uuid.uuid4().bytes] * 4, pa.binary(16))),
        refused="expected integers in the id column link_id",
    ),
    Written(
        "ids as rounded floats",
        "r.parquet",
        partial(plain, link_id=pa.array([2.0**53 + 2] * 4)),
        refused="expected integers in the id column link_id, got '9007199254740994.0'",
    ),
    Written(
        "a column named geometry that is none",
        "r.parquet",
        partial(plain, geometry=pa.array([1, 2, 3, 4]), shape_wkt=pa.array(LINES)),
        refused="in the geometry column geometry, got '1'.*shape_wkt.*--roads-geometry",
    ),
    Written(
        "another than the column named geometry",
        "r.parquet",
        partial(plain, geometry=pa.array([1, 2, 3, 4]), shape_wkt=pa.array(LINES)),
        all_roads(),
        options={"geometry_column": "shape_wkt"},
    ),
    Written(
        "two columns of one name",
        "r.parquet",
        doubled,
        refused="two of its columns have the same name",
    ),
    Written("no row", "r.parquet", town().iloc[:0].to_parquet, refused="got no row"),
]
