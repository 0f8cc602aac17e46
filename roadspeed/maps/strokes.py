"""The lines of geometries, each with the road it belongs to; any other geometry counts as none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]

KINDS = ("points", "lines", "polygons")  # by dimension
LINES, COLLECTIONS = (1, 2), (5, 7)  # shapely's type ids: lines and rings; multi-lines, collections


@dataclass(frozen=True, slots=True)
class Strokes:
    """Lines and the road each belongs to: a road has one line or, as a multi-line, several.

    `lines` is object[k] of shapely LineStrings, `owner` int64[k] the position of its road.
    """

    lines: Objects
    owner: Ints


@dataclass(frozen=True, slots=True)
class StrokeLayer:
    """Strokes of one width that are painted together, in order.

    `lines` is object[k] of LineStrings in pixels. `shade` float64[k] is the place on the ramp
    (0 slow to 1 fast) of each; where it is None, all have the one `colour` (`#rrggbb[aa]`).
    """

    lines: Objects
    width_px: float
    shade: Floats | None
    colour: str | None
    round_ends: bool = True


def strokes_of(geometry: Objects) -> Strokes:
    """Return the lines of geometries in degrees: multi-lines opened, what is no line left out.

    Parameters
    ----------
    geometry
        object[n] of shapely geometries or None.
    """
    import shapely  # noqa: PLC0415 - heavy: only for those who draw

    parts, owner = shapely.get_parts(geometry, return_index=True)
    for _ in range(2):  # a collection may hold multi-lines, and they lines
        nested = np.isin(shapely.get_type_id(parts), COLLECTIONS)
        if nested.any():
            inner, position = shapely.get_parts(parts, return_index=True)
            parts, owner = inner, owner[position]
    keep = np.isin(shapely.get_type_id(parts), LINES) & ~shapely.is_empty(parts)
    parts, owner = parts[keep], owner[keep]
    xy, index = shapely.get_coordinates(parts, return_index=True)
    whole = np.ones(len(parts), dtype=bool)
    whole[index[~np.isfinite(xy).all(axis=1)]] = False
    parts, owner = parts[whole], owner[whole]
    return Strokes(parts, np.asarray(owner, dtype=np.int64))


def kinds_of(geometry: Objects) -> list[str]:
    """Name the kinds of geometry there are, in the plural: points, lines, polygons."""
    import shapely  # noqa: PLC0415 - heavy: only for those who draw

    found = np.unique(shapely.get_dimensions(geometry[~shapely.is_empty(geometry)]))
    return [KINDS[int(dimension)] for dimension in found if dimension >= 0]
