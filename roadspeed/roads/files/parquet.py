"""GeoParquet (a file or a folder of them), Arrow files, and plain ones with WKB or WKT, as a layer.

Rule: read by pyarrow in batches, only the columns asked for; row groups whose statistics lie
outside the wanted ids or box are skipped unread. What a column's metadata says holds for that
column and no other, and files of a folder that say different things are refused. By GeoParquet's
specification (1.1, section "crs") an absent CRS means OGC:CRS84 and a null one means unknown.
Nothing is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import shapely

from mapreduce.errors import UsageError
from roadspeed.roads.files.layer import Batch, ColumnSelection, Layer
from roadspeed.roads.rows.crs import crs_said

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_ROWS = 65_536
ARROW = (".arrow", ".feather", ".ipc")
EXTENSION = b"ARROW:extension:name"
EXTENSION_METADATA = b"ARROW:extension:metadata"
WKB = "WKB"
VIEWS = {pa.string_view(), pa.binary_view()}


def open_parquet(path: str) -> Layer:
    """Open a Parquet or Arrow file, or a folder of Parquet; `UsageError` if it is none."""
    kind = "ipc" if path.lower().endswith(ARROW) else "parquet"
    _refuse_versioned(path)
    try:
        dataset = ds.dataset(
            path, format=kind, partitioning="hive" if Path(path).is_dir() else None
        )
        rows = dataset.count_rows()
        primary, said = _geo(dataset.schema)
        schemas = [part.physical_schema for part in dataset.get_fragments()]
    except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError) as error:
        twice = (
            ": two of its columns have the same name, rename one"
            if "duplicate" in str(error)
            else ""
        )
        raise UsageError(
            f"{path}: expected GeoParquet or an Arrow file, and it cannot be read ({error}){twice}"
        ) from error

    def read(selection: ColumnSelection) -> Iterator[Batch]:
        _refuse_mixture(path, dataset.schema, schemas, selection)
        column = said.get(selection.geometry, {})
        try:
            yield from _batches(dataset, selection, column)
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"{path}: reading stopped ({error}): is the file complete?") from error

    def crs_of(name: str) -> Any:
        column = said.get(name)
        if column is None:
            return None
        return crs_said(column.get("crs", "OGC:CRS84"), f"{path}, column {name}")

    return Layer(
        where=path,
        names=tuple(dataset.schema.names),
        native_geometry=primary,
        crs_of=crs_of,
        rows=rows,
        read=read,
        geometries=tuple(name for name in said if name in dataset.schema.names),
    )


def _geo(schema: Any) -> tuple[str | None, dict[str, Any]]:
    """Return the primary column, and what the file's metadata says of each column of geometry.

    GeoParquet says it for the file; GeoArrow at the column, where no CRS is one that is unknown.
    """
    said: dict[str, Any] = {}
    for field in schema:
        name, metadata = _extension(field)
        if name.startswith(("geoarrow.", "ogc.")):
            crs = (json.loads(metadata or "{}") or {}).get("crs")
            encoding = WKB if name.endswith((".wkb", ".wkt")) else name.removeprefix("geoarrow.")
            said[field.name] = {"crs": crs, "encoding": encoding}
    geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    said.update(dict(geo.get("columns") or {}))
    primary = geo.get("primary_column")
    if primary is None and len(said) == 1:
        primary = next(iter(said))
    return (primary if primary in schema.names else None), said


def _extension(field: Any) -> tuple[str, bytes]:
    """Return the name and metadata of a column's extension type, known to pyarrow or not."""
    if isinstance(field.type, pa.BaseExtensionType):
        return field.type.extension_name, field.type.__arrow_ext_serialize__()
    metadata = field.metadata or {}
    return metadata.get(EXTENSION, b"").decode(), metadata.get(EXTENSION_METADATA, b"")


def _refuse_versioned(path: str) -> None:
    """Refuse tables whose rows are not those of all their files."""
    for mark, kind in (("_delta_log", "Delta Lake"), ("metadata", "Iceberg"), (".hoodie", "Hudi")):
        if Path(path, mark).is_dir():
            raise UsageError(
                f"{path}: expected a folder of Parquet, got a {kind} table, which contains old"
                " rows beside new ones. Export it as one GeoParquet file"
            )


