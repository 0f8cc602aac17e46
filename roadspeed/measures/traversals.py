"""Traversals: a trip's unbroken stays on links.

A traversal is a longest run of fixes of one trip on one link that follow each other, no two of them
by more than a gap. What was dropped is not seen: it neither ends a traversal nor prolongs it. While
a vehicle is parked at the beginning or end of a trip it traverses nothing: the first and last fixes
of a trip that are slower than `standing` belong to no traversal, and a trip that never moves has
none. Where it stands in between, at lights or in a jam, it does. Pure; all sums are of integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roadspeed.positions import MM, haversine_m

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]
    Ints = npt.NDArray[np.int64]
    Indices = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

UNKNOWN_MM = -1


@dataclass(frozen=True, slots=True, eq=False)
class Traversals:
    """Traversals, in the order of their fixes: arrays of length k.

    Attributes
    ----------
    first, last
        intp[k], where its first and last fix is among those given; all between are its own.
    fixes
        int64[k].
    speed_um
        int64[k], the mean speed of its fixes, rounded half up. Where fixes come at equal intervals
        it is distance over time.
    duration_us
        int64[k], from the first fix to the last: 0 where there is one. None without times.
    """

    first: Indices
    last: Indices
    fixes: Ints
    speed_um: Ints
    duration_us: Ints | None

    def __len__(self) -> int:
        return len(self.first)

    def distance_mm(self, lat: Floats, lon: Floats) -> Ints:
        """Measure along the fixes of each, from the first to the last.

        The sum of distances over the sum of durations is the space-mean speed of many traversals
        (Wardrop, 1952; Edie, 1963); one of a single fix weighs nothing in it.

        Parameters
        ----------
        lat, lon
            float64[n], degrees, of the fixes that `traversals` was given; NaN where one has none.

        Returns
        -------
        int64[k]
            Millimetres: great circles between neighbours that have a position. `UNKNOWN_MM` where
            the first or last has none.
        """
        there = np.isfinite(lat) & np.isfinite(lon)
        placed = np.flatnonzero(there)
        lat, lon = lat[placed], lon[placed]
        steps = np.rint(haversine_m(lat[:-1], lon[:-1], lat[1:], lon[1:]) * MM).astype(np.int64)
        passed = np.concatenate([np.zeros(1, np.int64), np.cumsum(steps)])
        known = there[self.first] & there[self.last]
        first, last = (
            np.searchsorted(placed, np.where(known, x, 0)) for x in (self.first, self.last)
        )
        return np.where(known, passed[last] - passed[first], UNKNOWN_MM)


def traversals(
    trip: Array | None,
    link: Array,
    speed_um: Ints,
    time_us: Ints | None,
    max_gap_us: int,
    standing_um: int,
) -> Traversals:
    """Find the traversals of fixes.

    Parameters
    ----------
    trip
        Anything that compares, [n]: each trip's fixes follow each other. None: all are one.
    link
        int64[n], or text (`S`)[n].
    speed_um
        int64[n], micro-units, at least 0.
    time_us
        int64[n], microseconds, ascending in each trip. None: the order is that given, and there are
        no gaps.
    max_gap_us
        A fix that comes later than this after the one before begins another traversal.
    standing_um
        Slower than this is standing.
    """
    begins_trip = _changes(trip, len(link))
    driven = _driven(begins_trip, speed_um >= standing_um)
    begins = begins_trip | _changes(link, len(link))
    if time_us is not None:
        begins[1:] |= np.diff(time_us) > max_gap_us
    begins[1:] |= ~driven[:-1]
    ends = np.ones(len(link), np.bool_)
    ends[:-1] = begins[1:] | ~driven[1:]
    first, last = np.flatnonzero(begins & driven), np.flatnonzero(ends & driven)
    fixes = (last - first + 1).astype(np.int64)
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(speed_um)])
    total = total[last + 1] - total[first]
    return Traversals(
        first=first,
        last=last,
        fixes=fixes,
        speed_um=(2 * total + fixes) // (2 * fixes),
        duration_us=None if time_us is None else time_us[last] - time_us[first],
    )


def _changes(values: Array | None, n: int) -> Mask:
    """Say where a value differs from the one before: bool[n], and True for the first."""
    found = np.zeros(n, np.bool_)
    found[:1] = True
    if values is not None:
        found[1:] = values[1:] != values[:-1]
    return found


def _driven(begins_trip: Mask, moves: Mask) -> Mask:
    """Say which fixes lie between the first and last of their trip that move, these included."""
    starts = np.flatnonzero(begins_trip)
    count: Ints = np.cumsum(moves)
    before: Ints = (count - moves)[starts]
    after = np.append(before[1:], count[-1:])
    lengths = np.diff(starts, append=len(moves))
    so_far: Ints = count - np.repeat(before, lengths)
    in_all: Ints = np.repeat(after - before, lengths)
    return np.asarray((so_far > 0) & (so_far - moves < in_all))
