"""GeoJSON, GeoPackage, FlatGeobuf, Shapefile and whatever else GDAL reads, as a layer.

Rule: read by pyogrio in Arrow batches, only the columns asked for. A feature's number is an id
only where the file itself holds it (a primary key, a GeoJSON feature's `id`: see `numbered`), and
only if it is named: where there is none GDAL counts the features, and that is no id. Of several
layers the only one that can have lines is taken. Nothing is written, beside the file neither.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyogrio

from mapreduce.errors import UsageError
from roadspeed.roads.files import geojson_ids
from roadspeed.roads.files.layer import FORMATS, Batch, ColumnSelection, Layer
from roadspeed.roads.files.untouched import holds_empty, untouched
from roadspeed.roads.rows.column_choice import listed
from roadspeed.roads.rows.crs import REMEDY, crs_said
from roadspeed.roads.rows.decoding import quietly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roadspeed.roads.rows.answer import Named

BATCH_ROWS = 65_536
pyogrio.set_gdal_config_options(
    {
        # GDAL 3.12's own Arrow reader for FlatGeobuf overruns its buffer at a row without geometry
        # (seen: segmentation fault); its general one does not.
        "OGR_FLATGEOBUF_STREAM_BASE_IMPL": "YES",
        # What GDAL would write beside a file that it reads.
        "CPL_VSIL_GZIP_WRITE_PROPERTIES": "NO",
        "GDAL_PAM_ENABLED": "NO",
    }
)
BROKEN = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.CRSError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError,
    pa.ArrowException,
    OSError,
    UnicodeError,
)
UNNAMED_FID = "OGC_FID"
UNNAMED_GEOMETRY = "wkb_geometry"
ROWID = "rowid"  # SQLite's, of a table without a key: it may change when the file is packed
DATABASES = {"GPKG", "SQLite"}
TILES = {"PMTiles", "MBTiles", "MVT"}
NOT_LINES = ("point", "polygon", "triangle", "tin", "polyhedralsurface", "surface")


@dataclass(frozen=True, slots=True)
class _Number:
    """What a feature's own number is called, if the file holds one that can be named.

    `members`: it is the `id` beside a GeoJSON feature's properties, which `numbered` reads.
    """

    column: str | None
    members: bool = False
    unguessed: frozenset[str] = frozenset()


def open_vector(path: str, named: Named) -> Layer:
    """Open a layer of a file; the only one that can have lines if none is named.

    Raises
    ------
    UsageError
        GDAL cannot read the file, it is not clear which layer is meant, or an id is named that
        the file does not hold.
    """
    try:
        with untouched(path) as real, quietly():
            layers, layer, info = _described(_source(real), path, named.table)
            fid = info["fid_column"]
            empty = info["driver"] in DATABASES and fid and holds_empty(real, layer, fid)
    except UnboundLocalError as error:  # pyogrio's, where GDAL cannot write out a damaged system
        raise UsageError(
            f"{path}: its coordinate system (the .prj of a shapefile) is damaged. Correct or"
            f" remove it. {REMEDY}"
        ) from error
    except BROKEN as error:
        raise UsageError(
            f"{path}: expected roads as {FORMATS}, and GDAL cannot read it ({error})"
        ) from error
    if info["driver"] in TILES:
        raise UsageError(
            f"{path}: expected roads as {FORMATS}, got map tiles ({info['driver']}), which"
            " contain roads in pieces, snapped to a grid. Use the original file"
        )
    fields = [str(name) for name in info["fields"]]
    number = _number(path, info["driver"], fields, "" if empty else fid, named.id_column)
    native = (info["geometry_name"] or "geometry") if info["geometry_type"] else None
    features = int(info["features"])

    def read(selection: ColumnSelection) -> Iterator[Batch]:
        if number.members and number.column in selection.names:
            features, _ = geojson_ids.features_of(path)
            return geojson_ids.batches(features, selection, number.column)
        return _batches(path, layer, selection, number.column, native)

    def crs_of(name: str) -> Any:
        return crs_said(info["crs"], path) if name == native else None

    return Layer(
        where=path,
        names=tuple([*fields, number.column] if number.column else fields),
        native_geometry=native,
        crs_of=crs_of,
        rows=features if features >= 0 else None,
        read=read,
        unguessed=number.unguessed,
        elsewhere=tuple(n for n, kind in layers.items() if n != layer and _can_have_lines(kind)),
    )


def _number(path: str, driver: str, fields: list[str], fid: str, named: str | None) -> _Number:
    """Find what a feature's own number is called; refuse one that is named and is not there."""
    if geojson_ids.carries(driver):
        if named in {"id", "fid"} - {*fields}:
            return _Number(named, members=True)
        if geojson_ids.is_members(path, driver):
            there = "id" in fields  # shown by GDAL as if it were a property
            return _Number(None if there else "id", not there, frozenset({"id"}))
    elif fid and fid not in {ROWID, *fields}:
        return _Number(fid, unguessed=frozenset({fid} if fid.lower() == "id" else ()))
    elif named in {"fid", ROWID} - {*fields}:
        raise UsageError(
            f"{path}: expected ids stored in the file for --roads-id {named}, and the file "
            f"({driver}) does not store one for each feature: GDAL would generate them. "
            f"Its columns are: {listed(fields)}. Name one: --roads-id COLUMN"
        )
    return _Number(None)


