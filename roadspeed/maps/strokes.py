"""Lines on the page: geometry in degrees becomes strokes in pixels, in the order of painting.

Only lines are drawn; any other geometry counts as none. Strokes outside the frame are left out
and what a pixel cannot show is simplified away. Nothing here paints: `agg` and `shader` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from roadspeed.maps.frame import Frame

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]

TOLERANCE_PX = 0.2
LINES, COLLECTIONS = (1, 2), (5, 7)  # shapely's type ids: lines and rings; multi-lines, collections


@dataclass(frozen=True, slots=True)
class Strokes:
    """Lines and the road each belongs to: a road has one line or, as a multi-line, several.

    `lines` is object[k] of shapely LineStrings, `owner` int64[k] the position of its road.
    """

    lines: Objects
    owner: Ints


@dataclass(frozen=True, slots=True)
class Layer:
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


def bounds_of(strokes: Strokes) -> tuple[float, float, float, float]:
    """West, south, east, north of some strokes, in their own unit; there must be one at least."""
    import shapely  # noqa: PLC0415 - heavy: only for those who draw

    west, south, east, north = (float(v) for v in shapely.total_bounds(strokes.lines))
    return west, south, east, north


def on_page(strokes: Strokes, frame: Frame) -> Strokes:
    """Strokes in pixels of a frame, without those that lie outside of it altogether."""
    import shapely  # noqa: PLC0415 - heavy: only for those who draw

    if not len(strokes.lines):
        return strokes
    lonlat, index = shapely.get_coordinates(strokes.lines, return_index=True)
    lines = shapely.linestrings(frame.pixels(lonlat), indices=index)
    window = shapely.box(0, 0, frame.width_px, frame.height_px)
    shapely.prepare(window)
    inside = shapely.intersects(window, lines)
    lines = shapely.simplify(lines[inside], TOLERANCE_PX, preserve_topology=False)
    return Strokes(lines, strokes.owner[inside])
