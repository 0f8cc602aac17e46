"""Roads from a file: which format, which columns, which rows.

Rule: a file is read in batches and only wanted rows are decoded and kept, so memory follows the
ids, not the file. Rows whose id is null or no integer are counted and left out; a file where
that is so for every row is refused, since the wrong column was named. Nothing is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely

from mapreduce.errors import UsageError
from roadspeed.roads import columns, projection
from roadspeed.roads.delimited import open_delimited
from roadspeed.roads.layer import Batch, Layer, Selection, decoded
from roadspeed.roads.merging import Rows, touching
from roadspeed.roads.parquet import open_parquet
from roadspeed.roads.vector import open_vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from roadspeed.roads import BBox, Named, Objects, OnRows

PARQUET = (".parquet", ".geoparquet", ".pq")
DELIMITED = (".csv", ".tsv", ".txt")


def open_layer(path: str, table: str | None) -> Layer:
    """Open a roads file by its name's ending; `UsageError` if there is none to open."""
    file = Path(path).expanduser()
    if not file.exists():
        raise UsageError(
            f"{path}: expected a roads file (GeoJSON, GeoPackage, GeoParquet, FlatGeobuf, "
            "Shapefile, CSV with WKT) or postgresql://host/db, and there is no such file"
        )
    endings = [ending.lower() for ending in file.suffixes if ending.lower() not in {".gz", ".bz2"}]
    ending = endings[-1] if endings else ""
    is_parquet = ending in PARQUET or (file.is_dir() and ending != ".gdb")
    if table is not None and (is_parquet or ending in DELIMITED):
        raise UsageError(
            f"{path}: expected no --roads-table, got {table!r}: "
            f"{'Parquet' if is_parquet else 'a CSV'} is one table. Leave the option out"
        )
    if is_parquet:
        return open_parquet(str(file))
    if ending in DELIMITED:
        return open_delimited(str(file))
    return open_vector(str(file), table)


def matching(
    ids: NDArray[np.int64], path: str, named: Named, on_progress: OnRows | None
) -> Iterator[Rows]:
    """Read the rows whose id is wanted.

    Parameters
    ----------
    ids
        int64[n], strictly ascending.
    path, named, on_progress
        As for `roadspeed.roads.join`.

    Raises
    ------
    UsageError
        No such file or column, or no row whose id is an integer.
    """
    layer, id_column = _opened(path, named)
    reach = (int(ids[0]), int(ids[-1])) if len(ids) else None
    selection = _selection(layer, named, id_column=id_column, id_range=reach)
    reading = _Reading(layer, named, selection, on_progress)
    seen = usable = 0
    example = None
    for batch in layer.read(selection):
        found, valid = columns.integers(batch.columns[0])
        bad = len(valid) - int(np.count_nonzero(valid))
        seen, usable = seen + len(valid), usable + len(valid) - bad
        if bad and example is None:
            example = batch.columns[0][int(np.argmin(valid))].as_py()
        rows, positions = columns.positions(ids, found, valid)
        yield reading.rows(batch, rows, positions, bad)
    if seen and not usable:
        raise UsageError(
            f"{layer.where}: expected integers in the id column {id_column}, got {example!r}. "
            f"Its columns are: {columns.listed(layer.names)}. Name another: --roads-id COLUMN"
        )
    reading.check()


def check(path: str, named: Named) -> None:
    """Open the file and find the columns that `matching` will read; no row is read."""
    layer, id_column = _opened(path, named)
    _selection(layer, named, id_column=id_column)
    if named.crs:
        projection.crs_named(named.crs)


def within(
    bbox: BBox | None,
    path: str,
    named: Named,
    _limit: int | None,
    on_progress: OnRows | None,
) -> Iterator[Rows]:
    """Read all rows that touch a box (EPSG:4326); those without geometry are left out."""
    layer = open_layer(path, named.table)
    crs = projection.crs_named(named.crs) if named.crs else layer.crs
    box = None if bbox is None else projection.box_in(bbox, crs)
    selection = _selection(layer, named, box=box)
    reading = _Reading(layer, named, selection, on_progress)
    for batch in layer.read(selection):
        every = np.arange(len(batch.geometry))
        rows = reading.rows(batch, every, every, 0)
        yield touching(rows, bbox)
    reading.check()