def _refuse_mixture(path: str, schema: Any, schemas: list[Any], selection: ColumnSelection) -> None:
    """Refuse files of one folder that say different things of the columns that are read."""
    wanted = _geo(schema)[1].get(selection.geometry)
    for other in schemas:
        if _geo(other)[1].get(selection.geometry, {}).get("crs", "") != (wanted or {}).get(
            "crs", ""
        ):
            raise UsageError(
                f"{path}: expected one reference system in the files of a folder, but they have"
                f" several for the column {selection.geometry}. Merge them into one file"
            )
        for name in {*selection.names, selection.geometry} & {*other.names}:
            if other.field(name).type != schema.field(name).type:
                raise UsageError(
                    f"{path}: expected one type in the column {name}, and the files of the folder "
                    f"have {schema.field(name).type} and {other.field(name).type}"
                )


def _batches(dataset: Any, selection: ColumnSelection, column: dict[str, Any]) -> Iterator[Batch]:
    kept = None
    name = selection.id_column
    wanted = list(dict.fromkeys([*selection.names, selection.geometry]))
    # Arrow filters no views, and what it filters of an Arrow file has not been checked.
    unfiltered = dataset.format == ds.IpcFileFormat() or VIEWS & {
        dataset.schema.field(name).type for name in wanted
    }
    if name is not None and selection.id_range is not None and not unfiltered:
        least, greatest = selection.id_range
        if pa.types.is_signed_integer(dataset.schema.field(name).type):
            kept = (pc.field(name) >= least) & (pc.field(name) <= greatest)
    covering = (column.get("covering") or {}).get("bbox")
    if selection.box is not None and covering and not unfiltered:
        west, south, east, north = selection.box
        edge = {name: pc.field(*path) for name, path in covering.items()}
        kept = (edge["xmin"] <= east) & (edge["xmax"] >= west)
        kept &= (edge["ymin"] <= north) & (edge["ymax"] >= south)
    scanner = dataset.scanner(
        columns=wanted,
        filter=kept,
        batch_size=BATCH_ROWS,
        batch_readahead=2,
        fragment_readahead=1,
    )
    encoding = column.get("encoding", WKB)
    for batch in scanner.to_batches():
        if dataset.format == ds.IpcFileFormat():
            batch.validate(full=True)  # nothing in such a file is checked when it is read
        shapes = batch.column(selection.geometry)
        yield Batch(
            [batch.column(name) for name in selection.names],
            shapes if encoding == WKB else _as_wkb(shapes, encoding),
        )


def _as_wkb(shapes: Any, encoding: str) -> Any:
    """Turn GeoArrow's nested lists of coordinates into WKB.

    The outermost list is of geometries, the innermost of points; shapely wants the offsets of the
    innermost first (geoarrow.org/format).
    """
    if isinstance(shapes, pa.ExtensionArray):
        shapes = shapes.storage
    offsets: list[Any] = []
    inner = shapes
    while pa.types.is_list(inner.type) or pa.types.is_large_list(inner.type):
        bounds = np.asarray(inner.offsets)
        offsets.insert(0, bounds - bounds[0])
        inner = inner.values.slice(int(bounds[0]), int(bounds[-1] - bounds[0]))
    if pa.types.is_struct(inner.type):
        points = np.column_stack([np.asarray(inner.field(axis)) for axis in ("x", "y")])
    else:
        size = inner.type.list_size  # `values` knows nothing of a slice
        values = inner.values.slice(inner.offset * size, len(inner) * size)
        points = np.asarray(values).reshape(len(inner), size)
    kind = shapely.GeometryType[encoding.upper()]
    if not len(points):
        return pa.nulls(len(shapes), pa.binary())
    flat = np.ascontiguousarray(points[:, :2])
    geometry = shapely.from_ragged_array(kind, flat, tuple(offsets) or None)
    missing = np.asarray(shapes.is_null())
    return pa.array(np.where(missing, None, shapely.to_wkb(geometry)), pa.binary())
