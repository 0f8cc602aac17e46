"""The way that a trace was matched to: a line, the edges along it, and places on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.positions import haversine_m

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

METRES_A_DEGREE: Final = 111_195.0
KM: Final = 1_000.0
ROUGH_M, ROUGH = 2.0, 0.02  # by how much an edge's line and its length may differ


@dataclass(frozen=True, slots=True)
class Places:
    """Places on a route: for each its edge, metres from the route's beginning, and where it is.

    Attributes
    ----------
    edge
        int64[n].
    at_m, off_m, lon, lat
        float64[n]; `off_m` is how far from the place the position was that is put there.
    """

    edge: Ints
    at_m: Floats
    off_m: Floats
    lon: Floats
    lat: Floats


class Route:
    """What Valhalla gives for a trace.

    Parameters
    ----------
    line
        Longitudes and latitudes.
    edges
        In the order in which they are driven, each with its places in the line.
    points
        The places that positions were matched to, each with its edge, in their order.

    Attributes
    ----------
    known
        bool[edges], False where the line does not say where an edge begins.
    legs
        int64[edges], counting from 0: where no way leads on from one edge to the next, a new leg
        begins. The line leaps there to the second vertex of the edge; nothing else tells, but that
        it is longer than the edge. The leg really begins at its first point.
    """

    def __init__(
        self,
        line: Sequence[tuple[float, float]],
        edges: Sequence[dict[str, Any]],
        points: Sequence[dict[str, Any]],
    ) -> None:
        self._lon, self._lat = np.array(line, dtype=np.float64).reshape(-1, 2).T
        self._at_m = self._measured()
        self._first = np.array([edge["begin_shape_index"] for edge in edges], dtype=np.int64)
        self._stop = np.array([edge["end_shape_index"] for edge in edges], dtype=np.int64)
        said_m = np.array([edge["length"] for edge in edges]) * KM
        line_m = self._at_m[self._stop] - self._at_m[self._first]
        leaps = line_m > said_m * (1 + ROUGH) + ROUGH_M
        leaps[:1] = False
        self.legs: Ints = np.cumsum(leaps)
        self.known = ~leaps
        for edge in np.flatnonzero(leaps).tolist():
            self._begin_at(edge, next((p for p in points if p.get("edge_index") == edge), None))
        if leaps.any():
            self._at_m = self._measured()

    def _measured(self) -> Floats:
        """Give the metres from the line's beginning to each vertex."""
        steps = haversine_m(self._lat[:-1], self._lon[:-1], self._lat[1:], self._lon[1:])
        return np.concatenate([[0.0], np.cumsum(steps)])

    def _begin_at(self, edge: int, point: dict[str, Any] | None) -> None:
        """Have an edge begin at a point, and not where the one before ends."""
        if point is None:
            return
        self.known[edge] = True
        place = int(self._first[edge]) + 1
        self._lon = np.insert(self._lon, place, point["lon"])
        self._lat = np.insert(self._lat, place, point["lat"])
        self._first[edge:] += 1
        self._stop[edge:] += 1

    def middle_of(self, edge: int) -> tuple[float, float]:
        """Give the middle of an edge's middle piece, longitude and latitude: none of its ends."""
        first, stop = int(self._first[edge]), int(self._stop[edge])
        place = (first + stop + 1) // 2
        before = max(first, place - 1)
        lon, lat = (float(x[before] + x[place]) / 2 for x in (self._lon, self._lat))
        return lon, lat

    def longest_of(self, edge: int) -> tuple[Floats, float]:
        """Give an edge's longest piece, longitudes and latitudes of its ends, and its metres."""
        first, stop = int(self._first[edge]), int(self._stop[edge])
        if stop <= first:
            return np.zeros((2, 2)), 0.0
        long_m = np.diff(self._at_m[first : stop + 1])
        place = first + int(np.argmax(long_m))
        ends = slice(place, place + 2)
        return np.column_stack([self._lon[ends], self._lat[ends]]), float(long_m.max())

    def nearest(self, first: Ints, last: Ints, lon: Floats, lat: Floats) -> Places:
        """Put positions on the nearest place of the edges from `first` to `last`, each its own."""
        start = np.minimum(self._first[first], len(self._lon) - 2)
        count = np.maximum(self._stop[last] - start, 1)
        before = np.cumsum(count) - count
        of = np.repeat(np.arange(len(lon)), count)
        piece = np.arange(count.sum()) + np.repeat(start - before, count)
        scale = np.cos(np.radians(lat))[of]
        x, y = (self._lon[piece] - lon[of]) * scale, self._lat[piece] - lat[of]
        dx = (self._lon[piece + 1] - self._lon[piece]) * scale
        dy = self._lat[piece + 1] - self._lat[piece]
        length = dx * dx + dy * dy
        along = np.clip(-(x * dx + y * dy) / np.where(length > 0, length, 1.0), 0.0, 1.0)
        off = (x + along * dx) ** 2 + (y + along * dy) ** 2
        least = np.flatnonzero(off == np.minimum.reduceat(off, before)[of])
        _, once = np.unique(of[least], return_index=True)  # the first of equal ones
        best = least[once]
        piece, along = piece[best], along[best]
        return Places(
            np.searchsorted(self._first, piece, "right") - 1,
            _between(self._at_m, piece, along),
            np.sqrt(off[best]) * METRES_A_DEGREE,
            _between(self._lon, piece, along),
            _between(self._lat, piece, along),
        )


def _between(values: Floats, piece: Ints, along: Floats) -> Floats:
    """Give values a share of the way from one vertex to the next."""
    return values[piece] + along * (values[piece + 1] - values[piece])
