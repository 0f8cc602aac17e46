"""What a source of roads is asked and what it answers: the words its readers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    OnRows: TypeAlias = Callable[[int, int | None], None]
    """Called with rows looked at so far and, where it is known, how many there will be."""
    Objects: TypeAlias = NDArray[np.object_]
    Ids: TypeAlias = NDArray[Any]
    """Ids of links, strictly ascending: int64[n], or bytes of text (`S`)[n]."""
    BBox: TypeAlias = tuple[float, float, float, float]
    """West, south, east, north in degrees (EPSG:4326)."""


class RoadsError(MapReduceError):
    """The roads' server failed (refused, dropped, too slow): run the join again once it answers."""


@dataclass(frozen=True, slots=True)
class Named:
    """What the user named, if anything: table or layer, columns, and the coordinates' CRS.

    `text_ids` says that ids are any text; else they are integers.
    """

    table: str | None = None
    id_column: str | None = None
    geometry_column: str | None = None
    class_column: str | None = None
    crs: str | None = None
    text_ids: bool = False


@dataclass(frozen=True, slots=True)
class JoinedRoads:
    """Geometry and road class of each id, in the order of the ids.

    Attributes
    ----------
    geometry
        object[n], a shapely geometry (EPSG:4326, longitude first, two-dimensional) or None.
    road_class
        object[n], text (OSM's `highway`, or a functional class) or None.
    joined, missing
        Ids with and without a geometry; their sum is n.
    merged
        Ids whose rows differ: their lines became one MULTILINESTRING.
    folded
        Rows left out because an identical one of the same id was kept.
    unreadable
        Rows of the source whose id should be an integer and is none (counted in files; a server
        skips them unseen)
        or whose geometry cannot be read, has coordinates that are NaN or infinite, or lies
        beyond the world. A row without any id is no link's road, and is counted nowhere.
    """

    geometry: Objects
    road_class: Objects
    joined: int
    missing: int
    merged: int
    folded: int
    unreadable: int = 0
