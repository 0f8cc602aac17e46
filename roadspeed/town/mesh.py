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

from roadspeed.town.curves import Line, evenly, normals
from roadspeed.town.landscape import Landscape, beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAND, WATER, VERGE, SEA = 0, 1, 2, 3
VERGE_HALF_WIDTH_M = 75.0
GRID_ANGLE = 0.27  # of the centre's street grid, radians


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
    size = ground.size
    shore = evenly(ground.coast, 340.0)
    stream = evenly(ground.river, 300.0)
    width = np.interp(stream[:, 0], ground.river[:, 0], ground.river_half_width_m)
    road = evenly(ground.motorway, 330.0)
    fixed = [
        (beside(shore, 140.0), LAND), (beside(shore, -140.0), SEA), (beside(shore, -700.0), SEA),
        (stream, WATER), (beside(stream, 2 * width), LAND), (beside(stream, -2 * width), LAND),
        (road, VERGE), (beside(road, 2 * VERGE_HALF_WIDTH_M), LAND),
        (beside(road, -2 * VERGE_HALF_WIDTH_M), LAND),
    ]  # fmt: skip
    placed: list[Line] = []
    kinds: list[NDArray[np.int64]] = []
    for number, (line, kind) in enumerate(fixed):
        keep = np.ones(len(line), dtype=bool)
        if number <= 1:  # the shore leaves the river's mouth free
            keep &= ground.to_river_m(line) > 120.0
        elif number >= 3:  # noqa: PLR2004 - the three shore rows come first
            keep &= ~ground.at_sea(line + (150.0, 0.0) if kind != WATER else line)
        if number in (4, 5):
            keep &= ground.to_motorway_m(line) > 40.0
        if number >= 6:  # noqa: PLR2004 - rows of the motorway come last
            keep &= ground.to_river_m(line) > 230.0
        placed.append(line[keep])
        kinds.append(np.full(int(keep.sum()), kind))
    grid = _grid(ground, rng)
    placed.append(grid)
    kinds.append(np.full(len(grid), LAND))
    scattered = _scatter(ground, rng, np.vstack(placed))
    placed.append(scattered)
    kinds.append(np.full(len(scattered), LAND))
    border = 30_000.0 * size
    frame = np.array([(-border, 0), (border, 0), (0, -border), (0, border)], dtype=np.float64)
    placed.append(frame)
    kinds.append(np.full(4, SEA))
    return np.round(np.vstack(placed), 2), np.concatenate(kinds)


def _grid(ground: Landscape, rng: np.random.Generator) -> Line:
    reach = 820.0 * math.sqrt(ground.size)
    i, j = np.meshgrid(np.arange(-12, 13) * 285.0, np.arange(-12, 13) * 235.0)
    flat = np.column_stack((i.ravel(), j.ravel()))
    flat = flat[np.hypot(flat[:, 0], 1.15 * flat[:, 1]) < reach]
    c, s = math.cos(GRID_ANGLE), math.sin(GRID_ANGLE)
    xy = flat @ np.array([(c, s), (-s, c)]) + (100.0, 150.0) + rng.normal(0.0, 9.0, flat.shape)
    free = (ground.to_river_m(xy) > 240.0) & (ground.to_motorway_m(xy) > 330.0)
    return np.asarray(xy[free & ~ground.at_sea(xy + (300.0, 0.0))])


def _scatter(ground: Landscape, rng: np.random.Generator, placed: Line) -> Line:
    """Dart throwing with a radius that grows towards the countryside."""
    half = 8000.0 * ground.size
    darts = rng.uniform(-half, half, (int(26_000 * ground.size**2), 2))
    sea = ground.at_sea(darts + (260.0, 0.0))
    darts = darts[~sea & (ground.to_river_m(darts) > 130.0)]
    darts = darts[ground.to_motorway_m(darts) > 2.6 * VERGE_HALF_WIDTH_M]
    far = ground.remoteness(darts)
    radius = np.where(far < 1.0, 330.0 + 110.0 * far, 640.0 + 300.0 * np.minimum(far - 1.0, 1.0))
    radius[ground.to_village_m(darts) < 650.0] = 300.0  # noqa: PLR2004 - metres
    cell = 1000.0
    taken: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    for x, y in placed.tolist():
        taken.setdefault((int(x // cell), int(y // cell)), []).append((x, y, 265.0))
    out = []
    for (x, y), r in zip(darts.tolist(), radius.tolist(), strict=True):
        i, j = int(x // cell), int(y // cell)
        near = [
            p for a in (i - 1, i, i + 1) for b in (j - 1, j, j + 1) for p in taken.get((a, b), ())
        ]
        if all((x - a) ** 2 + (y - b) ** 2 > min(r, q) ** 2 if q == 265.0  # noqa: PLR2004
               else (x - a) ** 2 + (y - b) ** 2 > (0.5 * (r + q)) ** 2 for a, b, q in near):  # fmt: skip
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
    kept, renamed = np.unique(roots, return_inverse=True)
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
