"""Roads from a file: which format, which columns, which rows.

Rule: a file is read in batches and only wanted rows are decoded and kept, so memory follows the
ids, not the file. What is wrong with a whole file is refused when it is checked, before anything
else is done; rows whose id should be an integer and is none, or whose geometry cannot be read, are
counted and left out; so are rows without an id, uncounted. Nothing is written.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from mapreduce.errors import UsageError
from roadspeed.roads.files.delimited import open_delimited
from roadspeed.roads.files.geojson import ENDINGS, open_geojson
from roadspeed.roads.files.layer import FORMATS, Batch, ColumnSelection, Layer
from roadspeed.roads.files.parquet import ARROW, open_parquet
from roadspeed.roads.rows import cells, column_choice, matches, to_lonlat
from roadspeed.roads.rows.align import RoadRows, touching
from roadspeed.roads.rows.crs import REMEDY, crs_named, crs_of_srid
from roadspeed.roads.rows.decoding import decoded
from roadspeed.roads.rows.preflight import Look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from roadspeed.roads.rows.answer import BBox, Ids, Named, Objects, OnRows

PARQUET = (".parquet", ".geoparquet", ".pq", *ARROW)
LINE = 1  # dimension
SECRET = re.compile(r"(?<=://)[^/@]+(?=@)|(?<=password=)[^\s&]+", re.IGNORECASE)
DELIMITED = (".csv", ".tsv", ".txt")


def path_of(text: str) -> Path:
    """Return the file a user means: `~` is their home unless a file is called so.

    Raises
    ------
    UsageError
        There is none.
    """
    file = Path(text)
    if not file.exists() and text.startswith("~"):
        with contextlib.suppress(RuntimeError):  # no user of that name: nor such a file
            file = file.expanduser()
    if not file.exists():
        raise UsageError(
            f"no roads file {SECRET.sub('…', text)}: --roads takes a file on this machine "
            f"({FORMATS}) or postgresql://host/db?table=…, and there is no such file"
        )
    try:
        str(file).encode()
    except UnicodeEncodeError:
        name = bytes(file).decode("utf-8", "backslashreplace")
        raise UsageError(
            f"{name}: expected a name in UTF-8, because GDAL and Arrow open no other: rename the"
            " file"
        ) from None
    return file


def open_layer(path: str, named: Named) -> Layer:
    """Open a roads file by its name's ending; `UsageError` if there is none to open."""
    file = path_of(path)
    endings = [ending.lower() for ending in file.suffixes if ending.lower() not in {".gz", ".bz2"}]
    ending = endings[-1] if endings else ""
    is_parquet = ending in PARQUET or (file.is_dir() and _holds_parquet(file))
    if named.table is not None and (is_parquet or ending in DELIMITED):
        raise UsageError(
            f"{path}: expected no --roads-table, got {named.table!r}: "
            f"{'Parquet' if is_parquet else 'a CSV'} is a single table. Leave out the option"
        )
    if is_parquet:
        return open_parquet(str(file))
    if ending in DELIMITED:
        return open_delimited(str(file))
    try:
        from roadspeed.roads.files.gdal import open_vector  # noqa: PLC0415 - an extra of its own
    except ImportError:
        if ending in ENDINGS:
            return open_geojson(str(file), named)
        raise UsageError(
            f"{path}: GDAL is needed to read this format, and is not installed: pip install"
            " 'roadspeed[gdal]'. GeoParquet, GeoJSON and CSV with WKT are read without it"
        ) from None
    return open_vector(str(file), named)


def _holds_parquet(folder: Path) -> bool:
    return any(file.suffix.lower() in PARQUET for file in folder.rglob("*"))


