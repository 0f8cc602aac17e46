"""Lines in degrees to lines in pixels of a frame.

Lines outside the frame are left out, and what a pixel cannot show is simplified away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roadspeed.maps.strokes import Strokes

if TYPE_CHECKING:
    from roadspeed.maps.frame import Frame
    from roadspeed.maps.strokes import Floats, Ints

TOLERANCE_PX = 0.2
DOT_PX = 0.1  # a link of less length, a loop below a pixel say, is drawn as a dot


def on_page(strokes: Strokes, frame: Frame) -> Strokes:
    """Strokes in pixels of a frame, without those that lie outside of it altogether.

    A line that crosses the seam of a map of the world is cut there in two.
    """
    import shapely  # noqa: PLC0415 - heavy: only for those who draw

    if not len(strokes.lines):
        return strokes
    lonlat, index = shapely.get_coordinates(strokes.lines, return_index=True)
    owner = strokes.owner
    if frame.projection.seam is not None:
        lonlat, index, parents = cut_at(lonlat, index, frame.projection.seam)
        owner = owner[parents]
    pixels = frame.pixels(lonlat)
    torn = np.zeros(len(owner), dtype=bool)  # on the other side of the earth
    torn[index[~np.isfinite(pixels).all(axis=1)]] = True
    whole = ~torn[index]
    lines = np.empty(len(owner), dtype=object)
    lines[~torn] = shapely.linestrings(pixels[whole], indices=np.cumsum(~torn)[index[whole]] - 1)
    window = shapely.box(0, 0, frame.width_px, frame.height_px)
    shapely.prepare(window)
    inside = shapely.intersects(window, lines)
    lines = shapely.simplify(lines[inside], TOLERANCE_PX, preserve_topology=False)
    dots = np.flatnonzero(shapely.length(lines) < DOT_PX)  # of no length, nothing would be painted
    if len(dots):
        x, y = shapely.get_x(at := shapely.centroid(lines[dots])), shapely.get_y(at)
        ends = [np.column_stack([x + away, y]) for away in (-DOT_PX / 2, DOT_PX / 2)]
        lines[dots] = shapely.linestrings(np.stack(ends, axis=1))
    return Strokes(lines, owner[inside])


def cut_at(lonlat: Floats, index: Ints, seam: float) -> tuple[Floats, Ints, Ints]:
    """Cut lines where they cross a meridian.

    Parameters
    ----------
    lonlat, index
        float64[m, 2] in degrees and int64[m], the line that each point is of, ascending.
    seam
        The meridian.

    Returns
    -------
    lonlat, index
        As given, with two points more for each crossing and the lines numbered anew.
    parents
        int64[k], for each line now the line it was.
    """
    middle = seam - 180.0
    away = (lonlat[:, 0] - middle + 180.0) % 360.0 - 180.0
    step = np.diff(away)
    (at,) = np.nonzero((np.diff(index) == 0) & (np.abs(step) > 180.0))  # noqa: PLR2004 - half a turn
    side = np.sign(away[at])
    share = (180.0 - np.abs(away[at])) / (360.0 - np.abs(step[at]))
    lat = lonlat[at, 1] + share * (lonlat[at + 1, 1] - lonlat[at, 1])
    near = 180.0 - 1e-9  # a point on the seam itself could be on either side
    ends = np.stack([np.column_stack([middle + side * near, lat]),
                     np.column_stack([middle - side * near, lat])], axis=1)  # fmt: skip
    cut = np.insert(lonlat, np.repeat(at + 1, 2), ends.reshape(-1, 2), axis=0)
    parent = np.insert(index, np.repeat(at + 1, 2), np.repeat(index[at], 2))
    begins = np.concatenate([[True], np.diff(parent) != 0])
    begins[at + 2 + 2 * np.arange(len(at))] = True  # the second of each pair
    numbers = np.cumsum(begins) - 1
    return cut, numbers, parent[begins]
