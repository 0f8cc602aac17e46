"""Fixes, as they are measured: arrays of one length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mapreduce import Array
    from roadspeed.statistics import Floats, Ints


@dataclass(frozen=True, slots=True)
class Fixes:
    """Kept fixes of an object; for traversals in the order in which they were driven.

    Attributes
    ----------
    link
        int64[n] or `S`[n].
    speed_um
        int64[n], micro-units.
    trip
        `S`[n]; None where the object is one trip.
    time_us, timed
        int64[n], microseconds since 1970 in UTC, and bool[n], where there is one; None without.
    direction
        int64[n] cells of `direction`; None where it is not told.
    limit_um, limited
        int64[n] posted limit, and bool[n], where there is one; None without.
    latitude, longitude
        float64[n], degrees; None where positions are not read.
    """

    link: Array
    speed_um: Ints
    trip: Array | None = None
    time_us: Ints | None = None
    timed: Array | None = None
    direction: Ints | None = None
    limit_um: Ints | None = None
    limited: Array | None = None
    latitude: Floats | None = None
    longitude: Floats | None = None

    def trips_at(self, rows: Array | slice) -> dict[str, Array]:
        """Give the trips of some fixes, as a table that counts them takes them."""
        return {} if self.trip is None else {"trip": self.trip[rows]}
