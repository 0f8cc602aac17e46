"""`speeds.parquet`: GeoParquet 1.1, ascending by link, with a bounding box a row.

Geometry is WKB in WGS 84 (longitude first, as the format has it whatever the CRS says). Each
field carries its description and unit, and the schema the unit of all speeds and the note of a
sample under the key `roadspeed`. Without any geometry the file is plain Parquet. Source: GeoParquet
specification 1.1.0 (Open Geospatial Consortium, 2024).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from pyproj import CRS

from mapreduce.atomic_file import whole
from mapreduce.errors import UsageError
from roadspeed.outputs import arrow, shapes
from roadspeed.outputs.link_table import FLOATS, LinkTable, Told

if TYPE_CHECKING:
    import os

    from roadspeed.outputs.link_table import Objects

VERSION: Final = "1.1.0"
COMPRESSION: Final = "zstd"
INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
INT64_END: Final = 1 << 63


def write_parquet(path: str | os.PathLike[str], table: LinkTable) -> None:
    """Write the table as GeoParquet, one row group for every 65,536 links.

    Parameters
    ----------
    path
        Where the file goes.
    table
        What is written: every column of `columns.SPEEDS`.
    """
    fields = arrow.schema(table, covering=True)
    if table.geometry is not None:
        geo = json.dumps(_geo(table.geometry))
        fields = fields.with_metadata({**fields.metadata, b"geo": geo.encode()})
    with whole(path) as partial, pq.ParquetWriter(partial, fields, compression=COMPRESSION) as file:
        for batch in arrow.batches(table, fields):
            file.write_batch(batch)


def read_parquet(path: str | os.PathLike[str]) -> LinkTable:
    """Read a table that `write_parquet` wrote: with its unit, the note of its sample and credits.

    Raises
    ------
    UsageError
        Where there is no such file, or it is another program's.
    """
    try:
        read = pq.read_table(path)
        about = json.loads((read.schema.metadata or {})[b"roadspeed"])
        columns = {name: read.column(name) for name in read.column_names}
        numbers = {n: columns[n].to_numpy() for n in ("link", "fixes", "trips", *FLOATS)}
        if pa.types.is_string(columns["link"].type):
            ids = [text.encode() for text in columns["link"].to_pylist()]
            numbers["link"] = np.array(ids, dtype=np.bytes_)
    except FileNotFoundError:
        raise UsageError(
            f"no file {path}: expected the folder that `roadspeed run` wrote with --out"
        ) from None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path}: expected a file that roadspeed wrote; {error}") from None
    geometry = columns.get("geometry")
    return LinkTable(
        unit=about["unit"],
        **numbers,
        geometry=None if geometry is None else _shapes(geometry),
        road_class=np.array(columns["road_class"].to_pylist(), dtype=object),
        sample=about["sample"],
        told=Told(attribution=about.get("attribution", ""), trip=about.get("trip", "")),
    )


def few_lines(path: str | os.PathLike[str], links: set[str]) -> dict[str, Any]:
    """Read the geometry of some links, given as text: by link, without those that have none."""
    kind = pq.read_schema(path).field("link").type
    wanted = pa.array(sorted(links)).cast(pa.string())
    if not pa.types.is_string(kind):
        whole = [int(link) for link in links if INTEGER.fullmatch(link)]
        wanted = pa.array([link for link in whole if abs(link) < INT64_END], kind)
    read = pq.read_table(path, columns=["link", "geometry"], filters=pc.field("link").isin(wanted))
    pairs = zip(read.column("link").to_pylist(), _shapes(read.column("geometry")), strict=True)
    return {str(link): line for link, line in pairs if line is not None}


def _shapes(column: Any) -> Objects:
    shapes_read: Objects = shapely.from_wkb(np.array(column.to_pylist(), dtype=object))
    return shapes_read


def _geo(geometry: Objects) -> dict[str, Any]:
    """Give the `geo` metadata: encoding, types, CRS as PROJJSON, bounds, where boxes stand."""
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": shapes.type_names(geometry),
        "crs": CRS.from_epsg(4326).to_json_dict(),
        "edges": "planar",
        "covering": {"bbox": {corner: ["bbox", corner] for corner in arrow.CORNERS}},
    }
    box = shapes.bounds(geometry)
    box = box[~np.isnan(box[:, 0])]
    if len(box):
        column["bbox"] = [*box[:, :2].min(axis=0).tolist(), *box[:, 2:].max(axis=0).tolist()]
    return {"version": VERSION, "primary_column": "geometry", "columns": {"geometry": column}}
