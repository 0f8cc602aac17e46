"""Which edges of the plan become roads, and how important each is.

Importance follows use, as in towns that grew: routes are found from the edge of the map, from
villages and between suburbs, each cheaper where a road already is, so that they flow together.
The ring follows a circle. What no route uses is a local street in town and a field outside.
Bridges are few and chosen first. It makes centre lines only, no junctions within a cell.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from roadspeed.town.curves import Line, hermite
from roadspeed.town.mesh import LAND, SEA, VERGE, WATER, Mesh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from roadspeed.town.landscape import Landscape

NONE, RESIDENTIAL, TERTIARY, SECONDARY, PRIMARY, TRUNK = 0, 1, 2, 3, 4, 5


@dataclass(slots=True)
class Arterials:
    """The plan's edges as roads: rank and smooth centre line of each, and who continues whom.

    `rank` (e,) is NONE to TRUNK; `lines[e]` runs from the edge's first node to its second;
    `street` (e,) is equal for edges that continue one another and so share a name.
    """

    mesh: Mesh
    rank: NDArray[np.int64]
    lines: list[Line]
    street: NDArray[np.int64]


def draw_arterials(mesh: Mesh, ground: Landscape, rng: np.random.Generator) -> Arterials:
    """Choose and shape the roads between cells."""
    allowed = _allowed(mesh, ground)
    rank = _ranks(mesh, ground, allowed, rng)
    _smooth(mesh, rank)
    street, lines = _lines(mesh, rank)
    return Arterials(mesh, rank, lines, street)


def _side_kinds(mesh: Mesh) -> NDArray[np.int64]:
    kinds = np.where(mesh.sides >= 0, mesh.kind[mesh.sides], SEA)
    return np.sort(kinds, axis=1)


def _allowed(mesh: Mesh, ground: Landscape) -> NDArray[np.bool_]:
    """Edges a road may take at all: land, banks, shore, few bridges, crossings of the verge."""
    low, high = _side_kinds(mesh).T
    middle = mesh.xy[mesh.edges].mean(axis=1)
    length = np.hypot(*(mesh.xy[mesh.edges[:, 1]] - mesh.xy[mesh.edges[:, 0]]).T)
    reach = 6300.0 * ground.size
    inside = (np.abs(mesh.xy[mesh.edges]) < reach).all(axis=(1, 2))
    allowed = inside & (low == LAND)
    wide = (low == WATER) & (high == WATER) & inside & (length < 420.0)  # noqa: PLR2004 - metres
    for x in np.array([-5000.0, -2230.0, -750.0, 60.0, 950.0]) * ground.size:
        spans = np.flatnonzero(wide)
        if len(spans):
            best = spans[np.argmin(np.abs(middle[spans, 0] - x))]
            allowed[best] = True
            wide[best] = False
    return np.asarray(allowed | ((low == VERGE) & (high == VERGE) & inside & (length < 300.0)))  # noqa: PLR2004 - the same


def _ranks(
    mesh: Mesh, ground: Landscape, allowed: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    low, high = _side_kinds(mesh).T
    ends = mesh.xy[mesh.edges]
    middle = ends.mean(axis=1)
    length = np.hypot(*(ends[:, 1] - ends[:, 0]).T)
    cost = length * rng.uniform(0.75, 1.25, len(length))
    cost[high == WATER] *= 1.7
    cost[(low == VERGE) & (high == VERGE)] += 250.0
    cost[(low == LAND) & (high == VERGE)] *= 2.2
    cost[~allowed] = np.inf
    far = ground.remoteness(middle)
    rank = np.zeros(len(length), dtype=np.int64)
    finder = _Finder(mesh, cost, rank)
    usable = np.unique(mesh.edges[allowed & (high != SEA)])

    def nearest(x: float, y: float) -> int:
        gap = np.hypot(mesh.xy[usable, 0] - x, mesh.xy[usable, 1] - y)
        return int(usable[np.argmin(gap)])

    size = ground.size
    centre = nearest(0.0, 0.0)
    finder.ring(
        2150.0 * ground.size,
        [nearest(r * math.cos(a), r * math.sin(a)) for r, a in _ring_points(size)],
    )
    for angle in (0.95, 1.55, 2.2, 2.62, 3.0, 3.5, 4.0, 4.5, 5.0):
        a = angle + rng.normal(0.0, 0.1)
        gate = nearest(6100.0 * size * math.cos(a), 6100.0 * size * math.sin(a))
        finder.route(gate, centre, PRIMARY)
    for x, y in ground.villages.tolist():
        finder.route(nearest(x, y), centre, SECONDARY)
    urban = usable[ground.remoteness(mesh.xy[usable]) < 1.0]
    for _ in range(int(30 * size * size)):
        a, b = rng.choice(urban, 2)
        if math.dist(mesh.xy[a], mesh.xy[b]) < 4500.0:  # noqa: PLR2004 - suburbs within reach
            finder.route(int(a), int(b), SECONDARY)
    for _ in range(int(60 * size * size)):
        a, b = rng.choice(usable, 2)
        if math.dist(mesh.xy[a], mesh.xy[b]) < 5500.0:  # noqa: PLR2004 - the same
            finder.route(int(a), int(b), TERTIARY)
    chance = np.where(far < 1.0, 0.92, 0.03)
    chance[ground.to_village_m(middle) < 620.0] = 0.9  # noqa: PLR2004 - metres
    chance[(high == SEA) & (far > 1.0)] = 0.5
    chance[(low == LAND) & (high == VERGE)] = 0.12
    chance[(low == VERGE) & (high == VERGE)] = np.where(far < 1.0, 0.3, 0.1)[
        (low == VERGE) & (high == VERGE)
    ]
    chance[(low == WATER) & (high == WATER)] = 1.0
    rank[(rank == NONE) & allowed & (rng.random(len(rank)) < chance)] = RESIDENTIAL
    return rank


def _ring_points(size: float) -> list[tuple[float, float]]:
    bow = [(2150.0 * size, a) for a in np.linspace(0.3, 2 * math.pi - 0.78, 9).tolist()]
    return [(2650.0 * size, -0.24), *bow, (2800.0 * size, -0.55)]


class _Finder:
    """Cheapest routes over the plan; a route marks its edges and makes them cheaper."""

    def __init__(self, mesh: Mesh, cost: NDArray[np.float64], rank: NDArray[np.int64]) -> None:
        self.mesh, self.cost, self.rank = mesh, cost, rank
        self.at: list[list[tuple[int, int]]] = [[] for _ in mesh.xy]
        for e, (a, b) in enumerate(mesh.edges.tolist()):
            if math.isfinite(cost[e]):
                self.at[a].append((b, e))
                self.at[b].append((a, e))

    def route(self, start: int, goal: int, rank: int) -> None:
        cost = self.cost
        best = {start: 0.0}
        came: dict[int, tuple[int, int]] = {}
        queue = [(0.0, start)]
        while queue:
            d, node = heapq.heappop(queue)
            if node == goal:
                break
            if d > best[node]:
                continue
            for other, e in self.at[node]:
                new = d + float(cost[e])
                if new < best.get(other, math.inf):
                    best[other] = new
                    came[other] = (node, e)
                    heapq.heappush(queue, (new, other))
        node = goal
        while node in came and node != start:
            node, e = came[node]
            if self.rank[e] == NONE:
                cost[e] *= 0.55
            self.rank[e] = max(int(self.rank[e]), rank)

    def ring(self, radius_m: float, stops: Sequence[int]) -> None:
        """Join `stops` by routes that stay near the circle they lie on."""
        middle = self.mesh.xy[self.mesh.edges].mean(axis=1)
        off = np.abs(np.hypot(middle[:, 0], middle[:, 1]) / radius_m - 1.0)
        plain = self.cost.copy()
        self.cost *= 1.0 + 9.0 * off
        for a, b in pairwise(stops):
            self.route(a, b, TRUNK)
        self.cost[:] = np.where(self.rank == TRUNK, 0.6 * plain, plain)


def _smooth(mesh: Mesh, rank: NDArray[np.int64]) -> None:
    """Pull the bends out of main roads: each node towards the mean of its road's neighbours.

    Nodes on a bank or shore move by a car park's length at most.
    """
    low, high = _side_kinds(mesh).T
    shore = np.zeros(len(mesh.xy), dtype=np.bool_)
    shore[np.unique(mesh.edges[(high == WATER) | (high == SEA)])] = True
    stuck = np.unique(mesh.edges[(high == VERGE) & (low == LAND)])
    start = mesh.xy.copy()
    for level, rounds in ((TRUNK, 4), (PRIMARY, 3), (SECONDARY, 2), (TERTIARY, 1)):
        chosen = mesh.edges[(rank == level)]
        degree = np.bincount(chosen.ravel(), minlength=len(mesh.xy))
        higher = np.unique(mesh.edges[rank > level])
        free = degree == 2  # noqa: PLR2004 - in one road, at neither end of it
        free[stuck] = False
        free[higher] = False
        for _ in range(rounds):
            total = np.zeros_like(mesh.xy)
            np.add.at(total, chosen[:, 0], mesh.xy[chosen[:, 1]])
            np.add.at(total, chosen[:, 1], mesh.xy[chosen[:, 0]])
            mesh.xy[free] += 0.5 * (total[free] / 2.0 - mesh.xy[free])
            mesh.xy[shore] = start[shore] + np.clip(mesh.xy[shore] - start[shore], -45.0, 45.0)


def _lines(mesh: Mesh, rank: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[Line]]:
    """Pair the edges that continue one another at each node, and draw them as one curve."""
    xy = mesh.xy
    at: list[list[int]] = [[] for _ in xy]
    for e, (a, b) in enumerate(mesh.edges.tolist()):
        if rank[e] > NONE:
            at[a].append(e)
            at[b].append(e)
    chord = xy[mesh.edges[:, 1]] - xy[mesh.edges[:, 0]]
    unit = chord / np.maximum(np.hypot(chord[:, 0], chord[:, 1]), 1e-9)[:, None]
    street, tangents = _pair(mesh, rank, unit, at)
    lines = []
    for e, (a, b) in enumerate(mesh.edges.tolist()):
        out = tangents.get((e, a), unit[e])
        into = -tangents.get((e, b), -unit[e])
        straight = rank[e] == NONE
        lines.append(xy[[a, b]] if straight else hermite(xy[a], xy[b], out, into))
    return street, lines


def _pair(
    mesh: Mesh, rank: NDArray[np.int64], unit: Line, at: list[list[int]]
) -> tuple[NDArray[np.int64], dict[tuple[int, int], Line]]:
    """Which street each edge is of, and the direction in which an edge leaves a shared node."""
    street = list(range(len(rank)))

    def root(e: int) -> int:
        while street[e] != e:
            street[e] = street[street[e]]
            e = street[e]
        return e

    tangents: dict[tuple[int, int], Line] = {}
    for node, members in enumerate(at):
        away = {e: unit[e] if mesh.edges[e, 0] == node else -unit[e] for e in members}
        pairs = []
        for e, f in combinations(members, 2):
            straight = -float(away[e] @ away[f])
            if straight > 0.55:  # noqa: PLR2004 - cosine: bends up to 57 degrees
                same = rank[e] == rank[f]
                pairs.append((-(straight + 0.5 * same + 0.1 * min(rank[e], rank[f])), e, f))
        paired: set[int] = set()
        for _, e, f in sorted(pairs):
            if e in paired or f in paired:
                continue
            paired |= {e, f}
            direction = away[e] - away[f]
            direction = direction / max(float(np.hypot(*direction)), 1e-9)
            tangents[e, node], tangents[f, node] = direction, -direction
            if rank[e] == rank[f]:
                low, high = sorted((root(e), root(f)))
                street[high] = low
    return np.array([root(e) for e in range(len(rank))]), tangents
