"""Local streets inside the cells: a grid in the centre, winding ones and dead ends around it.

A cell's streets are a lattice laid along its longest side, bent by the ground's smooth field
and cut off at the cell's edge, where they meet the road there. In suburbs the lattice is
thinned to a random tree with a few loops, so that closes and crescents remain. It never draws
a street across an edge of the plan, and none where the plan has no land.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely

from roadspeed.town.arterials import NONE, PRIMARY, TRUNK, Arterials
from roadspeed.town.mesh import GRID_ANGLE, LAND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roadspeed.town.curves import Line
    from roadspeed.town.landscape import Landscape


@dataclass(frozen=True, slots=True)
class Style:
    """How one kind of quarter is laid out: spacings and bending in metres, shares 0 to 1."""

    along_m: float
    across_m: float
    bend_m: float
    loops: float
    doors: float
    highway: str


CENTRE = Style(78.0, 95.0, 2.0, 0.97, 0.95, "residential")
INNER = Style(84.0, 128.0, 9.0, 0.6, 0.75, "residential")
SUBURB = Style(88.0, 128.0, 24.0, 0.2, 0.42, "residential")
VILLAGE = Style(80.0, 120.0, 26.0, 0.1, 0.4, "residential")
WORKS = Style(150.0, 200.0, 4.0, 0.5, 0.4, "service")


@dataclass(slots=True)
class Streets:
    """Local links before they are joined to the roads around them.

    `xy` are the nodes within cells; a link's end is such a node, or `-1 - d` for door `d`:
    the place `door_at[d]` metres along the plan's edge `door_edge[d]`.
    """

    xy: list[tuple[float, float]] = field(default_factory=list)
    links: list[tuple[int, int, Line, str, int]] = field(default_factory=list)
    door_edge: list[int] = field(default_factory=list)
    door_at: list[float] = field(default_factory=list)
    rows: int = 0


def draw_streets(art: Arterials, ground: Landscape, rng: np.random.Generator) -> Streets:
    """Fill every cell of land that people live or work in."""
    mesh = art.mesh
    number = {(int(a), int(b)): e for e, (a, b) in enumerate(mesh.edges)}
    far = ground.remoteness(mesh.seeds)
    village = ground.to_village_m(mesh.seeds)
    works = ground.to_motorway_m(mesh.seeds)
    out = Streets()
    for cell, ring in enumerate(mesh.rings):
        chance = rng.random()
        if mesh.kind[cell] != LAND or len(ring) < 3:  # noqa: PLR2004 - a ring has three sides
            continue
        if far[cell] < 0.28:  # noqa: PLR2004 - shares of the town's radius from here on
            style = CENTRE if chance > 0.05 else None  # noqa: PLR2004
        elif far[cell] < 0.5:  # noqa: PLR2004
            style = INNER if chance > 0.06 else None  # noqa: PLR2004
        elif far[cell] < 1.0:
            style = SUBURB if chance > 0.09 else None  # noqa: PLR2004
            if works[cell] < 520.0 and chance > 0.7:  # noqa: PLR2004
                style = WORKS
        else:
            style = VILLAGE if village[cell] < 520.0 else None  # noqa: PLR2004
        if style is None:
            continue
        turned = [(ring[i], ring[(i + 1) % len(ring)]) for i in range(len(ring))]
        around = [(number[min(p), max(p)], p[0] > p[1]) for p in turned]
        _fill(out, art, ground, around, style, rng)
    return out


def _boundary(
    art: Arterials, around: list[tuple[int, bool]]
) -> tuple[Line, NDArray[np.int64], NDArray[np.float64]]:
    """The cell's outline (n, 2); for each piece of it the plan's edge, and metres along it."""
    points, edge, start = [], [], []
    for e, backwards in around:
        line = art.lines[e]
        steps = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))))
        if backwards:
            line, steps = line[::-1], steps[::-1]
        points.append(line[:-1])
        edge.append(np.full(len(line) - 1, e))
        start.append(np.column_stack((steps[:-1], steps[1:])))
    return np.vstack(points), np.concatenate(edge), np.vstack(start)


def _fill(
    out: Streets, art: Arterials, ground: Landscape, around: list[tuple[int, bool]],
    style: Style, rng: np.random.Generator,
) -> None:  # fmt: skip
    outline, edge, metres = _boundary(art, around)
    polygon = shapely.Polygon(outline)
    inner = polygon.buffer(-0.42 * style.along_m)
    if inner.is_empty or not polygon.is_valid:
        return
    chords = np.roll(outline, -1, axis=0) - outline
    longest = max({e for e, _ in around}, key=lambda e: float(art.lines[e].shape[0]) + e * 1e-6)
    side = art.lines[longest][-1] - art.lines[longest][0]
    angle = math.atan2(side[1], side[0]) + rng.normal(0.0, 0.08)
    if style is CENTRE:
        angle = GRID_ANGLE
    middle = outline.mean(axis=0)
    size = int(1.2 * np.hypot(*np.ptp(outline, axis=0)) / style.along_m) | 1
    u, v = np.meshgrid(np.arange(size) - size // 2, np.arange(size) - size // 2)
    flat = np.column_stack((u.ravel() * style.along_m, v.ravel() * style.across_m))
    phase = rng.uniform(-0.3, 0.3, 2) * (style.along_m, style.across_m)
    jitter = rng.normal(0.0, 0.25 * style.bend_m + 1.0, flat.shape)
    turn = np.array([(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))])

    def place(points: Line) -> Line:
        xy = (points + phase) @ turn + middle
        return np.asarray(xy + style.bend_m * ground.bend(xy))

    nodes = place(flat + jitter)
    inside = shapely.contains_xy(inner, nodes[:, 0], nodes[:, 1])
    if not inside.any():
        return
    lattice = flat + jitter
    sides = _Sides(outline, chords, edge, metres)
    inward, doors = [], []
    for node in np.flatnonzero(inside).tolist():
        for step in (1, size, -1, -size):
            other = node + step
            if not 0 <= other < len(flat):
                continue
            if inside[other]:
                if step > 0:
                    t = np.linspace(0.0, 1.0, 6)[:, None]
                    line = place(lattice[node] + t * (lattice[other] - lattice[node]))
                    inward.append((node, other, line, node // size if step == 1 else -node % size))
            else:
                t = np.linspace(0.0, 2.0, 11)[:, None]
                hit = sides.first_hit(place(lattice[node] + t * (lattice[other] - lattice[node])))
                if hit is not None and art.rank[hit[1]] > NONE:
                    doors.append((node, *hit))
    _keep(out, art, style, nodes, inward, doors, rng)


@dataclass(frozen=True, slots=True)
class _Sides:
    """The pieces of a cell's outline, to find where a street leaves the cell."""

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


