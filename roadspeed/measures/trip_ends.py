"""The ends of trips: fixes near a trip's first or last position, often somebody's home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roadspeed.positions import haversine_m

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]
    Floats = npt.NDArray[np.float64]


def near_ends(trip: Array | None, lat: Floats, lon: Floats, metres: float) -> npt.NDArray[np.bool_]:
    """Say which fixes are within some metres, in a straight line, of an end of their trip: bool[n].

    Parameters
    ----------
    trip
        [n]: each trip's fixes follow each other, in the order in which they were driven. None: all
        are one.
    lat, lon
        float64[n], degrees.
    metres
        How far an end reaches.
    """
    n = len(lat)
    begins = np.zeros(n, np.bool_)
    begins[:1] = True
    if trip is not None:
        begins[1:] = trip[1:] != trip[:-1]
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=n)
    near = np.zeros(n, np.bool_)
    for ends in (starts, starts + lengths - 1):
        at = np.repeat(ends, lengths)
        near |= haversine_m(lat, lon, lat[at], lon[at]) < metres
    return near
