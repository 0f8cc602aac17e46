"""The motorway with its slip roads, and the ferry: links that cross what others go around.

Two carriageways, one for each direction, drive on the left; a junction is a diamond whose four
slips end where a road crosses the verge. The motorway crosses all else on bridges: it shares
no node with other roads but through slips.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from roadspeed.town.arterials import RESIDENTIAL, Arterials
from roadspeed.town.curves import Line, along, hermite, normals, stations
from roadspeed.town.draft import Draft, DraftLink
from roadspeed.town.landscape import beside
from roadspeed.town.mesh import VERGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roadspeed.town.landscape import Landscape

CARRIAGEWAY_M = 10.0  # from the axis to a carriageway's middle
SLIP_M = 330.0  # from the crossing road back to where the slip leaves
_APART_M = 1050.0
_END_M = 5900.0


def build_motorway(draft: Draft, art: Arterials, ground: Landscape) -> None:
    """Add carriageways and slips to `draft`."""
    inside = np.abs(ground.motorway[:, 1]) < _END_M * ground.size
    axis = ground.motorway[inside]
    junctions = _junctions(art, axis)
    street = len(art.mesh.edges) + 10_000_000
    ends = [draft.add_node(*axis[0]), draft.add_node(*axis[-1])]
    for sign in (1.0, -1.0):
        way = beside(axis, sign * CARRIAGEWAY_M)
        way[0], way[-1] = axis[0], axis[-1]
        cuts: list[tuple[float, int]] = [(0.0, ends[0])]
        scale = float(stations(way)[-1] / stations(axis)[-1])
        for at, left, right in junctions:
            target = left if sign > 0 else right
            for offset in (-SLIP_M, SLIP_M):
                place = (at + offset) * scale
                node = draft.add_node(*along(way, np.array([place]))[0])
                cuts.append((place, node))
                # Driving with the axis on the left carriageway, against it on the right one.
                leaves = (offset < 0) == (sign > 0)
                slip = _slip(draft, way, place, (node, target), sign=sign, leaves=leaves)
                draft.pieces.append(DraftLink(*slip, "motorway_link", street + 1, one_way=True))
        cuts.append((float(stations(way)[-1]), ends[1]))
        _carriageway(draft, way, cuts, forward=sign > 0, street=street)


def _junctions(art: Arterials, axis: Line) -> list[tuple[float, int, int]]:
    """Where roads cross the verge, best roads first and far enough apart: metres, left, right."""
    mesh = art.mesh
    kinds = np.where(mesh.sides >= 0, mesh.kind[mesh.sides], -1)
    spans = np.flatnonzero((kinds == VERGE).all(axis=1) & (art.rank > RESIDENTIAL))
    steps, left = stations(axis), normals(axis)
    found: list[tuple[float, int, int]] = []
    for e in sorted(spans.tolist(), key=lambda e: (-int(art.rank[e]), e)):
        a, b = (int(n) for n in mesh.edges[e])
        middle = mesh.xy[[a, b]].mean(axis=0)
        i = int(np.argmin(np.hypot(*(axis - middle).T)))
        at = float(steps[i])
        if not 2 * SLIP_M < at < steps[-1] - 2 * SLIP_M:
            continue
        if all(abs(at - other) > _APART_M for other, *_ in found):
            a_is_left = float((mesh.xy[a] - middle) @ left[i]) > 0
            found.append((at, a, b) if a_is_left else (at, b, a))
    return sorted(found)


def _slip(
    draft: Draft, way: Line, place: float, ends: tuple[int, int], *, sign: float, leaves: bool
) -> tuple[int, int, Line]:
    """Draw the slip between a carriageway and a crossing road: from node, to node, line."""
    node, target = ends
    here, ahead = along(way, np.array([place, place + 8.0]))
    back = along(way, np.array([place - 8.0]))[0]
    forward = (ahead - back) / max(math.dist(ahead, back), 1e-9) * sign
    side = np.array([-forward[1], forward[0]])  # towards the verge: on the left of the traffic
    end = np.array(draft.xy[target])
    here = np.array(draft.xy[node])
    if leaves:
        into = 0.75 * forward + 0.66 * side
        line = hermite(here, end, forward, into)
        return node, target, line
    out = 0.75 * forward - 0.66 * side
    return target, node, hermite(end, here, out, forward)


def _carriageway(
    draft: Draft, way: Line, cuts: list[tuple[float, int]], *, forward: bool, street: int
) -> None:
    steps = stations(way)
    cuts = sorted(cuts)
    for (start, a), (stop, b) in pairwise(cuts):
        parts = max(1, round((stop - start) / 900.0))
        marks = np.linspace(start, stop, parts + 1)
        nodes = [a, *(draft.add_node(*xy) for xy in along(way, marks[1:-1])), b]
        for i in range(parts):
            line = along(way, _between(steps, float(marks[i]), float(marks[i + 1])))
            n, m = nodes[i], nodes[i + 1]
            piece = (n, m, line) if forward else (m, n, line[::-1])
            draft.pieces.append(DraftLink(*piece, "motorway", street, one_way=True))


def _between(steps: NDArray[np.float64], start: float, stop: float) -> NDArray[np.float64]:
    inner = steps[(steps > start + 4.0) & (steps < stop - 4.0)]
    return np.concatenate(([start], inner, [stop]))


def build_ferry(draft: Draft, ground: Landscape) -> None:
    """Join the two banks near the river's mouth by a ferry, between the nearest junctions."""
    nodes = sorted({n for piece in draft.pieces for n in (piece.a, piece.b)
                    if not piece.highway.startswith("motorway")})  # fmt: skip
    xy = np.array([draft.xy[n] for n in nodes])
    mouth = float(np.interp(ground.river[-1, 1], ground.coast[:, 1], ground.coast[:, 0]))
    middle = np.interp(xy[:, 0], ground.river[:, 0], ground.river[:, 1])
    near = np.abs(xy[:, 0] - mouth + 750.0 * ground.size) < 650.0 * ground.size
    best: list[int] = []
    for side in (1.0, -1.0):
        bank = np.flatnonzero(near & (side * (xy[:, 1] - middle) > 0))
        if len(bank) == 0:
            return
        target = mouth - 700.0 * ground.size
        cost = np.abs(xy[bank, 1] - middle[bank]) + 0.35 * np.abs(xy[bank, 0] - target)
        best.append(int(bank[np.argmin(cost)]))
    a, b = nodes[best[0]], nodes[best[1]]
    start, end = np.array(draft.xy[a]), np.array(draft.xy[b])
    chord = (end - start) / max(math.dist(start, end), 1e-9)
    swing = np.array([-chord[1], chord[0]]) * 0.25
    line = hermite(start, end, chord + swing, chord - swing, spacing_m=60.0)
    draft.pieces.append(DraftLink(a, b, line, "ferry", -1))
