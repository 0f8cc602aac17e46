"""A bent lattice of streets within one cell, and where its streets leave the cell.

The lattice is regular in a plane of its own, then turned, moved and bent by the ground's field,
so that its streets wind without ever touching one another. It keeps no street and drops none:
it only says which there could be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roadspeed.town.curves import Line
    from roadspeed.town.landscape import Landscape

ROWS = 128  # street numbers of one cell: rows below the half, columns above it


@dataclass(frozen=True, slots=True)
class Inward:
    """A street between two of the lattice's nodes; `row` is shared along one straight row."""

    a: int
    b: int
    line: Line
    row: int


@dataclass(frozen=True, slots=True)
class Door:
    """A street from a node to the cell's outline: the plan's edge there, and metres along it."""

    node: int
    line: Line
    edge: int
    at_m: float
    row: int


@dataclass(frozen=True, slots=True)
class Sides:
    """The pieces of a cell's outline: starts and chords (n, 2), the plan's edge, metres along."""

    start: Line
    chord: Line
    edge: NDArray[np.int64]
    metres: NDArray[np.float64]

    def first_hit(self, line: Line) -> tuple[Line, int, float] | None:
        """Cut `line` where it first crosses the outline: the part before, edge, metres."""
        a, d = line[:-1, None, :], np.diff(line, axis=0)[:, None, :]
        e = self.chord[None]
        cross = d[..., 0] * e[..., 1] - d[..., 1] * e[..., 0]
        cross = np.where(np.abs(cross) < 1e-12, 1e-12, cross)  # noqa: PLR2004 - parallel
        w = self.start[None] - a
        t = (w[..., 0] * e[..., 1] - w[..., 1] * e[..., 0]) / cross
        s = (w[..., 0] * d[..., 1] - w[..., 1] * d[..., 0]) / cross
        hits = np.argwhere((t >= 0) & (t <= 1) & (s >= 0) & (s <= 1))
        if len(hits) == 0:
            return None
        i, j = min(hits.tolist(), key=lambda h: (h[0], t[h[0], h[1]]))
        point = line[i] + t[i, j] * (line[i + 1] - line[i])
        at = self.metres[j, 0] + s[i, j] * (self.metres[j, 1] - self.metres[j, 0])
        return np.vstack((line[: i + 1], point)), int(self.edge[j]), float(at)


@dataclass(frozen=True, slots=True)
class Lattice:
    """`size` times `size` nodes, flat (size², 2) in a plane of their own, and how to place them."""

    flat: Line
    size: int
    turn: Line
    middle: Line
    bend_m: float
    ground: Landscape

    def nodes(self) -> Line:
        """Return all nodes in metres, (size², 2)."""
        return self._place(self.flat)

    def inward(self, inside: NDArray[np.bool_]) -> list[Inward]:
        """List the streets between neighbours that are both `inside` (size²,)."""
        return [
            Inward(a, b, self._street(a, b, 1.0, 6), self._row(a, b))
            for a in np.flatnonzero(inside).tolist()
            for b in (a + 1, a + self.size)
            if b < len(inside) and inside[b]
        ]

    def doors(self, inside: NDArray[np.bool_], sides: Sides) -> list[Door]:
        """List the streets that lead from a node `inside` past one outside to the outline."""
        found = []
        for a in np.flatnonzero(inside).tolist():
            for b in (a + 1, a + self.size, a - 1, a - self.size):
                if 0 <= b < len(inside) and not inside[b]:
                    hit = sides.first_hit(self._street(a, b, 2.0, 11))
                    if hit is not None:
                        found.append(Door(a, *hit, self._row(a, b)))
        return found

    def _row(self, a: int, b: int) -> int:
        half = ROWS // 2
        return a // self.size % half if abs(a - b) == 1 else half + a % self.size % half

    def _street(self, a: int, b: int, reach: float, vertices: int) -> Line:
        t = np.linspace(0.0, reach, vertices)[:, None]
        return self._place(self.flat[a] + t * (self.flat[b] - self.flat[a]))

    def _place(self, points: Line) -> Line:
        xy = points @ self.turn + self.middle
        return np.asarray(xy + self.bend_m * self.ground.bend(xy))
