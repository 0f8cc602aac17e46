"""GeoParquet that says what its coordinates are in, in every form found: see `road_files`."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely

from tests.roadspeed.road_files import (
    CLASSES,
    IDS,
    LINES,
    Written,
    all_roads,
    town,
)

if TYPE_CHECKING:
    from pathlib import Path

LEGACY = "0.1.0"  # geopandas 0.8 to 0.10: WKT where later ones have PROJJSON
ABSENT = object()
WKB = [shape.wkb for shape in shapely.from_wkt(np.array(LINES, dtype=object))]
OSGB = pyproj.CRS.from_epsg(27700)
OSGB_PROJ = (
    "+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=airy "
    "+towgs84=446.448,-125.157,542.06,0.1502,0.247,0.8421,-20.4894 +units=m +no_defs"
)


def says(path: Path, said: Any, crs: Any = 27700) -> None:
    """Write GeoParquet whose metadata says `said` for the CRS."""
    frame = town(crs=crs)
    column = {"encoding": "WKB", "geometry_types": []}
    if said is not ABSENT:
        column["crs"] = said
    geo = {"version": LEGACY, "primary_column": "geometry", "columns": {"geometry": column}}
    made = cells({"geometry": pa.array(frame.geometry.to_wkb())})
    pq.write_table(made.replace_schema_metadata({"geo": json.dumps(geo)}), path)


def cells(changed: dict[str, Any]) -> pa.Table:
    """The roads as plain Parquet, some columns otherwise."""
    return pa.table({"link_id": IDS, "highway": CLASSES, "geometry": WKB, **changed})


def plain(path: Path, **changed: Any) -> None:
    pq.write_table(cells(changed), path)


FILES = [
    *(
        Written(
            f"GeoParquet that says its CRS as {name}",
            "r.parquet",
            partial(says, said=said),
            all_roads(),
        )
        for name, said in {
            "PROJJSON": OSGB.to_json_dict(),
            "PROJJSON in text": OSGB.to_json(),
            "WKT, as geopandas 0.10 wrote it": OSGB.to_wkt("WKT2_2018"),
            "WKT of 1999": OSGB.to_wkt("WKT1_GDAL"),
            "WKT of ESRI's": OSGB.to_wkt("WKT1_ESRI"),
            "a code": "EPSG:27700",
            "a number in text": "27700",
            "a number": 27700,
            "a URN": "urn:ogc:def:crs:EPSG::27700",
            "a pair": ["EPSG", "27700"],
            "PROJ's text": OSGB_PROJ,
        }.items()
    ),
    Written(
        "GeoParquet that says no CRS, in degrees",
        "r.parquet",
        partial(says, said=ABSENT, crs=4326),
        all_roads(),
    ),
    Written(
        "GeoParquet of OGC:CRS84",
        "r.parquet",
        partial(says, said="OGC:CRS84", crs=4326),
        all_roads(),
    ),
    Written(
        "GeoParquet with CRS null, in degrees",
        "r.parquet",
        partial(says, said=None, crs=4326),
        all_roads(),
    ),
    Written(
        "GeoParquet with CRS null, in metres",
        "r.parquet",
        partial(says, said=None),
        refused="expected longitude and latitude.*no known reference system.*--roads-crs",
    ),
    Written(
        "GeoParquet with CRS null, named",
        "r.parquet",
        partial(says, said=None),
        all_roads(),
        options={"crs": "EPSG:27700"},
    ),
    *(
        Written(
            f"GeoParquet whose CRS is {name}",
            "r.parquet",
            partial(says, said=said),
            refused="cannot use the reference system.*--roads-crs",
        )
        for name, said in {
            "a list": ["a", "b", "c"],
            "nonsense": "nonsense",
            "an empty object of a kind": {"type": "x"},
            "earth-centred": "EPSG:4978",
            "of heights": "EPSG:5701",
        }.items()
    ),
    Written(
        "GeoParquet whose CRS is nonsense, named",
        "r.parquet",
        partial(says, said="nonsense"),
        all_roads(),
        options={"crs": "EPSG:27700"},
    ),
    Written(
        "GeoParquet that says degrees for metres",
        "r.parquet",
        partial(says, said="EPSG:4326"),
        refused="expected longitude and latitude.*WGS 84, as the source says",
    ),
]