def matching(ids: Ids, path: str, named: Named, on_progress: OnRows | None) -> Iterator[RoadRows]:
    """Read the rows whose id is wanted.

    Parameters
    ----------
    ids
        As for `roadspeed.roads.join`.
    path, named, on_progress
        As for `roadspeed.roads.join`.

    Raises
    ------
    UsageError
        No such file or column, no row whose id is an integer, or coordinates of no known system.
    """
    layer, id_column = _opened(path, named)
    reach = (int(ids[0]), int(ids[-1])) if len(ids) and not named.text_ids else None
    selection = _selection(layer, named, id_column=id_column, id_range=reach)
    reading = _Reading(layer, named, selection, on_progress)
    look = Look(layer.where, id_column, selection.geometry, layer.names)
    for batch in layer.read(selection):
        found, valid = cells.ids_of(batch.columns[0], text=named.text_ids)
        look.at_ids(batch.columns[0], valid)
        look.skipped += batch.skipped
        rows, positions = cells.positions(ids, found, valid)
        bad = int(np.count_nonzero(~valid & ~cells.blank(batch.columns[0])))
        yield reading.rows(batch, rows, positions, bad)
    if (look.rows and not look.with_id) or (look.skipped and not look.rows):
        look.judge(reading.strays, to_the_end=True)
    if not reading.strays.inside:
        reading.strays.check(every=True)


def ids(path: str, named: Named) -> Ids:
    """Read the ids of all rows, in any order."""
    layer, id_column = _opened(path, named)
    geometry = _selection(layer, named).geometry
    found = [np.empty(0, np.bytes_ if named.text_ids else np.int64)]
    for batch in layer.read(ColumnSelection(id_column, None, geometry)):
        some, valid = cells.ids_of(batch.columns[0], text=named.text_ids)
        some = some[valid]
        found.append(np.unique(some[some != b""] if named.text_ids else some))
    return np.concatenate(found)


def check(path: str, named: Named) -> None:
    """Open the file, find the columns that `matching` will read, and a road that can be joined.

    It reads until it has seen one; a file that does not say what its coordinates are in is read
    to its end, since one alone may show that they are no longitude and latitude.
    """
    layer, id_column = _opened(path, named)
    selection = _selection(layer, named, id_column=id_column)
    reading = _Reading(layer, named, selection, None)
    look = Look(layer.where, id_column, selection.geometry, layer.names, layer.elsewhere)
    for batch in layer.read(selection):
        _, valid = cells.ids_of(batch.columns[0], text=named.text_ids)
        look.at_ids(batch.columns[0], valid)
        look.skipped += batch.skipped
        geometry, _ = decoded(batch.geometry)
        look.at_shapes(geometry, valid, batch.geometry)
        reading.lonlat(geometry)
        if look.roads and reading.crs is not None:
            break
    reading.refuse_unknown()
    if not look.roads:
        look.beside = tuple(_lined(layer, selection.geometry))
    look.judge(reading.strays, to_the_end=True)


def _lined(layer: Layer, but: str) -> Iterator[str]:
    """Give the other columns of geometry whose first rows have a line."""
    usual = [name for name in layer.names if column_choice.is_usual_geometry(name)]
    for name in dict.fromkeys([*layer.geometries, *usual]):
        if name == but or layer.names.count(name) != 1:
            continue
        with contextlib.suppress(UsageError):
            first = next(iter(layer.read(ColumnSelection(None, None, name))), None)
            if first is not None and LINE in shapely.get_dimensions(decoded(first.geometry)[0]):
                yield name


def unjoined(ids: Ids, path: str, named: Named) -> str:
    """Say why none of the ids was joined: which columns hold how many of them."""
    layer, id_column = _opened(path, named)
    names = [n for n in dict.fromkeys(_attributes(layer, named)) if layer.names.count(n) == 1]
    geometry = _selection(layer, named).geometry
    selection = ColumnSelection(None, None, geometry, others=tuple(names[: matches.COLUMNS]))
    hit = {name: np.zeros(len(ids), dtype=np.bool_) for name in selection.names}
    examples: dict[str, list[Any]] = {name: [] for name in selection.names}
    for batch in layer.read(selection):
        for name, column in zip(selection.names, batch.columns, strict=True):
            found, valid = cells.ids_of(column, text=named.text_ids)
            hit[name][cells.positions(ids, found, valid)[1]] = True
            examples[name] += found[valid][: matches.EXAMPLES].tolist()
    counted = [
        matches.Match(name, int(np.count_nonzero(hit[name])), tuple(some[: matches.EXAMPLES]))
        for name, some in examples.items()
    ]
    return matches.told(ids, counted, layer.where, id_column, geometry)


