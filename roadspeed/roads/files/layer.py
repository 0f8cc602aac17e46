"""One layer of a roads file: what it says of itself, and its rows in Arrow batches.

Rule: a format answers what columns there are before any is read, then reads only the named
ones, a batch at a time; geometry stays undecoded bytes or text until a row is wanted. What a
column's coordinates are in is asked of that column. Formats differ in `read` and `crs_of` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roadspeed.roads.rows.answer import BBox

FORMATS = "GeoJSON, GeoPackage, GeoParquet, FlatGeobuf, Shapefile or CSV with WKT"


@dataclass(frozen=True, slots=True)
class ColumnSelection:
    """What to read: columns by name, and where rows elsewhere may be left out unread.

    `box` is in the layer's own coordinates; `id_range` is the least and greatest id wanted. A
    format that cannot use them reads all: whoever asked filters again.
    """

    id_column: str | None
    road_class: str | None
    geometry: str
    box: BBox | None = None
    id_range: tuple[int, int] | None = None
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns beside the geometry, in the order a batch has them."""
        first = tuple(name for name in (self.id_column, self.road_class) if name is not None)
        return first + self.others


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: Arrow columns in the order selected, geometry undecoded."""

    columns: list[Any]
    geometry: Any
    skipped: int = 0
    """Lines left out before this batch because they are no rows."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that can be read.

    Attributes
    ----------
    where
        Its name for messages.
    names
        Its columns; those of geometry too if they are ordinary columns.
    native_geometry
        The column the format itself marks as geometry, or None.
    crs_of
        The `pyproj.CRS` of a column of geometry, None if the layer does not say; `UsageError` if
        what it says is no use.
    rows
        How many there are, if that costs nothing to know.
    read
        Reads a selection in batches.
    unguessed
        Columns that are ids only if they are named.
    elsewhere
        Other layers of the file that have lines.
    geometries
        All columns that the format itself marks as geometry, where there may be several.
    """

    where: str
    names: tuple[str, ...]
    native_geometry: str | None
    crs_of: Callable[[str], Any]
    rows: int | None
    read: Callable[[ColumnSelection], Iterator[Batch]]
    unguessed: frozenset[str] = frozenset()
    elsewhere: tuple[str, ...] = ()
    geometries: tuple[str, ...] = ()
