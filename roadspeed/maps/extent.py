"""Where the roads of a map lie: their box on the globe, and which few lie far from all others.

Longitudes are a circle here: roads on both sides of the date line lie close together, and the box
begins behind the widest empty gap. A link at 0,0, or a handful of links far from the rest, would
shrink a town to a dot; they are told apart so that the frame can leave them out. Decides nothing
else, and never moves a coordinate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.maps.strokes import Floats, Objects, Strokes

Bounds = tuple[float, float, float, float]

FEW_SHARE, FEW_OF_SMALL, FEW_MOST = 0.001, 0.1, 5  # of the lines; or a tenth of them, 5 at most
FAR_TIMES, FAR_DEGREES = 8.0, 1.0  # as far as what holds all others, and so much at least
NEAR_DEGREES = 0.02  # a spread below it counts as this much
NULL_DEGREES = 0.01  # from 0,0, in the sea, where failed geocoders put things
NULL_APART_DEGREES = 5.0  # the other roads' distance from there
SPREAD = 0.1  # length of a median of unit vectors, below which roads lie all over the globe
CELL_DEGREES = 0.5  # fine enough to find the middle of a wide map


def boxes_of(lines: Objects) -> Floats:
    """West, south, east, north of each line, float64[k, 4], in degrees.

    West is in -180..180 and east not below it: a line across the date line ends beyond 180.
    """
    import shapely  # noqa: PLC0415 - heavy: only for those who draw

    boxes: Floats = shapely.bounds(lines).reshape(len(lines), 4)
    wide = np.flatnonzero(boxes[:, 2] - boxes[:, 0] > 180.0)  # noqa: PLR2004 - half a circle
    if len(wide):
        turned = shapely.transform(lines[wide], lambda xy: np.mod(xy, (360.0, np.inf)))
        boxes[wide, 0::2] = shapely.bounds(turned)[:, 0::2]
    turns = np.floor((boxes[:, :1] + 180.0) / 360.0) * 360.0
    boxes[:, 0::2] -= turns
    return boxes


def bounds_of(boxes: Floats) -> Bounds:
    """West, south, east, north of all boxes together; east is at most 360 beyond west."""
    west, east = window_of(boxes[:, 0], boxes[:, 2])
    return west, float(boxes[:, 1].min()), east, float(boxes[:, 3].max())


def window_of(west: Floats, east: Floats) -> tuple[float, float]:
    """Return the shortest stretch of the circle of longitudes that holds some stretches of it."""
    order = np.argsort(west, kind="stable")
    west, reach = west[order], np.maximum.accumulate(east[order])
    gaps = west[1:] - reach[:-1]
    last = west[0] + 360.0 - reach[-1]
    at = int(gaps.argmax()) if len(gaps) else 0
    if not len(gaps) or last >= gaps[at]:
        first, end = float(west[0]), float(reach[-1])
    else:
        first, end = float(west[at + 1]), float(max(reach[-1], reach[at] + 360.0))
    return (-180.0, 180.0) if end - first >= 360.0 else (first, end)  # noqa: PLR2004 - a circle


def strays_of(strokes: Strokes, boxes: Floats) -> npt.NDArray[np.bool_]:
    """Which lines lie so far from all others, and are so few, that a frame leaves them out.

    Parameters
    ----------
    strokes, boxes
        Lines in degrees, and `boxes_of` them.

    Returns
    -------
    bool[k]
        Lines at 0,0 where the others lie elsewhere; and at most one in a thousand lines (of a
        small number: one in ten, up to five) that lie 8 times as far from the middle as all
        others do. Never all of them.
    """
    import shapely  # noqa: PLC0415 - heavy: only for those who draw

    middles = _vectors((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
    strays = np.asarray(shapely.dwithin(strokes.lines, shapely.Point(0.0, 0.0), NULL_DEGREES))
    if strays.all() or _degrees(_median(middles[~strays]), (1.0, 0.0, 0.0)) < NULL_APART_DEGREES:
        strays[:] = False
    rest = np.flatnonzero(~strays)
    strays[rest[_far(middles[rest])]] = True
    return strays


def _far(middles: Floats) -> npt.NDArray[np.int64]:
    """Positions of the few that lie far from the rest."""
    none = np.zeros(0, dtype=np.int64)
    count, centre = len(middles), _median(middles)
    few = max(int(FEW_SHARE * count), min(FEW_MOST, int(FEW_OF_SMALL * count)))
    if not few or np.linalg.norm(centre) < SPREAD:
        return none
    away = _degrees(middles, centre)
    order = np.argsort(away, kind="stable")
    last = away[order][count - few - 1 :]
    near = np.maximum(last[:-1], NEAR_DEGREES)
    jumps = np.flatnonzero((last[1:] > FAR_TIMES * near) & (last[1:] - near > FAR_DEGREES))
    return order[count - few + jumps[0] :] if len(jumps) else none


def cap_of(points: Floats) -> tuple[float, float, float]:
    """Longitude, latitude and radius, in degrees, of a small circle of the globe around points.

    Parameters
    ----------
    points
        float64[m, 2], longitude and latitude; the circle is within a cell of the least one.

    Notes
    -----
    Bădoiu and Clarkson, *Smaller core-sets for balls* (SODA 2003): step towards the farthest
    point, by an ever smaller share.
    """
    marked = np.zeros((round(360 / CELL_DEGREES), round(180 / CELL_DEGREES) + 1), dtype=bool)
    cells = np.rint(points / CELL_DEGREES).astype(np.int64)
    marked[cells[:, 0] % len(marked), cells[:, 1] + marked.shape[1] // 2] = True
    east, up = np.nonzero(marked)
    vectors = _vectors(east * CELL_DEGREES, (up - marked.shape[1] // 2) * CELL_DEGREES)
    centre = vectors.mean(axis=0)
    for step in range(100):
        far = ((vectors - centre) ** 2).sum(axis=1).argmax()
        centre = centre + (vectors[far] - centre) / (step + 2)
    if np.linalg.norm(centre) < SPREAD:
        return float(np.mean([points[:, 0].min(), points[:, 0].max()])), 0.0, 180.0
    radius = float(np.max(_degrees(vectors, centre)))
    lon = float(np.degrees(np.arctan2(centre[1], centre[0])))
    lat = float(np.degrees(np.arctan2(centre[2], np.hypot(centre[0], centre[1]))))
    return lon, lat, radius


def _vectors(lon: npt.NDArray[Any], lat: npt.NDArray[Any]) -> Floats:
    lon, lat = np.radians(lon), np.radians(lat)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _median(vectors: Floats) -> Floats:
    """Return the median of each component: where most are, whatever a few do."""
    found: Floats = np.median(vectors, axis=0)
    return found


def _degrees(vectors: Floats, centre: npt.ArrayLike) -> Floats:
    """Return degrees of arc between vectors and one direction."""
    direction = np.asarray(centre, dtype=np.float64)
    length = float(np.linalg.norm(direction)) or 1.0
    apart = np.linalg.norm(vectors - direction / length, axis=-1)
    found: Floats = np.degrees(2 * np.arcsin(np.minimum(apart / 2, 1.0)))
    return found
