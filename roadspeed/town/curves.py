"""Smooth lines in the plane: through points, beside a line, evenly divided.

Every line is an array of shape (n, 2), float64, metres east and north of the town's centre.
Pure arithmetic: nothing here knows what a road is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]


def stations(line: Line) -> NDArray[np.float64]:
    """Distance in metres from the start of `line` (n, 2) to each of its vertices, shape (n,)."""
    steps = np.hypot(np.diff(line[:, 0]), np.diff(line[:, 1]))
    return np.concatenate(([0.0], np.cumsum(steps)))


def along(line: Line, at: NDArray[np.float64]) -> Line:
    """Points of `line` (n, 2) at the distances `at` (k,) in metres, shape (k, 2)."""
    s = stations(line)
    return np.column_stack((np.interp(at, s, line[:, 0]), np.interp(at, s, line[:, 1])))


def evenly(line: Line, spacing_m: float) -> Line:
    """Return `line` with vertices about `spacing_m` metres apart, both ends kept."""
    length = float(stations(line)[-1])
    return along(line, np.linspace(0.0, length, max(2, round(length / spacing_m) + 1)))


def normals(line: Line) -> Line:
    """Return unit vectors to the left of `line` (n, 2) at each vertex, shape (n, 2)."""
    t = np.gradient(line, axis=0)
    t /= np.maximum(np.hypot(t[:, 0], t[:, 1]), 1e-9)[:, None]
    return np.column_stack((-t[:, 1], t[:, 0]))


def hermite(a: Line, b: Line, from_a: Line, into_b: Line, spacing_m: float = 18.0) -> Line:
    """Draw a cubic from point `a` to `b` (2,) with unit directions `from_a` and `into_b` (2,)."""
    chord = float(np.hypot(*(b - a)))
    n = max(2, round(chord / spacing_m) + 1)
    t = np.linspace(0.0, 1.0, n)[:, None]
    t2, t3 = t * t, t * t * t
    m0, m1 = from_a * chord, into_b * chord
    return np.asarray(
        (2 * t3 - 3 * t2 + 1) * a + (t3 - 2 * t2 + t) * m0 + (3 * t2 - 2 * t3) * b + (t3 - t2) * m1
    )


def through(points: Line, spacing_m: float) -> Line:
    """Draw a smooth line through `points` (n, 2): Catmull-Rom, then evenly divided."""
    padded = np.vstack((2 * points[0] - points[1], points, 2 * points[-1] - points[-2]))
    t = np.linspace(0.0, 1.0, 24, endpoint=False)[:, None]
    t2, t3 = t * t, t * t * t
    pieces = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(
            0.5
            * (
                2 * p1
                + (p2 - p0) * t
                + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t2
                + (3 * p1 - p0 - 3 * p2 + p3) * t3
            )
        )
    return evenly(np.vstack((*pieces, points[-1:])), spacing_m)
