"""Which way a link was driven: forward, from its first vertex to its last, or backward.

A heading is compared with the course of the link: that of the link's segment nearest to the fix;
without a position that of the link as a whole, if none of its segments turns away from it by more
than 60 degrees. Where a fix has no heading its trip's stay on the link may say. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roadspeed.measures.nearest_known import nearest_known
from roadspeed.measures.segments import BACKWARD, FORWARD, NAMES, UNKNOWN, Segments

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.measures.courses import Courses

    Array = npt.NDArray[np.generic]
    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

__all__ = ["BACKWARD", "FORWARD", "NAMES", "UNKNOWN", "directions", "from_sign", "held"]


def directions(
    courses: Courses,
    link: Array,
    heading_deg: Floats,
    lat: Floats | None = None,
    lon: Floats | None = None,
) -> Ints:
    """Find which way the links of fixes were driven.

    Parameters
    ----------
    courses
        The lines of links.
    link
        int64[n] or text (`S`)[n], as the ids of `courses` are.
    heading_deg
        float64[n], degrees clockwise from north; NaN where it is not known.
    lat, lon
        float64[n], degrees; NaN where a position is not known. None: no fix has one.

    Returns
    -------
    int64[n]
        `FORWARD`, `BACKWARD`, or `UNKNOWN`: no such link, no heading, or one across the link.

    Raises
    ------
    ValueError
        Links are integers and ids are text, or the other way round.
    """
    if link.dtype.kind != courses.link.dtype.kind:
        raise ValueError(f"expected links as {courses.link.dtype}, got {link.dtype}")
    found = np.zeros(len(link), np.int64)
    if not len(courses) or not len(link):
        return found
    rows, of = _rows(courses.link, link)
    fixes = np.flatnonzero((of >= 0) & np.isfinite(heading_deg))
    of = of[fixes]
    segments = Segments(courses, rows)
    heading = heading_deg[fixes]
    found[fixes] = segments.along_whole(of, heading)
    if lat is not None and lon is not None:
        at = np.flatnonzero(np.isfinite(lat[fixes]) & np.isfinite(lon[fixes]))
        place = fixes[at]
        found[place] = segments.along_nearest(of[at], heading[at], lat[place], lon[place])
    return found


def from_sign(link: Ints) -> Ints:
    """Take the sign of ids for the direction: positive is forward, negative backward; int64[n]."""
    behind = np.where(link < 0, BACKWARD, UNKNOWN)
    found: Ints = np.where(link > 0, FORWARD, behind).astype(np.int64)
    return found


def held(direction: Ints, trip: Array | None, link: Array, apart: Mask | None = None) -> Ints:
    """Give fixes whose direction is unknown that of their trip's stay on the link.

    It is that of the last fix before in the same stay that has one, else of the first after. A
    vehicle that waits at lights has no heading, and still waits on one side of the road: without
    this the slowest fixes would be missing from the means of both directions.

    Parameters
    ----------
    direction
        int64[n].
    trip, link, apart
        As for `headings` and `directions`; a stay ends where any of them begins anew.
    """
    begins = np.ones(len(direction), np.bool_)
    begins[1:] = link[1:] != link[:-1]
    if trip is not None:
        begins[1:] |= trip[1:] != trip[:-1]
    if apart is not None:
        begins |= apart
    return np.asarray(direction[nearest_known(direction != UNKNOWN, begins)])


def _rows(ids: Array, link: Array) -> tuple[Ints, Ints]:
    """Look links up: the rows of those that there are, and each fix's place in these, or -1."""
    begins = np.flatnonzero(np.concatenate([np.ones(1, np.bool_), link[1:] != link[:-1]]))
    stays = link[begins]  # many fixes on a link follow each other
    row = np.minimum(np.searchsorted(ids, stays), len(ids) - 1)
    there = ids[row] == stays
    rows, places = np.unique(row[there], return_inverse=True)
    of = np.full(len(stays), -1, np.int64)
    of[there] = places
    return rows.astype(np.int64), np.repeat(of, np.diff(begins, append=len(link)))
