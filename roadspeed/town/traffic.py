"""What the net is like to drive: finely divided tracks, crossings, lights, and the rush.

Everything that depends on the net alone is prepared here once, so that a trip is a few gathers
from these arrays. It knows no driver and draws nothing while trips are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from roadspeed.town.curves import Line
    from roadspeed.town.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_RANK = {"service": 0, "residential": 1, "ferry": 1, "tertiary": 2, "secondary": 3, "primary": 4,
         "motorway_link": 4, "trunk": 5, "motorway": 6}  # fmt: skip
# Free speed as a share of the limit, and how much of it the worst rush takes, by class.
_FREE = {"service": 0.8, "residential": 0.86, "motorway": 0.97, "ferry": 0.95, "trunk": 0.97}
_JAM = {"service": 0.05, "residential": 0.16, "tertiary": 0.34, "secondary": 0.44, "primary": 0.5,
        "trunk": 0.55, "motorway": 0.52, "motorway_link": 0.5, "ferry": 0.0}  # fmt: skip
_STEP_M = 12.0


@dataclass(frozen=True, slots=True)
class Tracks:
    """Per link (m,), per node (n,) and per vertex what driving needs; speeds in m/s.

    `xy[first[k]:first[k + 1]]` is link k's line, divided about every 12 m. `inward` is the
    cosine of its direction towards the market square. `signals`, `degree` and `top_rank` are
    of nodes.
    """

    xy: Line
    first: Ints
    length_m: Floats
    free_ms: Floats
    jam_depth: Floats
    inward: Floats
    rank: Ints
    ferry: NDArray[np.bool_]
    ends: Ints
    signals: NDArray[np.bool_]
    degree: Ints
    top_rank: Ints

    def shared_node(self, here: Ints, following: Ints) -> Ints:
        """Return the node at which link `here` passes into link `following`, each (k,)."""
        a, b = self.ends[here].T
        c, d = self.ends[following].T
        return np.asarray(np.where((b == c) | (b == d), b, a))


def lay_tracks(net: Network, rng: np.random.Generator) -> Tracks:
    """Prepare `net` for driving."""
    xy, first = _divide(net)
    rank = np.array([_RANK[h] for h in net.highway])
    n = len(net.node_xy)
    degree = np.bincount(net.ends.ravel(), minlength=n)
    top = np.zeros(n, dtype=np.int64)
    arms = np.zeros(n, dtype=np.int64)
    np.maximum.at(top, net.ends.ravel(), np.repeat(rank, 2))
    np.add.at(arms, net.ends.ravel(), np.repeat((rank > 1).astype(np.int64), 2))
    chance = np.where(arms > 2, 0.75, np.where(degree > 3, 0.3, 0.06))  # noqa: PLR2004 - main arms
    centre = np.hypot(*net.node_xy.T) < 0.35 * np.median(np.hypot(*net.node_xy.T))
    chance = np.where(centre & (degree > 3), 0.42, chance)  # noqa: PLR2004 - a crossroads
    signals = (top < 6) & (rng.random(n) < chance)  # noqa: PLR2004 - none on the motorway
    start, end = net.xy[net.first[:-1]], net.xy[net.first[1:] - 1]
    direction, middle = end - start, (start + end) / 2
    scale = np.hypot(*direction.T) * np.hypot(*middle.T)
    inward = -(direction * middle).sum(axis=1) / np.maximum(scale, 1e-6)
    free = np.array([_FREE.get(h, 0.93) for h in net.highway]) * net.limit_kmh / 3.6
    free *= rng.uniform(0.93, 1.05, len(free))
    jam = np.array([_JAM[h] for h in net.highway]) * np.where(net.urban, 1.0, 0.45)
    return Tracks(
        xy, first, net.length_m, free, jam, inward, rank,
        np.array([h == "ferry" for h in net.highway]), net.ends, signals, degree, top,
    )  # fmt: skip


def _divide(net: Network) -> tuple[Line, Ints]:
    """All links divided evenly, in one interpolation over their joined stations."""
    steps = np.hypot(*np.diff(net.xy, axis=0).T)
    steps[net.first[1:-1] - 1] = 1.0  # from one link's end to the next one's start
    station = np.concatenate(([0.0], np.cumsum(steps)))
    begin, end = station[net.first[:-1]], station[net.first[1:] - 1]
    count = np.maximum(np.ceil((end - begin) / _STEP_M).astype(np.int64), 2) + 1
    first = np.concatenate(([0], np.cumsum(count)))
    link = np.repeat(np.arange(len(count)), count)
    share = (np.arange(len(link)) - first[link]) / (count[link] - 1)
    at = begin[link] + share * (end - begin)[link]
    return np.column_stack([np.interp(at, station, net.xy[:, axis]) for axis in (0, 1)]), first


def rush(hour: Floats, inward: Floats, working_day: bool) -> Floats:
    """How bad the rush is, 0 to 1, at `hour` of the day for travel `inward` (-1 to 1), (k,)."""
    if not working_day:
        return np.asarray(0.25 * np.exp(-(((hour - 13.5) / 3.0) ** 2)))
    morning = np.exp(-(((hour - 8.1) / 0.9) ** 2))
    evening = np.exp(-(((hour - 17.2) / 1.1) ** 2))
    into = morning * (0.35 + 0.65 * np.clip(1.6 * inward, 0.0, 1.0))
    out = evening * (0.35 + 0.65 * np.clip(-1.6 * inward, 0.0, 1.0))
    midday = 0.15 * np.exp(-(((hour - 13.0) / 2.5) ** 2))
    return np.asarray(np.maximum(np.maximum(into, out), midday))