def _keep(
    out: Streets, art: Arterials, style: Style, nodes: Line,
    inward: list[tuple[int, int, Line, int]], doors: list[tuple[int, Line, int, float]],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Thin the lattice to a random tree and some loops, open some doors, and store it."""
    if not doors:
        return
    order = rng.permutation(len(inward))
    favour = np.array([0.0 if row >= 0 else 0.45 for *_, row in inward])
    order = order[np.argsort(favour[order] + rng.random(len(order)), kind="stable")]
    group: dict[int, int] = {}

    def root(node: int) -> int:
        while group.setdefault(node, node) != node:
            node = group[node]
        return node

    kept = []
    for k in order.tolist():
        a, b = root(inward[k][0]), root(inward[k][1])
        if a != b:
            group[a] = b
            kept.append(k)
        elif rng.random() < style.loops:
            kept.append(k)
    open_door: set[int] = set()
    served: set[int] = set()
    for d in rng.permutation(len(doors)).tolist():
        node, line, edge, _ = doors[d]
        rank = int(art.rank[edge])
        chance = style.doors * {TRUNK: 0.25, PRIMARY: 0.65}.get(rank, 1.0)
        if len(line) > 9 and style is not CENTRE:  # noqa: PLR2004 - far from the road
            chance *= 0.4
        if root(node) not in served or rng.random() < chance:
            open_door.add(d)
            served.add(root(node))
    name: dict[int, int] = {}
    used = [inward[k] for k in kept if root(inward[k][0]) in served]
    base = len(out.xy)
    for node in sorted({n for a, b, *_ in used for n in (a, b)} | {doors[d][0] for d in open_door}):
        name[node] = base + len(name)
        out.xy.append((float(nodes[node, 0]), float(nodes[node, 1])))
    for a, b, line, row in used:
        out.links.append((name[a], name[b], line, style.highway, out.rows + row % 64))
    for d in sorted(open_door):
        node, line, edge, at = doors[d]
        out.links.append((name[node], -1 - len(out.door_edge), line, style.highway, out.rows + 63))
        out.door_edge.append(edge)
        out.door_at.append(at)
    out.rows += 64
