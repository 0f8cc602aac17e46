"""GeoParquet (a file or a folder of them), and plain Parquet with WKB or WKT, as a layer.

Rule: read by pyarrow in batches, only the columns asked for; row groups whose statistics lie
outside the wanted ids or box are skipped unread. By GeoParquet's specification (1.1, section
"crs") an absent CRS means OGC:CRS84 and a null one means unknown. Nothing is written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import geopandas
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyproj

from mapreduce.errors import UsageError
from roadspeed.roads.layer import Batch, Layer, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_ROWS = 65_536


def open_parquet(path: str) -> Layer:
    """Open a Parquet file or folder; `UsageError` if it is none."""
    try:
        dataset = ds.dataset(path, format="parquet")
        rows = dataset.count_rows()
        geo = json.loads((dataset.schema.metadata or {}).get(b"geo", b"{}"))
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise UsageError(f"{path}: expected GeoParquet, and it cannot be read ({error})") from error
    primary = geo.get("primary_column")
    column = geo.get("columns", {}).get(primary, {})
    whole = column.get("encoding", "WKB") != "WKB"  # GeoArrow's nested lists

    def read(selection: Selection) -> Iterator[Batch]:
        try:
            yield from _whole(path, selection) if whole else _batches(dataset, selection, column)
        except (pa.ArrowInvalid, OSError) as error:
            raise UsageError(f"{path}: reading stopped ({error}): is the file whole?") from error

    return Layer(
        where=path,
        names=tuple(dataset.schema.names),
        native_geometry=primary,
        crs=_crs(column) if column else None,
        rows=rows,
        read=read,
    )


def _crs(column: dict[str, Any]) -> Any:
    if "crs" not in column:
        return pyproj.CRS.from_user_input("OGC:CRS84")
    return None if column["crs"] is None else pyproj.CRS.from_json_dict(column["crs"])


def _batches(dataset: Any, selection: Selection, column: dict[str, Any]) -> Iterator[Batch]:
    kept = None
    name = selection.id_column
    if name is not None and selection.id_range is not None:
        least, greatest = selection.id_range
        if pa.types.is_signed_integer(dataset.schema.field(name).type):
            kept = (pc.field(name) >= least) & (pc.field(name) <= greatest)
    covering = column.get("covering", {}).get("bbox")
    if selection.box is not None and covering:
        west, south, east, north = selection.box
        edge = {name: pc.field(*path) for name, path in covering.items()}
        kept = (edge["xmin"] <= east) & (edge["xmax"] >= west)
        kept &= (edge["ymin"] <= north) & (edge["ymax"] >= south)
    scanner = dataset.scanner(
        columns=list(dict.fromkeys([*selection.names, selection.geometry])),
        filter=kept,
        batch_size=BATCH_ROWS,
        batch_readahead=2,
        fragment_readahead=1,
    )
    for batch in scanner.to_batches():
        yield Batch(
            [batch.column(name) for name in selection.names], batch.column(selection.geometry)
        )


def _whole(path: str, selection: Selection) -> Iterator[Batch]:
    frame = geopandas.read_parquet(
        path, columns=list(dict.fromkeys([*selection.names, selection.geometry]))
    )
    columns = [pa.Array.from_pandas(frame[name]) for name in selection.names]
    yield Batch(columns, pa.array(frame[selection.geometry].to_wkb(), pa.binary()))
