"""Headings of data that has none: the course of movement from fix to fix. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from roadspeed.measures.bearings import bearing, wrapped
from roadspeed.positions import haversine_m

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]
    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

LEAST_M: Final = 3.0  # of movement: less than that says more of errors of positions


def headings(trip: Array | None, lat: Floats, lon: Floats, apart: Mask | None = None) -> Floats:
    """Find the course of movement at each fix, from the fix before to the fix after.

    At the beginning and end of a trip, and beside a gap or a fix without a position, it is that of
    the only step there is.

    Parameters
    ----------
    trip
        Anything that compares, [n]: each trip's fixes follow each other by time. None: all are one.
    lat, lon
        float64[n], degrees; NaN where a position is not known.
    apart
        bool[n], fixes that come after a gap: the step to them says nothing.

    Returns
    -------
    float64[n]
        Degrees clockwise from north; NaN where it moved less than `LEAST_M`.
    """
    at = np.arange(len(lat))
    there = np.isfinite(lat) & np.isfinite(lon)
    joined = there[1:] & there[:-1]  # to the fix after
    if trip is not None:
        joined &= trip[1:] == trip[:-1]
    if apart is not None:
        joined &= ~apart[1:]
    before, after = at.copy(), at.copy()
    before[1:] -= joined
    after[:-1] += joined
    moved_m = haversine_m(lat[before], lon[before], lat[after], lon[after])
    east = wrapped(lon[after] - lon[before])
    course = bearing(east * np.cos(np.radians(lat)), lat[after] - lat[before])
    return np.where(moved_m >= LEAST_M, course, np.nan)
