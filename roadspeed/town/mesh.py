"""The plan of the town: cells of land, water and motorway verge, and the edges between them.

Seeds are set in pairs on both sides of every bank, shore and verge, so that the Voronoi edges
run along them; elsewhere they are scattered, closer where more people live. Edges shorter
than a few car lengths are closed up. It decides where roads may be, never which there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from roadspeed.town.curves import Line, evenly
from roadspeed.town.landscape import Landscape, beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAND, WATER, VERGE, SEA = 0, 1, 2, 3
VERGE_HALF_WIDTH_M = 75.0
GRID_ANGLE = 0.27  # of the centre's street grid, radians
GRID_ORIGIN = (100.0, 150.0)
GRID_M = (285.0, 235.0)  # its cells; three blocks each way
# How far seeds keep from banks and from the motorway, in metres.
_MOUTH_M = 120.0
_BRIDGE_M = 40.0
_VALLEY_M = 230.0
_GRID_TO_MOTORWAY_M = 330.0
_VILLAGE_M = 650.0


@dataclass(slots=True)
class Mesh:
    """Nodes (n, 2) in metres, edges (e, 2) as node pairs, and what lies on their two sides.

    `rings[c]` lists the nodes around cell `c`; `kind[c]` is LAND, WATER, VERGE or SEA;
    `sides` (e, 2) are the two cells of an edge, -1 where the plan ends.
    """

    xy: Line
    edges: NDArray[np.int64]
    sides: NDArray[np.int64]
    kind: NDArray[np.int64]
    seeds: Line
    rings: list[list[int]]


def draw_mesh(ground: Landscape, rng: np.random.Generator) -> Mesh:
    """Divide the ground into cells."""
    seeds, kind = _seeds(ground, rng)
    diagram = shapely.voronoi_polygons(shapely.MultiPoint(seeds), ordered=True)
    index: dict[tuple[int, int], int] = {}
    points: list[tuple[float, float]] = []
    rings: list[list[int]] = []
    for polygon in diagram.geoms:
        ring = []
        for x, y in shapely.get_coordinates(polygon.exterior)[:-1].tolist():
            key = (round(x * 20), round(y * 20))
            node = index.setdefault(key, len(points))
            if node == len(points):
                points.append((x, y))
            ring.append(node)
        low = ring.index(min(ring, key=lambda node: points[node]))
        rings.append(ring[low:] + ring[:low])
    xy = np.array(points)
    xy, rings = _close_up(xy, rings, 46.0)
    edges, sides = _edges(rings)
    return Mesh(xy, edges, sides, kind, seeds, rings)


def _seeds(ground: Landscape, rng: np.random.Generator) -> tuple[Line, NDArray[np.int64]]:
    rows = [*_shore(ground), *_banks(ground), *_verges(ground), (_grid(ground, rng), LAND)]
    rows.append((_scatter(ground, rng, np.vstack([line for line, _ in rows])), LAND))
    far = 30_000.0 * ground.size
    rows.append((np.array([(-far, 0.0), (far, 0.0), (0.0, -far), (0.0, far)]), SEA))
    kind = np.concatenate([np.full(len(line), kind) for line, kind in rows])
    return np.round(np.vstack([line for line, _ in rows]), 2).astype(np.float64), kind


def _shore(ground: Landscape) -> list[tuple[Line, int]]:
    """Pairs of seeds along the coast, and a row farther out; the river's mouth stays free."""
    line = evenly(ground.coast, 340.0)
    land, sea, far = (beside(line, offset) for offset in (140.0, -140.0, -700.0))
    return [
        (land[ground.to_river_m(land) > _MOUTH_M], LAND),
        (sea[ground.to_river_m(sea) > _MOUTH_M], SEA),
        (far, SEA),
    ]


def _banks(ground: Landscape) -> list[tuple[Line, int]]:
    """Seeds in the river, mirrored on its two banks."""
    line = evenly(ground.river, 300.0)
    width = np.interp(line[:, 0], ground.river[:, 0], ground.river_half_width_m)
    rows = [(line[~ground.at_sea(line)], WATER)]
    for sign in (2.0, -2.0):
        bank = beside(line, sign * width)
        dry = ~ground.at_sea(bank, 150.0)
        rows.append((bank[dry & (ground.to_motorway_m(bank) > _BRIDGE_M)], LAND))
    return rows


