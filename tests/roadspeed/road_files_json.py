"""GeoJSON and its kin as geopandas, osmnx, pandas and ArcGIS write it: see `road_files`."""

from __future__ import annotations

import gzip
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import shapely

from tests.roadspeed.road_files import (
    IDS,
    LINES,
    Written,
    all_roads,
    town,
)

if TYPE_CHECKING:
    from pathlib import Path

BY_GEOPANDAS = geopandas.read_file
OWN = {"id_column": "fid"}


def save(path: Path, *, crs: Any = 4326, ids: Any = IDS, lines: Any = None, **how: Any) -> None:
    town(ids, crs, lines).to_file(path, **how)


def features(path: Path, make: Any, **more: Any) -> None:
    """Write GeoJSON by hand: `make` gives each feature's members from its number."""
    made = []
    for at, line in enumerate(LINES):
        geometry = json.loads(shapely.to_geojson(shapely.from_wkt(line)))
        made.append({"type": "Feature", "geometry": geometry, "properties": {}, **make(at)})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": made, **more}))


def with_id(at: int, ids: Any) -> dict[str, Any]:
    return {"id": ids[at]}


def osm(at: int, ids: Any = (7001, [7002, 9], 7003, 7004)) -> dict[str, Any]:
    classes = ["primary", ["tertiary", "residential"], None, "trunk"]
    return {"properties": {"osmid": ids[at], "highway": classes[at], "oneway": True}}


def without(path: Path, *endings: str, crs: Any = 4326) -> None:
    save(path, crs=crs, encoding="ISO-8859-1")
    for ending in endings:
        path.with_suffix(ending).unlink()


def esri_json(path: Path) -> None:
    """As an ArcGIS server answers: attributes and paths, wkid."""
    frame = town(crs=3857)
    made = []
    for id_, shape in zip(IDS.tolist(), frame.geometry, strict=True):
        paths = [list(map(list, part.coords)) for part in shapely.get_parts(shape)]
        made.append(
            {"attributes": {"OBJECTID": id_ - 7000, "link_id": id_}, "geometry": {"paths": paths}}
        )
    fields = [
        {"name": "OBJECTID", "type": "esriFieldTypeOID"},
        {"name": "link_id", "type": "esriFieldTypeInteger"},
    ]
    path.write_text(
        json.dumps(
            {
                "objectIdFieldName": "OBJECTID",
                "geometryType": "esriGeometryPolyline",
                "spatialReference": {"wkid": 102100, "latestWkid": 3857},
                "fields": fields,
                "features": made,
            }
        )
    )


def topo_json(path: Path) -> None:
    parts = [
        [list(map(list, part.coords)) for part in shapely.get_parts(shapely.from_wkt(line))]
        for line in LINES
    ]
    arcs_: list[Any] = []
    made = []
    for id_, lines in zip(IDS.tolist(), parts, strict=True):
        numbers = list(range(len(arcs_), len(arcs_) + len(lines)))
        arcs_ += lines
        made.append(
            {
                "type": "MultiLineString",
                "arcs": [[n] for n in numbers],
                "properties": {"link_id": id_},
            }
        )
    objects = {"roads": {"type": "GeometryCollection", "geometries": made}}
    path.write_text(json.dumps({"type": "Topology", "objects": objects, "arcs": arcs_}))


def compressed(path: Path) -> None:
    path.write_bytes(gzip.compress(town().to_json().encode()))


def together(*lines: str) -> str:
    parts = shapely.get_parts(shapely.from_wkt(np.array(lines, dtype=object)))
    return str(shapely.multilinestrings(shapely.get_parts(parts)).wkt)


FILES = [
    Written("GeoJSON, compressed", "r.geojson.gz", compressed, all_roads()),
    Written("Esri JSON as ArcGIS writes it", "r.json", esri_json, all_roads(), read=BY_GEOPANDAS),
    Written("TopoJSON", "r.topojson", topo_json, all_roads()),
    Written(
        "GeoJSON without geometry",
        "r.geojson",
        lambda p: features(p, lambda at: {"geometry": None, "properties": {"link_id": 7001 + at}}),
        refused="--roads-geometry|expected a layer with geometry",
    ),
    Written(
        "GeoJSON without features",
        "r.geojson",
        lambda p: p.write_text('{"type": "FeatureCollection", "features": []}'),
        refused="r.geojson",
    ),
    Written(
        "GeoJSON of lists as osmnx writes it",
        "r.geojson",
        lambda p: features(p, osm),
        all_roads(7002),
        classes=["primary", None, None, "trunk"],
    ),
    Written(
        "GeoJSON of lists, in classes",
        "r.geojson",
        lambda p: features(p, partial(osm, ids=IDS.tolist())),
        all_roads(),
        classes=["primary", "residential", None, "trunk"],
    ),
    Written(
        "GeoJSON of ids, some text",
        "r.geojson",
        lambda p: features(p, partial(osm, ids=["7001", 7002, "7003", 7004])),
        all_roads(),
    ),
    Written(
        "GeoJSON of ids beyond 64 bits",
        "r.geojson",
        lambda p: features(p, partial(osm, ids=[7001, 2**64, 10**30, 7004])),
        all_roads(7002, 7003),
    ),
    *(
        Written(
            f"GeoJSON by the features' ids, {kind}",
            "r.geojson",
            partial(features, make=partial(with_id, ids=ids)),
            roads,
            options=OWN,
        )
        for kind, ids, roads in (
            ("integers", IDS.tolist(), all_roads()),
            ("texts", [str(id_) for id_ in IDS], all_roads()),
            ("floats", [7001.0, 7002.5, 7003.0, 7004.0], all_roads(7002)),
            ("some missing", [7001, None, 7003, None], all_roads(7002, 7004)),
        )
    ),
    Written(
        "GeoJSON by the features' ids, doubled",
        "r.geojson",
        lambda p: features(p, partial(with_id, ids=[7001, 7001, 7003, 7003])),
        {
            7001: together(*LINES[:2]),
            7003: together(*LINES[2:]),
        },
        options=OWN,
    ),
    Written(
        "GeoJSON by the features' ids, beyond 64 bits",
        "r.geojson",
        lambda p: features(p, partial(with_id, ids=[7001, 2**63, 7003, 2**70])),
        refused="GDAL cannot read it .*9223372036854775808",
        options=OWN,
    ),
    Written(
        "GeoJSON by pandas' index",
        "r.geojson",
        lambda p: p.write_text(town().drop(columns="link_id").to_json()),
        refused="but none has a usual name.*--roads-id",
    ),
    Written(
        "GeoJSON without ids, by them",
        "r.geojson",
        save,
        refused="expected integers in the id column fid",
        options=OWN,
    ),
]