def _described(source: str, path: str, table: str | None) -> tuple[dict[str, Any], str, Any]:
    """Return a file's layers and their kinds, which of them is meant, and what that says."""
    if table is None and path.lower().removesuffix(".gz").endswith(".geojson"):
        info = pyogrio.read_info(source)
        if info["driver"] == "GeoJSON":  # it has but one layer, and each question reads it all
            layers = {str(info["layer_name"]): info["geometry_type"]}
            return layers, _chosen(path, layers, None), info
    layers = {str(name): kind for name, kind in pyogrio.list_layers(source)}
    layer = _chosen(path, layers, table)
    return layers, layer, pyogrio.read_info(source, layer=layer)


def _source(path: str) -> str:
    """Return what GDAL calls a file: one that is compressed is opened by its other name."""
    return f"/vsigzip/{Path(path).absolute()}" if path.lower().endswith(".gz") else path


def _can_have_lines(kind: Any) -> bool:
    plain = str(kind or "").lower().removeprefix("2.5d ").removeprefix("measured ")
    plain = plain.removeprefix("3d ").removeprefix("multi").removeprefix("curve")
    return bool(kind) and not plain.startswith(NOT_LINES)


def _chosen(path: str, layers: dict[str, Any], layer: str | None) -> str:
    if layer is not None:
        if layer not in layers:
            raise UsageError(f"{path}: expected a layer {layer!r}, got: {listed(list(layers))}")
        return layer
    lined = [name for name, kind in layers.items() if _can_have_lines(kind)]
    spatial = lined or [name for name, kind in layers.items() if kind is not None]
    only = spatial or list(layers)  # one without geometry may have it in a column
    if len(only) == 1:
        return only[0]
    if not spatial:
        raise UsageError(f"{path}: expected a layer with geometry, got: {listed(list(layers))}")
    if not lined:
        raise UsageError(
            f"{path}: expected a layer of lines, but all have points or areas: {listed(spatial)}"
        )
    raise UsageError(
        f"{path}: more than one layer has lines: {listed(spatial)}. "
        f"Name it: --roads-table {spatial[0]}"
    )


def _batches(
    path: str, layer: str | None, selection: ColumnSelection, fid: str | None, native: str | None
) -> Iterator[Batch]:
    fields = [name for name in (*selection.names, selection.geometry) if name not in {fid, native}]
    options: dict[str, Any] = {"bbox": selection.box} if selection.box else {}
    try:
        with contextlib.ExitStack() as opened:
            real = opened.enter_context(untouched(path))
            reading = pyogrio.open_arrow(
                _source(real),
                layer=layer,
                columns=list(dict.fromkeys(fields)),
                read_geometry=selection.geometry == native,
                return_fids=fid is not None and fid in selection.names,
                batch_size=BATCH_ROWS,
                use_pyarrow=True,
                **options,
            )
            with quietly():
                meta, reader = opened.enter_context(reading)
            own_names = {
                fid: meta["fid_column"] or UNNAMED_FID,
                native: meta["geometry_name"] or UNNAMED_GEOMETRY,
            }
            while (batch := _next(reader)) is not None:
                yield Batch(
                    [batch.column(own_names.get(name, name)) for name in selection.names],
                    batch.column(own_names.get(selection.geometry, selection.geometry)),
                )
    except BROKEN as error:
        raise UsageError(
            f"{path}: GDAL stopped reading ({error}): is the file complete?"
        ) from error


def _next(reader: Any) -> Any:
    with quietly():
        return next(reader, None)
