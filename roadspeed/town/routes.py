"""Quickest ways through the net, with some taste: trees to and from a few dozen places.

Everybody drives to or from a place (market, works, school, the map's edge), so one tree for
each place and taste answers all. A tree is a pure function of the net: kept or made anew, it
is the same. Time is the free one: the limit, and a few seconds at each junction.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roadspeed.town.network import Network

TASTES = 3  # quickest; a little wilful; rather not by motorway
_JUNCTION_S = 5.0
_PLACES = 40

Arc = tuple[int, bool]  # a link, and whether it is driven from its first vertex to its last


@dataclass(slots=True)
class Routes:
    """Where people go in a net, and how they get there."""

    net: Network
    places: list[int]
    gates: list[int]
    homes: NDArray[np.int64]
    _cost_s: list[list[float]] = field(default_factory=list)
    _out: list[list[tuple[int, int, bool]]] = field(default_factory=list)
    _in: list[list[tuple[int, int, bool]]] = field(default_factory=list)
    _trees: dict[tuple[int, bool, int], list[Arc | None]] = field(default_factory=dict)

    @classmethod
    def over(cls, net: Network, rng: np.random.Generator) -> Routes:
        """Choose places and homes in `net`."""
        links = np.array([h not in {"motorway", "motorway_link", "ferry"} for h in net.highway])
        nodes = np.unique(net.ends[links])
        far = np.hypot(*net.node_xy[nodes].T)
        weight = np.exp(-far / (0.5 * float(np.median(far))) * 0.9) + 0.02
        chosen = rng.choice(nodes, _PLACES, replace=False, p=weight / weight.sum())
        degree = np.bincount(net.ends.ravel(), minlength=len(net.node_xy))
        local = np.array([h in {"residential", "service"} for h in net.highway])
        homes = np.unique(net.ends[local])
        homes = np.concatenate((homes, homes[degree[homes] == 1]))
        fast = np.unique(net.ends[np.array([h == "motorway" for h in net.highway])])
        north = net.node_xy[fast, 1]
        west = nodes[np.argmin(net.node_xy[nodes, 0])]
        edge = [int(fast[np.argmax(north)]), int(fast[np.argmin(north)]), int(west)]
        routes = cls(net, chosen.tolist(), edge, homes)
        routes._weigh(rng)
        return routes

    def _weigh(self, rng: np.random.Generator) -> None:
        net = self.net
        free = net.length_m / (net.limit_kmh / 3.6) + _JUNCTION_S
        free[np.array([h == "ferry" for h in net.highway])] += 90.0
        fast = np.array([h.startswith("motorway") for h in net.highway])
        wilful = free * rng.uniform(0.7, 1.5, len(free))
        self._cost_s = [free.tolist(), wilful.tolist(), np.where(fast, 3 * free, free).tolist()]
        self._out = [[] for _ in net.node_xy]
        self._in = [[] for _ in net.node_xy]
        for link, (a, b) in enumerate(net.ends.tolist()):
            self._out[a].append((b, link, True))
            self._in[b].append((a, link, True))
            if not net.one_way[link]:
                self._out[b].append((a, link, False))
                self._in[a].append((b, link, False))

    def free_s(self, route: list[Arc]) -> float:
        """Seconds a route takes when nobody else is on the road."""
        cost = self._cost_s[0]
        return sum(cost[link] for link, _ in route)

    def to_place(self, start: int, place: int, taste: int) -> list[Arc]:
        """Find the way from node `start` to node `place`; empty if they are the same."""
        tree = self._tree(place, True, taste)
        route: list[Arc] = []
        node = start
        while node != place and (arc := tree[node]) is not None:
            route.append(arc)
            node = int(self.net.ends[arc[0], 1 if arc[1] else 0])
        return route

    def from_place(self, place: int, goal: int, taste: int) -> list[Arc]:
        """Find the way from node `place` to node `goal`; empty if they are the same."""
        tree = self._tree(place, False, taste)
        route: list[Arc] = []
        node = goal
        while node != place and (arc := tree[node]) is not None:
            route.append(arc)
            node = int(self.net.ends[arc[0], 0 if arc[1] else 1])
        return route[::-1]

    def _tree(self, root: int, towards: bool, taste: int) -> list[Arc | None]:
        key = (root, towards, taste)
        if key not in self._trees:
            self._trees[key] = self._grow(root, self._in if towards else self._out, taste)
        return self._trees[key]

    def _grow(
        self, root: int, adjacent: list[list[tuple[int, int, bool]]], taste: int
    ) -> list[Arc | None]:
        cost = self._cost_s[taste]
        best = [math.inf] * len(adjacent)
        best[root] = 0.0
        tree: list[Arc | None] = [None] * len(adjacent)
        queue = [(0.0, root)]
        while queue:
            d, node = heapq.heappop(queue)
            if d > best[node]:
                continue
            for other, link, forward in adjacent[node]:
                new = d + cost[link]
                if new < best[other]:
                    best[other] = new
                    tree[other] = (link, forward)
                    heapq.heappush(queue, (new, other))
        return tree
