"""A `LinkTable` as Arrow record batches: what GeoParquet and the GeoPackage are written from.

Columns and their descriptions come from `column_docs`; a number that is not defined is null, a
geometry is WKB. Nothing here touches a file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from mapreduce.errors import JobError
from roadspeed.outputs import shapes
from roadspeed.outputs.column_docs import COVERING, SPEEDS, ColumnDoc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roadspeed.outputs.link_table import Floats, LinkTable

CHUNK_ROWS: Final = 65_536
CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")

_TYPES: Final = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "text": pa.string(),
    "geometry": pa.binary(),
    "struct": pa.struct([pa.field(corner, pa.float64()) for corner in CORNERS]),
}


def schema(table: LinkTable, *, covering: bool) -> pa.Schema:
    """Give the fields, each with its description and unit, and the table's unit and sample note.

    Parameters
    ----------
    table
        Whose unit and note are told; without a geometry column there is none in the schema.
    covering
        Whether the bounds of each geometry are a column too.
    """
    columns = [c for c in SPEEDS if c.dtype != "geometry" or table.geometry is not None]
    if covering and table.geometry is not None:
        columns.append(COVERING)
    about = {"unit": table.unit, "sample": table.sample}
    if table.told.attribution:
        about["attribution"] = table.told.attribution
    if table.told.trip:
        about["trip"] = table.told.trip
    metadata = {"roadspeed": json.dumps(about, ensure_ascii=False)}
    return pa.schema([_field(column, table) for column in columns], metadata)


def batches(
    table: LinkTable, fields: pa.Schema, *, multi: bool = False
) -> Iterator[pa.RecordBatch]:
    """Give the rows under a schema made by `schema`, in batches of `CHUNK_ROWS`.

    Parameters
    ----------
    table
        What is given.
    fields
        Which columns.
    multi
        Whether every line becomes a MULTILINESTRING; all geometries must then be lines.
    """
    for piece in table.chunks(CHUNK_ROWS):
        arrays = [_array(field.name, piece, multi).cast(field.type) for field in fields]
        yield pa.RecordBatch.from_arrays(arrays, schema=fields)


def _field(column: ColumnDoc, table: LinkTable) -> pa.Field:
    unit, meaning = column.unit_in(table.unit), column.meaning_in(table)
    metadata = {
        "description": meaning,
        "unit": unit,
        # GDAL keeps this one as the field's comment; in a GeoPackage it is the description.
        "GDAL:OGR:comment": f"{meaning} Unit: {unit}." if unit else meaning,
    }
    return pa.field(column.name, _TYPES[column.dtype_in(table)], nullable=True, metadata=metadata)


def _array(name: str, table: LinkTable, multi: bool) -> pa.Array:
    match name:
        case "geometry":
            geometry = _present(table.geometry)
            shaped = shapes.as_multilines(geometry) if multi else geometry
            return pa.array(shapes.as_wkb(shaped), pa.binary())
        case "bbox":
            return _boxes(shapes.bounds(_present(table.geometry)))
        case "road_class":
            return _texts(table)
        case "link":
            return pa.array(table.ids)
        case _:
            return pa.array(getattr(table, name), from_pandas=True)  # NaN becomes null


def _present(geometry: Any) -> Any:
    """Give the geometries of a table whose schema has them."""
    if geometry is None:
        raise JobError("arrow: a schema with geometry needs a table with geometry; got none")
    return geometry


def _texts(table: LinkTable) -> pa.Array:
    if table.road_class is None:
        return pa.nulls(len(table), pa.string())
    texts = [None if name is None else str(name) for name in table.road_class]
    return pa.array(texts, pa.string())


def _boxes(bounds: Floats) -> pa.Array:
    corners = [pa.array(np.ascontiguousarray(bounds[:, i]), from_pandas=True) for i in range(4)]
    missing = pa.array(np.isnan(bounds[:, 0]))
    return pa.StructArray.from_arrays(corners, names=list(CORNERS), mask=missing)