def _opened(path: str, named: Named) -> tuple[Layer, str]:
    """Open a layer and choose its column of ids."""
    layer = open_layer(path, named.table)
    return layer, columns.choose_id(_attributes(layer, named), named.id_column, layer.where)


def _attributes(layer: Layer, named: Named) -> list[str]:
    """Return the columns that can hold ids or classes."""
    return [n for n in layer.names if n not in (layer.native_geometry, named.geometry_column)]


def _selection(layer: Layer, named: Named, id_column: str | None = None, **where: Any) -> Selection:
    geometry = layer.native_geometry
    if geometry is None or named.geometry_column not in (None, geometry):
        geometry = columns.choose_geometry(layer.names, named.geometry_column, layer.where)
    road_class = columns.choose_class(_attributes(layer, named), named.class_column, layer.where)
    return Selection(id_column, road_class, geometry, **where)


class _Reading:
    """Turns batches into rows in EPSG:4326 and keeps count of what could not be read."""

    def __init__(
        self, layer: Layer, named: Named, selection: Selection, on_progress: OnRows | None
    ) -> None:
        self.layer = layer
        self.on_progress = on_progress
        self.crs = projection.crs_named(named.crs) if named.crs else layer.crs
        self.has_class = selection.road_class is not None
        self.seen = self.skipped = self.read = self.unreadable = 0
        self.example: Any = None

    def rows(
        self, batch: Batch, rows: NDArray[np.int64], positions: NDArray[np.int64], bad_ids: int
    ) -> Rows:
        """Decode the chosen rows of a batch."""
        column = batch.geometry.take(rows)
        geometry, unreadable = decoded(column)
        if unreadable and self.example is None:
            missing = shapely.is_missing(geometry) & column.is_valid().to_numpy(False)
            self.example = column[int(np.argmax(missing))].as_py()
        known = int(np.count_nonzero(~shapely.is_missing(geometry)))
        geometry = _lonlat(geometry, self.crs, self.layer.where)
        unreadable += known - int(np.count_nonzero(~shapely.is_missing(geometry)))
        road_class = (
            columns.texts(batch.columns[-1].take(rows))
            if self.has_class
            else np.full(len(rows), None, dtype=object)
        )
        self.seen += len(batch.geometry)
        self.read += known
        self.skipped += batch.skipped
        self.unreadable += unreadable
        if self.on_progress is not None:
            self.on_progress(self.seen, self.layer.rows)
        return Rows(positions, geometry, road_class, unreadable + bad_ids + batch.skipped)

    def check(self) -> None:
        """Refuse a file none of whose rows made sense."""
        if self.skipped and not self.seen:
            raise UsageError(
                f"{self.layer.where}: expected {len(self.layer.names)} cells a line, as in the "
                f"first, got another number in all {self.skipped} lines: quote a geometry that "
                "holds the separator, or separate by ;"
            )
        if self.unreadable and not self.read:
            raise UsageError(
                f"{self.layer.where}: expected WKT or WKB with finite coordinates in the "
                f"geometry column, got {str(self.example)[:80]!r}. "
                "Name another: --roads-geometry COLUMN"
            )


def _lonlat(geometry: Objects, crs: Any, where: str) -> Objects:
    """Project a batch; where nobody else says, the geometries' own SRID tells from what."""
    if crs is not None:
        return projection.to_lonlat(geometry, crs, where)
    srids = shapely.get_srid(geometry)
    result = geometry.copy()
    for srid in np.unique(srids).tolist():
        own = srids == srid
        said = pyproj.CRS.from_epsg(srid) if srid > 0 else None
        shapes = geometry[own] if srid <= 0 else shapely.set_srid(geometry[own], 0)
        result[own] = projection.to_lonlat(shapes, said, where)
    return result
