"""GeoJSON as a layer where GDAL is not installed: the first steps need none.

Rule: what comes of it is what GDAL gives. The file is read whole, and values come as text, which is
how ids and classes are read anyway. Coordinates are longitude and latitude (RFC 7946, section 4)
unless the file has a `crs`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mapreduce.errors import UsageError
from roadspeed.roads.files import geojson_ids
from roadspeed.roads.files.layer import Layer
from roadspeed.roads.rows.crs import WGS84, crs_said

if TYPE_CHECKING:
    from roadspeed.roads.rows.answer import Named

ENDINGS = (".geojson", ".json", ".geojsonl", ".geojsons")
GEOMETRY = "geometry"
ID = "id"


def open_geojson(path: str, named: Named) -> Layer:
    """Open a file of features.

    Raises
    ------
    UsageError
        It is none, or a layer is named that is not its only one.
    """
    if named.table is not None:
        raise UsageError(
            f"{path}: expected no --roads-table, got {named.table!r}: without GDAL a GeoJSON is a"
            " single table. Leave out the option"
        )
    features, crs = geojson_ids.features_of(path)
    names = list(dict.fromkeys(name for one in features for name in one.properties or {}))
    own = ID not in names and any(bytes(one.id) != b"null" for one in features)
    geometry = GEOMETRY if GEOMETRY not in names else f"{GEOMETRY} of the feature"

    def crs_of(name: str) -> Any:
        said = crs_said(crs, path) if name == geometry else None
        return WGS84 if said is None and name == geometry else said

    return Layer(
        where=path,
        names=(*names, ID) if own else tuple(names),
        native_geometry=geometry,
        crs_of=crs_of,
        rows=len(features),
        read=partial(geojson_ids.batches, features, id_name=ID if own else None),
        unguessed=frozenset({ID} if own else ()),
    )
