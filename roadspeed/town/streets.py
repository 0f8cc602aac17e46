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
from roadspeed.town.lattice import ROWS as _ROWS
from roadspeed.town.lattice import Door, Inward, Lattice, Sides
from roadspeed.town.mesh import GRID_ANGLE, GRID_M, GRID_ORIGIN, LAND

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


CENTRE = Style(GRID_M[0] / 3, GRID_M[1] / 3, 2.0, 0.97, 0.95, "residential")
INNER = Style(84.0, 118.0, 9.0, 0.65, 0.75, "residential")
SUBURB = Style(86.0, 122.0, 26.0, 0.22, 0.45, "residential")
VILLAGE = Style(80.0, 120.0, 26.0, 0.1, 0.4, "residential")
WORKS = Style(150.0, 200.0, 4.0, 0.5, 0.4, "service")

_CENTRE_SHARE, _INNER_SHARE = 0.33, 0.5
_PARKS = 0.08
_FAR_FROM_ROAD = 9  # vertices of a street from its last crossing to the road
_VILLAGE_M, _WORKS_M, _WORKS_SHARE = 520.0, 650.0, 0.4


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
        style = _style(float(far[cell]), float(village[cell]), float(works[cell]), chance)
        if style is None:
            continue
        turned = [(ring[i], ring[(i + 1) % len(ring)]) for i in range(len(ring))]
        around = [(number[min(p), max(p)], p[0] > p[1]) for p in turned]
        _fill(out, art, ground, rng, around=around, style=style)
    return out


def _style(far: float, village_m: float, motorway_m: float, chance: float) -> Style | None:
    """How a quarter is laid out; None for parks and fields. Shares are of the town's radius."""
    if far >= 1.0:
        return VILLAGE if village_m < _VILLAGE_M else None
    if far < _CENTRE_SHARE:
        return CENTRE if chance > _PARKS / 2 else None
    if chance < _PARKS:
        return None
    if far < _INNER_SHARE:
        return INNER
    return WORKS if motorway_m < _WORKS_M and chance > 1.0 - _WORKS_SHARE else SUBURB


def _boundary(
    art: Arterials, around: list[tuple[int, bool]]
) -> tuple[Line, NDArray[np.int64], NDArray[np.float64]]:
    """Return the cell's outline (n, 2); for each piece of it the plan's edge and metres."""
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
    out: Streets, art: Arterials, ground: Landscape, rng: np.random.Generator, *,
    around: list[tuple[int, bool]], style: Style,
) -> None:  # fmt: skip
    outline, edge, metres = _boundary(art, around)
    polygon = shapely.Polygon(outline)
    inner = polygon.buffer(-0.42 * style.along_m)
    if inner.is_empty or not polygon.is_valid:
        return
    longest = max({e for e, _ in around}, key=lambda e: (len(art.lines[e]), e))
    lattice = _lattice(outline, art.lines[longest], style, ground, rng)
    inside = shapely.contains_xy(inner, *lattice.nodes().T)
    if inside.any():
        sides = Sides(outline, np.roll(outline, -1, axis=0) - outline, edge, metres)
        doors = [door for door in lattice.doors(inside, sides) if art.rank[door.edge] > NONE]
        if doors:
            _keep(out, art, rng, style=style, lattice=lattice,
                  inward=lattice.inward(inside), doors=doors)  # fmt: skip


def _lattice(
    outline: Line, longest: Line, style: Style, ground: Landscape, rng: np.random.Generator
) -> Lattice:
    side = longest[-1] - longest[0]
    angle = math.atan2(side[1], side[0]) + rng.normal(0.0, 0.08)
    if style is CENTRE:
        angle = GRID_ANGLE
    turn = np.array([(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))])
    middle = outline.mean(axis=0)
    size = int(1.2 * np.hypot(*np.ptp(outline, axis=0)) / style.along_m) | 1
    u, v = np.meshgrid(np.arange(size) - size // 2, np.arange(size) - size // 2)
    flat = np.column_stack((u.ravel() * style.along_m, v.ravel() * style.across_m))
    phase = rng.uniform(-0.3, 0.3, 2) * (style.along_m, style.across_m)
    if style is CENTRE:  # one lattice for all its cells
        block = np.array(GRID_M) / 3
        local = (middle - np.array(GRID_ORIGIN)) @ turn.T
        middle = (np.round(local / block - 0.5) + 0.5) * block @ turn + np.array(GRID_ORIGIN)
        phase = np.zeros(2)
    jitter = rng.normal(0.0, 0.25 * style.bend_m + 1.0, flat.shape)
    return Lattice(flat + jitter + phase, size, turn, middle, style.bend_m, ground)


def _keep(
    out: Streets, art: Arterials, rng: np.random.Generator, *, style: Style, lattice: Lattice,
    inward: list[Inward], doors: list[Door],
) -> None:  # fmt: skip
    """Thin the lattice to a random tree and some loops, open some doors, and store it."""
    part, kept = _thin(inward, style, rng)
    opened: list[Door] = []
    served: set[int] = set()
    for d in rng.permutation(len(doors)).tolist():
        door = doors[d]
        chance = style.doors * {TRUNK: 0.25, PRIMARY: 0.65}.get(int(art.rank[door.edge]), 1.0)
        if len(door.line) > _FAR_FROM_ROAD and style is not CENTRE:
            chance *= 0.4
        piece = part.get(door.node, door.node)
        if piece not in served or rng.random() < chance:
            opened.append(door)
            served.add(piece)
    used = [way for way in kept if part[way.a] in served]
    nodes = lattice.nodes()
    name: dict[int, int] = {}
    for node in sorted({n for way in used for n in (way.a, way.b)} | {d.node for d in opened}):
        name[node] = len(out.xy)
        out.xy.append((float(nodes[node, 0]), float(nodes[node, 1])))
    for way in used:
        row = out.rows + way.row % _ROWS
        out.links.append((name[way.a], name[way.b], way.line, style.highway, row))
    for door in opened:
        row = out.rows + door.row % _ROWS
        out.links.append((name[door.node], -1 - len(out.door_edge), door.line, style.highway, row))
        out.door_edge.append(door.edge)
        out.door_at.append(door.at_m)
    out.rows += _ROWS


def _thin(
    inward: list[Inward], style: Style, rng: np.random.Generator
) -> tuple[dict[int, int], list[Inward]]:
    """Choose a random spanning forest, long rows first, and some loops; which node is in which."""
    group: dict[int, int] = {}

    def root(node: int) -> int:
        while group.setdefault(node, node) != node:
            node = group[node]
        return node

    favour = np.array([0.0 if way.row < _ROWS // 2 else 0.45 for way in inward])
    kept = []
    for k in np.argsort(favour + rng.random(len(inward)), kind="stable").tolist():
        a, b = root(inward[k].a), root(inward[k].b)
        if a != b:
            group[a] = b
        if a != b or rng.random() < style.loops:
            kept.append(inward[k])
    return {node: root(node) for node in list(group)}, kept
