"""The road net while it is drawn: links between nodes, still free to be cut and joined.

Roads are cut where streets meet them, near doors become one crossing, nodes that only two
pieces of one road share are smoothed away, and what hangs together with nothing is dropped.
It never moves a node; it draws no roads of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from roadspeed.town.arterials import NONE, Arterials
from roadspeed.town.curves import Line, along, stations

if TYPE_CHECKING:
    from roadspeed.town.streets import Streets

HIGHWAY = ("", "residential", "tertiary", "secondary", "primary", "trunk")
_CROSSING_M = 32.0  # doors nearer than this to another, or to an edge's end, are one crossing
_LONGEST_JOINED_M = 420.0


@dataclass(slots=True)
class DraftLink:
    """One link in the making: end nodes, centre line in metres, class, street, direction."""

    a: int
    b: int
    line: Line
    highway: str
    street: int
    one_way: bool = False


@dataclass(slots=True)
class Draft:
    """Nodes in metres, and pieces between them."""

    xy: list[tuple[float, float]] = field(default_factory=list)
    pieces: list[DraftLink] = field(default_factory=list)

    def add_node(self, x: float, y: float) -> int:
        """Take a new node and return its number."""
        self.xy.append((float(x), float(y)))
        return len(self.xy) - 1


def join(art: Arterials, streets: Streets) -> Draft:
    """Roads between cells and streets within them, cut at every place where they meet."""
    draft = Draft([(float(x), float(y)) for x, y in art.mesh.xy])
    base = len(draft.xy)
    draft.xy += streets.xy
    doors: dict[int, list[tuple[float, int]]] = {}
    for d, (e, at) in enumerate(zip(streets.door_edge, streets.door_at, strict=True)):
        doors.setdefault(e, []).append((at, d))
    door_node: dict[int, int] = {}
    for e, (a, b) in enumerate(art.mesh.edges.tolist()):
        if art.rank[e] > NONE:
            highway = HIGHWAY[art.rank[e]]
            _cut(
                draft, (a, b), art.lines[e], highway=highway, street=int(art.street[e]),
                doors=doors.get(e, []), door_node=door_node,
            )  # fmt: skip
    first_row = len(art.mesh.edges)
    for a, b, line, highway, row in streets.links:
        end = door_node[-1 - b] if b < 0 else base + b
        start = base + a
        if end == start:
            continue
        line = line.copy()  # noqa: PLW2901 - the piece's own line, its ends on its nodes
        line[0], line[-1] = draft.xy[start], draft.xy[end]
        draft.pieces.append(DraftLink(start, end, line, highway, first_row + row))
    return draft


def _cut(
    draft: Draft, ends: tuple[int, int], line: Line, *, highway: str, street: int,
    doors: list[tuple[float, int]], door_node: dict[int, int],
) -> None:  # fmt: skip
    """Cut one road at its doors; near ones share a crossing, those near an end use the end."""
    steps = stations(line)
    length = float(steps[-1])
    groups: list[list[tuple[float, int]]] = []
    for at, d in sorted(doors):
        if at < _CROSSING_M or length - at < _CROSSING_M:
            door_node[d] = ends[0] if at < length - at else ends[1]
        elif groups and at - groups[-1][0][0] < _CROSSING_M:
            groups[-1].append((at, d))
        else:
            groups.append([(at, d)])
    places = [float(np.mean([at for at, _ in group])) for group in groups]
    nodes = []
    for place, group in zip(places, groups, strict=True):
        x, y = along(line, np.array([place]))[0]
        nodes.append(draft.add_node(x, y))
        for _, d in group:
            door_node[d] = nodes[-1]
    marks = [0.0, *places, length]
    names = [ends[0], *nodes, ends[1]]
    for i in range(len(marks) - 1):
        inner = steps[(steps > marks[i] + 0.5) & (steps < marks[i + 1] - 0.5)]
        part = along(line, np.concatenate(([marks[i]], inner, [marks[i + 1]])))
        draft.pieces.append(DraftLink(names[i], names[i + 1], part, highway, street))


def tidy(draft: Draft) -> Draft:
    """Keep what hangs together, then melt nodes that only join two pieces of one street."""
    pieces = _connected(draft)
    at: dict[int, list[int]] = {}
    for k, piece in enumerate(pieces):
        at.setdefault(piece.a, []).append(k)
        at.setdefault(piece.b, []).append(k)
    gone: set[int] = set()
    for node in sorted(at):
        if len(at[node]) != 2 or at[node][0] == at[node][1]:  # noqa: PLR2004 - two pieces meet
            continue
        first, second = (pieces[k] for k in at[node])
        if first.highway != second.highway or first.one_way or second.one_way:
            continue
        head = first.line if first.b == node else first.line[::-1]
        tail = second.line if second.a == node else second.line[::-1]
        start = first.a if first.b == node else first.b
        end = second.b if second.a == node else second.a
        line = np.vstack((head, tail[1:]))
        if start == end or float(stations(line)[-1]) > _LONGEST_JOINED_M:
            continue
        k, dropped = at.pop(node)
        pieces[k] = DraftLink(start, end, line, first.highway, min(first.street, second.street))
        gone.add(dropped)
        at[end] = [k if other == dropped else other for other in at[end]]
    return Draft(draft.xy, [piece for k, piece in enumerate(pieces) if k not in gone])


def _connected(draft: Draft) -> list[DraftLink]:
    group = list(range(len(draft.xy)))

    def root(node: int) -> int:
        while group[node] != node:
            group[node] = group[group[node]]
            node = group[node]
        return node

    for piece in draft.pieces:
        group[root(piece.a)] = root(piece.b)
    sizes = np.bincount([root(piece.a) for piece in draft.pieces])
    town = int(np.argmax(sizes))
    return [piece for piece in draft.pieces if root(piece.a) == town]
