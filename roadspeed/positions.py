"""Speeds from positions and times: each fix's own, over the way from the fix before.

The distance of two fixes is that of the great circle on a sphere of 6,371,008.8 m (the mean radius
R1 of WGS 84; Moritz, Geodetic Reference System 1980) by the haversine formula (Sinnott, 1984), in
whole millimetres; the time is in whole microseconds. So a speed is a quotient of integers, and the
same on every machine unless sines differ in the last bit just where a millimetre rounds. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

EARTH_RADIUS_M: Final = 6_371_008.8
MM: Final = 1000  # in a metre
US_A_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Steps:
    """The way to each fix from the one before, in an order in which each trip's fixes follow.

    Attributes
    ----------
    first
        bool[n], fixes before which their trip has none.
    distance_mm, time_us
        int64[n], 0 for those.
    """

    first: Mask
    distance_mm: Ints
    time_us: Ints

    def speeds(self) -> Floats:
        """Give metres a second: float64[n], NaN where no time passed."""
        passed = self.time_us > 0
        time_us = np.where(passed, self.time_us, 1)
        speeds = self.distance_mm * (US_A_SECOND // MM) / time_us
        return np.where(passed, speeds, np.nan)


def in_order(trip: npt.NDArray[np.generic] | None, time_us: Ints) -> npt.NDArray[np.intp]:
    """Order fixes by trip, time, and place: stable. Without trips all are one."""
    return np.lexsort((time_us,) if trip is None else (time_us, trip))


def steps(trip: npt.NDArray[np.generic] | None, lat: Floats, lon: Floats, time_us: Ints) -> Steps:
    """Give the steps of fixes in the order of `in_order`; degrees, and microseconds."""
    first = np.zeros(len(lat), dtype=np.bool_)
    first[:1] = True
    if trip is not None:
        first[1:] = trip[1:] != trip[:-1]
    distance_mm = np.zeros(len(lat), np.int64)
    distance_mm[1:] = np.rint(haversine_m(lat[:-1], lon[:-1], lat[1:], lon[1:]) * MM)
    time_passed = np.diff(time_us, prepend=time_us[:1])
    return Steps(first, np.where(first, 0, distance_mm), np.where(first, 0, time_passed))


def haversine_m(lat: Floats, lon: Floats, to_lat: Floats, to_lon: Floats) -> Floats:
    """Give the distances of pairs of points on the sphere, in metres; degrees in."""
    lat, lon, to_lat, to_lon = map(np.radians, (lat, lon, to_lat, to_lon))
    half = np.sin((to_lat - lat) / 2) ** 2
    half += np.cos(lat) * np.cos(to_lat) * np.sin((to_lon - lon) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(half, 1.0))))
