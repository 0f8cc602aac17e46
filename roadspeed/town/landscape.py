"""The ground before any road: coast, river, the motorway's line, and where people live.

Doggerhaven lies on the Dogger Bank in the North Sea, where there is nothing but water today:
no real street can be mistaken for one of it. Coordinates are metres east and north of the
market square; `to_wgs84` places them on a sphere's tangent (good to centimetres over a town).
Nothing here makes a road.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from roadspeed.town.curves import Line, normals, through

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORIGIN_LON = 2.31
ORIGIN_LAT = 54.72
_M_PER_DEGREE_LAT = 111_320.0
_M_PER_DEGREE_LON = _M_PER_DEGREE_LAT * math.cos(math.radians(ORIGIN_LAT))


def to_wgs84(xy: Line) -> Line:
    """Longitude and latitude (n, 2), degrees WGS 84, of metres east and north (n, 2)."""
    return np.column_stack(
        (ORIGIN_LON + xy[:, 0] / _M_PER_DEGREE_LON, ORIGIN_LAT + xy[:, 1] / _M_PER_DEGREE_LAT)
    )


@dataclass(frozen=True, slots=True)
class Landscape:
    """Coast, river, motorway line and settlement of one town, in metres.

    `size` is the factor by which the town is longer and wider than the default.
    """

    size: float
    coast: Line
    river: Line
    river_half_width_m: NDArray[np.float64]
    motorway: Line
    villages: Line
    phases: NDArray[np.float64]

    @classmethod
    def shape(cls, rng: np.random.Generator, size: float) -> Landscape:
        """Draw the ground for a town `size` times as wide as the default."""
        phases = rng.uniform(0.0, 2 * math.pi, 8)
        y = np.linspace(-9000.0, 9000.0, 400)
        east = 2900 + 620 * np.sin(y / 2500 + 1.1) + 230 * np.sin(y / 830 + phases[0])
        east += 900 * np.exp(-(((y - 4700) / 1500) ** 2)) - 300 * np.exp(-((y / 800) ** 2))
        coast = np.column_stack((east, y)) * size

        bends = np.array(
            [
                (-9500, 900),
                (-7200, -300),
                (-5200, 250),
                (-3700, -950),
                (-2200, -500),
                (-1000, -1050),
                (150, -620),
                (1200, -1150),
                (2100, -1000),
                (4200, -1500),
            ],
            dtype=np.float64,
        )
        bends[:-2] += rng.normal(0.0, 130.0, bends[:-2].shape)
        river = through(bends * size, 25.0)
        mouth = float(np.interp(-1150.0 * size, coast[:, 1], coast[:, 0]))
        width = 48.0 + 260.0 * np.exp(-np.maximum(mouth - river[:, 0], 0.0) / (700.0 * size))

        knots = np.array(
            [
                (-4600, -8200),
                (-2900, -5900),
                (-1500, -3700),
                (-2250, -2000),
                (-1250, -350),
                (-1500, 1150),
                (-2250, 2500),
                (-950, 3900),
                (250, 4900),
                (100, 8400),
            ],
            dtype=np.float64,
        )
        knots[1:-1] += rng.normal(0.0, 90.0, knots[1:-1].shape)
        motorway = through(knots * size, 20.0)
        angles = np.array([2.75, 3.45, 4.05, 2.2, 4.75]) + rng.normal(0.0, 0.08, 5)
        reach = rng.uniform(4500.0, 5300.0, 5) * size
        villages = np.column_stack((reach * np.cos(angles), reach * np.sin(angles)))
        return cls(size, coast, river, width, motorway, villages, phases)

    def at_sea(self, xy: Line, margin_m: float = 0.0) -> NDArray[np.bool_]:
        """Which of the points (n, 2) lie at sea, or within `margin_m` of it, shape (n,)."""
        return np.asarray(
            xy[:, 0] + margin_m > np.interp(xy[:, 1], self.coast[:, 1], self.coast[:, 0])
        )

    def to_river_m(self, xy: Line) -> NDArray[np.float64]:
        """Metres from each point (n, 2) to the river's bank (negative in the river), (n,)."""
        return _clearance(xy, self.river, self.river_half_width_m)

    def to_motorway_m(self, xy: Line) -> NDArray[np.float64]:
        """Metres from each point (n, 2) to the motorway's axis, shape (n,)."""
        return _clearance(xy, self.motorway, np.zeros(len(self.motorway)))

    def to_village_m(self, xy: Line) -> NDArray[np.float64]:
        """Metres from each point (n, 2) to the nearest village green, shape (n,)."""
        return _clearance(xy, self.villages, np.zeros(len(self.villages)))

    def remoteness(self, xy: Line) -> NDArray[np.float64]:
        """0 at the market square, 1 at the edge of the built-up area, more outside, (n,)."""
        x, y = xy[:, 0] - 250.0 * self.size, xy[:, 1] + 100.0 * self.size
        angle = np.arctan2(y, x)
        edge = 2950 * (
            1
            + 0.13 * np.sin(3 * angle + self.phases[1])
            + 0.09 * np.sin(5 * angle + self.phases[2])
        )
        return np.asarray(np.hypot(x, y) / (edge * self.size))

    def bend(self, xy: Line) -> Line:
        """Return a smooth field of displacement, about a metre, to bend streets, (n, 2)."""
        x, y = xy[:, 0], xy[:, 1]
        p = self.phases
        east = np.sin(x / 143 + y / 97 + p[3]) + 0.7 * np.sin(y / 61 - x / 170 + p[4])
        north = np.sin(x / 89 - y / 151 + p[5]) + 0.7 * np.sin(x / 67 + y / 190 + p[6])
        return np.column_stack((east, north))


def beside(line: Line, offset_m: NDArray[np.float64] | float) -> Line:
    """Return the line (n, 2) shifted to its left by `offset_m` metres (right when negative)."""
    return np.asarray(line + normals(line) * np.broadcast_to(offset_m, len(line))[:, None])


def _clearance(xy: Line, line: Line, margin_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres from each point to the nearest vertex of `line`, less the margin there, (n,)."""
    nearest = shapely.STRtree(shapely.points(line)).nearest(shapely.points(xy))
    return np.asarray(np.hypot(*(xy - line[nearest]).T) - margin_m[nearest])
