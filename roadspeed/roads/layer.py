"""One layer of a roads file: what it says of itself, and its rows in Arrow batches.

Rule: a format answers what columns there are before any is read, then reads only the named
ones, a batch at a time; geometry stays undecoded bytes or text until a row is wanted. Formats
differ in `read` alone. Decoding (WKB, hexadecimal WKB, WKT, each with or without an SRID) is
one function for all of them; what cannot be decoded, or has a coordinate that is no number or
infinite, is None: never an exception, never a warning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import shapely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roadspeed.roads import BBox, Objects

SRID_PREFIX = re.compile(r"^\s*SRID=(\d+);", re.IGNORECASE)
HEXADECIMAL = re.compile(r"^[0-9A-Fa-f]+$")


@dataclass(frozen=True, slots=True)
class Selection:
    """What to read: columns by name, and where rows elsewhere may be left out unread.

    `box` is in the layer's own coordinates; `id_range` is the least and greatest id wanted. A
    format that cannot use them reads all: whoever asked filters again.
    """

    id_column: str | None
    road_class: str | None
    geometry: str
    box: BBox | None = None
    id_range: tuple[int, int] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns beside the geometry, in the order a batch has them."""
        return tuple(name for name in (self.id_column, self.road_class) if name is not None)


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
    crs
        `pyproj.CRS`, or None if the layer does not say.
    rows
        How many there are, if that costs nothing to know.
    read
        Reads a selection in batches.
    """

    where: str
    names: tuple[str, ...]
    native_geometry: str | None
    crs: Any
    rows: int | None
    read: Callable[[Selection], Iterator[Batch]]


def decoded(column: Any) -> tuple[Objects, int]:
    """Decode a column of geometries.

    Returns
    -------
    geometry : object[n]
        Shapely geometries; None for null and for what cannot be read. They carry an SRID where
        the source does.
    unreadable : int
        How many are not null and could not be read.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    raw = column.to_numpy(zero_copy_only=False)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        geometry = _from_text(raw)
    else:
        geometry = from_wkb(raw)
    return geometry, int(np.count_nonzero(shapely.is_missing(geometry))) - column.null_count


def from_wkb(raw: Objects) -> Objects:
    """Decode WKB; what cannot be decoded or is not finite becomes None, without a warning."""
    with np.errstate(all="ignore"):
        return finite(np.asarray(shapely.from_wkb(raw, on_invalid="ignore"), dtype=object))


def finite(geometry: Objects) -> Objects:
    """Replace geometries with an x or y that is NaN or infinite by None."""
    coordinates, owners = shapely.get_coordinates(geometry, return_index=True)
    good = np.isfinite(coordinates)
    if good.all():
        return geometry
    geometry = geometry.copy()
    geometry[owners[~good.all(axis=1)]] = None
    return geometry


def _from_text(raw: Objects) -> Objects:
    texts = [None if text is None else text.strip() for text in raw.tolist()]
    first = next((text for text in texts if text), "")
    if HEXADECIMAL.match(first):
        return from_wkb(_array(texts))
    srids = np.zeros(len(texts), dtype=np.int32)
    if SRID_PREFIX.match(first):
        for at, text in enumerate(texts):
            if text is not None and (found := SRID_PREFIX.match(text)):
                srids[at] = int(found[1])
                texts[at] = text[found.end() :]
    with np.errstate(all="ignore"):
        geometry = shapely.from_wkt(_array(texts), on_invalid="ignore")
    if srids.any():
        geometry = shapely.set_srid(geometry, srids)
    return finite(np.asarray(geometry, dtype=object))


def _array(texts: list[str | None]) -> Objects:
    column = np.empty(len(texts), dtype=object)
    column[:] = texts
    return column