def _verges(ground: Landscape) -> list[tuple[Line, int]]:
    """Seeds on the motorway, mirrored beyond its two verges; none where it crosses the river."""
    line = evenly(ground.motorway, 330.0)
    rows = []
    for offset, kind in ((0.0, VERGE), (2.0, LAND), (-2.0, LAND)):
        row = beside(line, offset * VERGE_HALF_WIDTH_M)
        rows.append((row[(ground.to_river_m(row) > _VALLEY_M) & ~ground.at_sea(row, 150.0)], kind))
    return rows


def _grid(ground: Landscape, rng: np.random.Generator) -> Line:
    """Seeds of the centre: a turned grid, slightly irregular."""
    reach = 960.0 * math.sqrt(ground.size)
    steps = np.arange(-12, 13) * math.ceil(math.sqrt(ground.size))
    i, j = np.meshgrid(
        np.arange(steps[0], steps[-1] + 1) * GRID_M[0],
        np.arange(steps[0], steps[-1] + 1) * GRID_M[1],
    )
    flat = np.column_stack((i.ravel(), j.ravel()))
    flat = flat[np.hypot(flat[:, 0], 1.15 * flat[:, 1]) < reach]
    c, s = math.cos(GRID_ANGLE), math.sin(GRID_ANGLE)
    xy = flat @ np.array([(c, s), (-s, c)]) + np.array(GRID_ORIGIN)
    xy += rng.normal(0.0, 6.0, flat.shape)
    free = (ground.to_river_m(xy) > _VALLEY_M) & (ground.to_motorway_m(xy) > _GRID_TO_MOTORWAY_M)
    return np.asarray(xy[free & ~ground.at_sea(xy, 300.0)])


def _scatter(ground: Landscape, rng: np.random.Generator, placed: Line) -> Line:
    """Dart throwing with a radius that grows towards the countryside."""
    half = 8000.0 * ground.size
    darts = rng.uniform(-half, half, (int(26_000 * ground.size**2), 2))
    darts = darts[~ground.at_sea(darts, 260.0) & (ground.to_river_m(darts) > _MOUTH_M)]
    darts = darts[ground.to_motorway_m(darts) > 2.6 * VERGE_HALF_WIDTH_M]
    far = ground.remoteness(darts)
    radius = np.where(far < 1.0, 330.0 + 110.0 * far, 640.0 + 300.0 * np.minimum(far - 1.0, 1.0))
    radius[ground.to_village_m(darts) < _VILLAGE_M] = 300.0
    cell = 1000.0
    near = (-1, 0, 1)
    taken: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    for x, y in placed.tolist():  # seeds in rows keep others off by a fixed distance
        taken.setdefault((int(x // cell), int(y // cell)), []).append((x, y, -1.0))
    out = []
    for (x, y), r in zip(darts.tolist(), radius.tolist(), strict=True):
        i, j = int(x // cell), int(y // cell)
        others = (p for a in near for b in near for p in taken.get((i + a, j + b), ()))
        if all(
            math.dist((x, y), (a, b)) > (265.0 if q < 0 else 0.5 * (r + q)) for a, b, q in others
        ):
            taken.setdefault((i, j), []).append((x, y, r))
            out.append((x, y))
    return np.array(out)


def _close_up(xy: Line, rings: list[list[int]], shortest_m: float) -> tuple[Line, list[list[int]]]:
    """Join the ends of edges shorter than `shortest_m` into one node at their mean."""
    group = list(range(len(xy)))

    def root(node: int) -> int:
        while group[node] != node:
            group[node] = group[group[node]]
            node = group[node]
        return node

    for ring in rings:
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
            if math.dist(xy[a], xy[b]) < shortest_m:
                low, high = sorted((root(a), root(b)))
                group[high] = low
    roots = np.array([root(node) for node in range(len(xy))])
    _, renamed = np.unique(roots, return_inverse=True)
    weight = np.bincount(renamed).astype(np.float64)
    moved = np.column_stack([np.bincount(renamed, xy[:, axis]) / weight for axis in (0, 1)])
    new_rings = []
    for ring in rings:
        names = [int(renamed[node]) for node in ring]
        new_rings.append(
            [n for n, before in zip(names, names[-1:] + names, strict=False) if n != before]
        )
    return moved, new_rings


def _edges(rings: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    known: dict[tuple[int, int], list[int]] = {}
    for cell, ring in enumerate(rings):
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
            known.setdefault((min(a, b), max(a, b)), []).append(cell)
    ordered = sorted(known)
    sides = [(known[e] + [-1])[:2] for e in ordered]
    return np.array(ordered, dtype=np.int64), np.array(sides, dtype=np.int64)
