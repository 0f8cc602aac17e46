"""GeoJSON, GeoPackage, FlatGeobuf, Shapefile and whatever else GDAL reads, as a layer.

Rule: read by pyogrio in Arrow batches, only the columns asked for. A feature's own number can
serve as its id if it is named (`fid`), and is never guessed. Nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyogrio
import pyproj

from mapreduce.errors import UsageError
from roadspeed.roads.columns import listed
from roadspeed.roads.layer import Batch, Layer, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_ROWS = 65_536
# GDAL 3.12's own Arrow reader for FlatGeobuf overruns its buffer at a row without geometry (seen:
# segmentation fault); its general one does not.
pyogrio.set_gdal_config_options({"OGR_FLATGEOBUF_STREAM_BASE_IMPL": "YES"})
UNNAMED_FID = "OGC_FID"
UNNAMED_GEOMETRY = "wkb_geometry"


def open_vector(path: str, layer: str | None) -> Layer:
    """Open a layer of a file; the only one with geometry if none is named.

    Raises
    ------
    UsageError
        GDAL cannot read the file, or it is not clear which layer is meant.
    """
    try:
        layer = _chosen(path, layer)
        info = pyogrio.read_info(path, layer=layer)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise UsageError(
            f"{path}: expected roads as GeoJSON, GeoPackage, GeoParquet, FlatGeobuf, Shapefile or "
            f"CSV with WKT, and GDAL cannot read it ({error})"
        ) from error
    fid = info["fid_column"] or "fid"
    fields = [str(name) for name in info["fields"]]
    names = tuple(fields if fid in fields else [*fields, fid])
    features = int(info["features"])

    def read(selection: Selection) -> Iterator[Batch]:
        return _batches(path, layer, selection, fid if fid not in fields else None)

    return Layer(
        where=path,
        names=names,
        native_geometry=(info["geometry_name"] or "geometry") if info["geometry_type"] else None,
        crs=pyproj.CRS.from_user_input(info["crs"]) if info["crs"] else None,
        rows=features if features >= 0 else None,
        read=read,
    )


def _chosen(path: str, layer: str | None) -> str:
    layers = {str(name): kind for name, kind in pyogrio.list_layers(path)}
    if layer is not None:
        if layer not in layers:
            raise UsageError(f"{path}: expected a layer {layer!r}, got: {listed(list(layers))}")
        return layer
    spatial = [name for name, kind in layers.items() if kind is not None]
    if len(spatial) == 1:
        return spatial[0]
    if not spatial:
        raise UsageError(f"{path}: expected a layer with geometry, got: {listed(list(layers))}")
    raise UsageError(
        f"{path}: more than one layer has geometry: {listed(spatial)}. "
        f"Name it: --roads-table {spatial[0]}"
    )


def _batches(
    path: str, layer: str | None, selection: Selection, fid: str | None
) -> Iterator[Batch]:
    fields = [name for name in selection.names if name != fid]
    options: dict[str, Any] = {"bbox": selection.box} if selection.box else {}
    try:
        with pyogrio.open_arrow(
            path,
            layer=layer,
            columns=fields,
            return_fids=fid is not None and fid in selection.names,
            batch_size=BATCH_ROWS,
            use_pyarrow=True,
            **options,
        ) as (meta, reader):
            own_names = {fid: meta["fid_column"] or UNNAMED_FID}
            geometry = meta["geometry_name"] or UNNAMED_GEOMETRY
            for batch in reader:
                yield Batch(
                    [batch.column(own_names.get(name, name)) for name in selection.names],
                    batch.column(geometry),
                )
    except pyogrio.errors.DataSourceError as error:
        raise UsageError(f"{path}: GDAL stopped reading ({error}): is the file whole?") from error
