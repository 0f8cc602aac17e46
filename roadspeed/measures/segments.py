"""The segments of links: which is nearest to a fix, and which way it says a link was driven. Pure.

A heading within 60 degrees of a course is forward, within 60 of its opposite backward, and across
it neither. Distances count in whole millimetres, so of two segments that meet at the nearest vertex
every machine takes the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from roadspeed.measures.bearings import HALF_TURN, MICRODEGREES, bearing, turn, wrapped
from roadspeed.measures.courses import UNITS_A_DEGREE
from roadspeed.positions import EARTH_RADIUS_M, MM

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from roadspeed.measures.courses import Courses

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

UNKNOWN, FORWARD, BACKWARD = 0, 1, 2
NAMES: Final = ("unknown", "forward", "backward")  # of these cells, as they are typed and written
WITHIN: Final = 60 * MICRODEGREES  # of the course
ROUNDING: Final = 2  # microdegrees, of two angles
PAIRS: Final = 1 << 19  # of a fix and a segment that are looked at together
NUMBER_BITS: Final = 24  # of a segment in its link
MM_A_UNIT: Final = np.pi / 180 * EARTH_RADIUS_M * MM / UNITS_A_DEGREE


class Segments:
    """The segments of some links, by their rows in the courses."""

    def __init__(self, courses: Courses, rows: Ints) -> None:
        first, stop = courses.starts[rows], courses.starts[rows + 1]
        count = np.maximum(stop - first - 1, 0)
        vertex = _ranges(first, count)
        of = np.repeat(np.arange(len(rows)), count)
        lon, lat = courses.lon[vertex].astype(np.int64), courses.lat[vertex].astype(np.int64)
        east = wrapped(courses.lon[vertex + 1] - lon, UNITS_A_DEGREE)
        north = courses.lat[vertex + 1] - lat
        drawn = (east != 0) | (north != 0)
        drawn &= ~np.isin(vertex + 1, courses.breaks, assume_unique=True)
        of, lon, lat, east, north = (a[drawn] for a in (of, lon, lat, east, north))
        self._lon, self._lat, self._east, self._north = lon, lat, east, north
        self._count = np.bincount(of, minlength=len(rows))
        self._first = np.cumsum(self._count) - self._count
        x = east * np.cos(np.radians((lat + north / 2) / UNITS_A_DEGREE))
        self._course = bearing(x, north)
        # The sum of a link's segments is its chord.
        x, y = (np.bincount(of, weights=along, minlength=len(rows)) for along in (x, north))
        self._chord = bearing(x, y)
        self._spread = np.zeros(len(rows), np.int64)
        np.maximum.at(self._spread, of, turn(self._course, self._chord[of]))

    def along_whole(self, of: Ints, heading: Floats) -> Ints:
        """Give the directions of fixes on the links `of` by the links' chords."""
        straight = (self._spread[of] <= WITHIN) & (self._count[of] > 0)
        return np.where(straight, _verdict(turn(heading, self._chord[of])), UNKNOWN)

    def along_nearest(self, of: Ints, heading: Floats, lat: Floats, lon: Floats) -> Ints:
        """Give the directions of fixes on the links `of` by the segments nearest to them."""
        angle, spread = turn(heading, self._chord[of]), self._spread[of]
        # Where every segment of the link says the same it does not matter which is nearest.
        low, high = angle - spread - ROUNDING, angle + spread + ROUNDING
        across = (low >= WITHIN) & (high <= HALF_TURN - WITHIN)
        same = (high < WITHIN) | (low > HALF_TURN - WITHIN) | across
        found = np.where(self._count[of] > 0, _verdict(angle), UNKNOWN)
        open_ = np.flatnonzero(~same & (self._count[of] > 0))
        for part in _parts(self._count[of[open_]]):
            some = open_[part]
            nearest = self._nearest(of[some], lat[some], lon[some])
            found[some] = _verdict(turn(heading[some], self._course[nearest]))
        return found

    def _nearest(self, of: Ints, lat: Floats, lon: Floats) -> Ints:
        """Give the segment of its link that is nearest to each position; the first of equals."""
        count = self._count[of]
        pair = _ranges(self._first[of], count)
        fix = np.repeat(np.arange(len(of)), count)
        scale = np.cos(np.radians(lat))[fix]
        x = wrapped(self._lon[pair] - (lon * UNITS_A_DEGREE)[fix], UNITS_A_DEGREE) * scale
        y = self._lat[pair] - (lat * UNITS_A_DEGREE)[fix]
        dx, dy = self._east[pair] * scale, self._north[pair]
        along = np.clip(-(x * dx + y * dy) / (dx * dx + dy * dy), 0.0, 1.0)
        off_mm = np.rint(np.hypot(x + along * dx, y + along * dy) * MM_A_UNIT).astype(np.int64)
        begins = np.cumsum(count) - count
        number = np.arange(len(pair)) - begins[fix]
        best = np.minimum.reduceat((off_mm << NUMBER_BITS) | number, begins)
        return np.asarray(self._first[of] + (best & ((1 << NUMBER_BITS) - 1)))


def _ranges(first: Ints, count: Ints) -> Ints:
    """Give the numbers of ranges, one after the other."""
    begins = np.cumsum(count) - count
    ranges: Ints = np.arange(count.sum()) + np.repeat(first - begins, count)
    return ranges


def _parts(count: Ints) -> Iterator[slice]:
    """Divide fixes into parts of at most `PAIRS` pairs, or of one fix."""
    start, pairs = 0, np.cumsum(count)
    while start < len(count):
        done = pairs[start - 1] if start else 0
        stop = max(int(np.searchsorted(pairs, done + PAIRS, "right")), start + 1)
        yield slice(start, stop)
        start = stop


def _verdict(angle: Ints) -> Ints:
    """Give the directions that angles with the course mean."""
    backward = np.where(angle > HALF_TURN - WITHIN, BACKWARD, UNKNOWN)
    found: Ints = np.where(angle < WITHIN, FORWARD, backward).astype(np.int64)
    return found
