"""Which way a link was driven: forward, from its first vertex to its last, or backward.

A heading is compared with the course of the link: within 60 degrees of it is forward, within 60 of
its opposite backward, and across it neither. The course is that of the link's segment nearest to
the fix; without a position it is that of the link as a whole, if none of its segments turns away
from that by more than 60 degrees. Bearings are of a plane whose degrees of longitude are scaled by
the cosine of the latitude. Angles count in whole microdegrees and distances in whole millimetres,
so where a grid of streets makes two equal, every machine decides alike. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.measures.courses import UNITS_A_DEGREE
from roadspeed.positions import EARTH_RADIUS_M, MM, haversine_m

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from roadspeed.measures.courses import Courses

    Array = npt.NDArray[np.generic]
    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

UNKNOWN, FORWARD, BACKWARD = 0, 1, 2
MICRODEGREES: Final = 1_000_000
WITHIN: Final = 60 * MICRODEGREES  # of the course
HALF_TURN: Final = 180 * MICRODEGREES
PAIRS: Final = 1 << 19  # of a fix and a segment that are looked at together
LEAST_M: Final = 5.0
_MM_A_UNIT: Final = np.pi / 180 * EARTH_RADIUS_M * MM / UNITS_A_DEGREE


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
    """
    found = np.zeros(len(link), np.int64)
    if not len(courses) or not len(link):
        return found
    rows, of = _rows(courses.link, link)
    fixes = np.flatnonzero((of >= 0) & np.isfinite(heading_deg))
    of = of[fixes]
    segments = _Segments(courses, rows)
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


def headings(trip: Array | None, lat: Floats, lon: Floats, apart: Mask | None = None) -> Floats:
    """Find the course of movement at each fix, from the fix before to the fix after.

    At the beginning and end of a trip, and beside a gap, it is that of the only step there is.

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
    joined = np.ones(max(len(lat) - 1, 0), np.bool_)  # to the fix after
    if trip is not None:
        joined &= trip[1:] == trip[:-1]
    if apart is not None:
        joined &= ~apart[1:]
    before, after = at.copy(), at.copy()
    before[1:] -= joined
    after[:-1] += joined
    moved_m = haversine_m(lat[before], lon[before], lat[after], lon[after])
    east = (lon[after] - lon[before] + 180) % 360 - 180
    course = _bearing(east * np.cos(np.radians(lat)), lat[after] - lat[before])
    return np.where(moved_m >= LEAST_M, course, np.nan)


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


class _Segments:
    """The segments of some links, by their rows in the courses."""

    def __init__(self, courses: Courses, rows: Ints) -> None:
        first, stop = courses.starts[rows], courses.starts[rows + 1]
        count = np.maximum(stop - first - 1, 0)
        vertex = _ranges(first, count)
        of = np.repeat(np.arange(len(rows)), count)
        lon, lat = courses.lon[vertex].astype(np.int64), courses.lat[vertex].astype(np.int64)
        east = _wrapped(courses.lon[vertex + 1] - lon)
        north = courses.lat[vertex + 1] - lat
        drawn = (east != 0) | (north != 0)
        drawn &= ~np.isin(vertex + 1, courses.breaks, assume_unique=True)
        of, lon, lat, east, north = (a[drawn] for a in (of, lon, lat, east, north))
        self._lon, self._lat, self._east, self._north = lon, lat, east, north
        self._count = np.bincount(of, minlength=len(rows))
        self._first = np.cumsum(self._count) - self._count
        x = east * np.cos(np.radians((lat + north / 2) / UNITS_A_DEGREE))
        self._course = _bearing(x, north)
        # The sum of a link's segments is its chord.
        x, y = (np.bincount(of, weights=along, minlength=len(rows)) for along in (x, north))
        self._chord = _bearing(x, y)
        self._spread = np.zeros(len(rows), np.int64)
        np.maximum.at(self._spread, of, _turn(self._course, self._chord[of]))

    def along_whole(self, of: Ints, heading: Floats) -> Ints:
        """Give the directions of fixes on the links `of` by the links' chords."""
        straight = (self._spread[of] <= WITHIN) & (self._count[of] > 0)
        return np.where(straight, _verdict(_turn(heading, self._chord[of])), UNKNOWN)

    def along_nearest(self, of: Ints, heading: Floats, lat: Floats, lon: Floats) -> Ints:
        """Give the directions of fixes on the links `of` by the segments nearest to them."""
        turn, spread = _turn(heading, self._chord[of]), self._spread[of]
        # Where every segment of the link says the same it does not matter which is nearest.
        low, high = turn - spread - 2, turn + spread + 2  # microdegrees of rounding
        across = (low >= WITHIN) & (high <= HALF_TURN - WITHIN)
        same = (high < WITHIN) | (low > HALF_TURN - WITHIN) | across
        found = np.where(self._count[of] > 0, _verdict(turn), UNKNOWN)
        open_ = np.flatnonzero(~same & (self._count[of] > 0))
        for part in _parts(self._count[of[open_]]):
            some = open_[part]
            nearest = self._nearest(of[some], lat[some], lon[some])
            found[some] = _verdict(_turn(heading[some], self._course[nearest]))
        return found

    def _nearest(self, of: Ints, lat: Floats, lon: Floats) -> Ints:
        """Give the segment of its link that is nearest to each position; the first of equals."""
        count = self._count[of]
        pair = _ranges(self._first[of], count)
        fix = np.repeat(np.arange(len(of)), count)
        scale = np.cos(np.radians(lat))[fix]
        x = _wrapped(self._lon[pair] - (lon * UNITS_A_DEGREE)[fix]) * scale
        y = self._lat[pair] - (lat * UNITS_A_DEGREE)[fix]
        dx, dy = self._east[pair] * scale, self._north[pair]
        along = np.clip(-(x * dx + y * dy) / (dx * dx + dy * dy), 0.0, 1.0)
        off_mm = np.rint(np.hypot(x + along * dx, y + along * dy) * _MM_A_UNIT).astype(np.int64)
        begins = np.cumsum(count) - count
        number = np.arange(len(pair)) - begins[fix]
        best = np.minimum.reduceat((off_mm << _NUMBER_BITS) | number, begins)
        return np.asarray(self._first[of] + (best & ((1 << _NUMBER_BITS) - 1)))


_NUMBER_BITS: Final = 24  # of a segment in its link


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


def _wrapped(units: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Take the short way round the world, in 1e-7 degrees."""
    half = 180 * UNITS_A_DEGREE
    return np.asarray((units + half) % (2 * half) - half)


def _bearing(east: npt.NDArray[Any], north: npt.NDArray[Any]) -> Floats:
    """Give degrees clockwise from north."""
    return np.asarray(np.degrees(np.arctan2(east, north)) % 360)


def _turn(one: Floats, other: Floats) -> Ints:
    """Give the angles between bearings, 0 to 180 degrees, in microdegrees."""
    apart: Floats = np.abs((one - other + 180) % 360 - 180)
    return np.rint(apart * MICRODEGREES).astype(np.int64)


def _verdict(turn: Ints) -> Ints:
    """Give the directions that angles with the course mean."""
    backward = np.where(turn > HALF_TURN - WITHIN, BACKWARD, UNKNOWN)
    found: Ints = np.where(turn < WITHIN, FORWARD, backward).astype(np.int64)
    return found