def within(
    bbox: BBox | None,
    path: str,
    named: Named,
    _limit: int | None,
    on_progress: OnRows | None,
) -> Iterator[RoadRows]:
    """Read all rows that touch a box (EPSG:4326); those without geometry are left out."""
    layer = open_layer(path, named)
    selection = _selection(layer, named)
    reading = _Reading(layer, named, selection, on_progress)
    box = None if bbox is None else to_lonlat.box_in(bbox, reading.crs)
    for batch in layer.read(_selection(layer, named, box=box)):
        every = np.arange(len(batch.geometry))
        yield touching(reading.rows(batch, every, every, 0), bbox)


def _opened(path: str, named: Named) -> tuple[Layer, str]:
    """Open a layer and choose its column of ids."""
    layer = open_layer(path, named)
    names = _attributes(layer, named)
    return layer, column_choice.choose_id(names, named.id_column, layer.where, layer.unguessed)


def _attributes(layer: Layer, named: Named) -> list[str]:
    """Return the columns that can hold ids or classes."""
    return [n for n in layer.names if n not in (layer.native_geometry, named.geometry_column)]


def _selection(
    layer: Layer, named: Named, id_column: str | None = None, **where: Any
) -> ColumnSelection:
    geometry = layer.native_geometry
    if geometry is None or named.geometry_column not in (None, geometry):
        geometry = column_choice.choose_geometry(layer.names, named.geometry_column, layer.where)
    road_class = column_choice.choose_class(
        _attributes(layer, named), named.class_column, layer.where
    )
    return ColumnSelection(id_column, road_class, geometry, **where)


class _Reading:
    """Turns batches into rows in EPSG:4326 and keeps count of what could not be read."""

    def __init__(
        self, layer: Layer, named: Named, selection: ColumnSelection, on_progress: OnRows | None
    ) -> None:
        self.layer = layer
        self.on_progress = on_progress
        self.crs = crs_named(named.crs) if named.crs else layer.crs_of(selection.geometry)
        self.has_class = selection.road_class is not None
        self.seen = 0
        self.strays = to_lonlat.Strays(layer.where)
        self.unknown: list[int] = []

    def rows(
        self, batch: Batch, rows: NDArray[np.int64], positions: NDArray[np.int64], bad_ids: int
    ) -> RoadRows:
        """Decode the chosen rows of a batch."""
        geometry, unreadable = decoded(cells.plain(batch.geometry).take(rows))
        known = int(np.count_nonzero(~shapely.is_missing(geometry)))
        geometry = self.lonlat(geometry)
        unreadable += known - int(np.count_nonzero(~shapely.is_missing(geometry)))
        road_class = (
            cells.texts(cells.plain(batch.columns[-1]).take(rows))
            if self.has_class
            else np.full(len(rows), None, dtype=object)
        )
        self.seen += len(batch.geometry)
        if self.on_progress is not None:
            self.on_progress(self.seen, self.layer.rows)
        return RoadRows(positions, geometry, road_class, unreadable + bad_ids + batch.skipped)

    def lonlat(self, geometry: Objects) -> Objects:
        """Project a batch; where nobody else says, geometries' own SRIDs tell from what."""
        if self.crs is not None:
            return to_lonlat.to_lonlat(geometry, self.crs, self.strays)
        srids = np.unique(shapely.get_srid(geometry))
        known = {srid: crs_of_srid(srid) for srid in srids[srids > 0].tolist()}
        self.unknown += [srid for srid, crs in known.items() if crs is None]
        return to_lonlat.by_srid(geometry, known, self.strays)

    def refuse_unknown(self) -> None:
        """Refuse a number of a reference system that nobody knows."""
        if self.unknown:
            raise UsageError(
                f"{self.layer.where}: its coordinates are in SRID {self.unknown[0]}, which is in"
                f" neither EPSG nor ESRI. {REMEDY}"
            )
