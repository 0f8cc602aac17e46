"""How one car moves along its route: speed and place at every second.

The speed a driver would like follows the limit, the driver's temper and the hour; it is cut at
bends to what sideways acceleration allows (v² = a r), at junctions to a turn, a halt or a wait.
Acceleration and braking then join these wishes: with constant acceleration a, v² is linear in
distance, so both are one running minimum of v² ∓ 2 a s. No fix is made here, only motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadspeed.town.traffic import Tracks, rush

if TYPE_CHECKING:
    from roadspeed.town.curves import Line
    from roadspeed.town.errands import Errand

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Chance to find the lights red, by rank of the road one comes from (service to motorway).
_HALT = np.array([0.42, 0.42, 0.4, 0.36, 0.3, 0.14, 0.0])


@dataclass(frozen=True, slots=True)
class Drive:
    """Motion of one car: the way it took, and where it was on it each second.

    Attributes
    ----------
    way, way_s
        Vertices (n, 2) in metres, and metres driven at each, (n,).
    way_link, way_forward
        Link under the stretch that begins at each vertex, and its direction of travel, (n,).
    curvature
        1/m, positive to the left, (n,).
    s_m, v_ms
        Metres driven and speed in m/s at seconds 0, 1, 2, …, (k,).
    """

    way: Line
    way_s: Floats
    way_link: Ints
    way_forward: NDArray[np.bool_]
    curvature: Floats
    s_m: Floats
    v_ms: Floats


def drive(tracks: Tracks, errand: Errand, rng: np.random.Generator) -> Drive:
    """Drive an errand's legs with a temper of its own."""
    temper = float(np.clip(rng.normal(1.0, 0.07), 0.82, 1.2))
    links = np.array([arc[0] for leg in errand.legs for arc in leg], dtype=np.int64)
    forward = np.array([arc[1] for leg in errand.legs for arc in leg], dtype=np.bool_)
    stop_after = np.zeros(len(links), dtype=np.bool_)
    stop_after[np.cumsum([len(leg) for leg in errand.legs]) - 1] = True
    way, link_of, starts = _lay(tracks, links, forward)
    s = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(way, axis=0).T))))
    curvature, corner = _curvature(way, s)
    wish = _wish(tracks, errand, rng, links=links, forward=forward, temper=temper)[link_of]
    wish = wish * _sway(s, rng)
    side = (2.1 + 1.0 * rng.random()) * temper
    bend = np.sqrt(side / np.maximum(np.abs(curvature), 1e-4))
    wish = np.minimum(wish, np.minimum(bend, np.where(corner > 0.5, 6.4 - 1.6 * corner, 99.0)))  # noqa: PLR2004 - radians
    wish = np.maximum(wish, 1.8)
    wait = _junctions(
        tracks, errand, rng, links=links, stop_after=stop_after, starts=starts, wish=wish
    )
    speed = _join(wish, s, 1.15 * temper + 0.3 * rng.random(), 1.5 * temper + 0.4 * rng.random())
    at_s, at_v = _clock(s, speed, wait)
    return Drive(way, s, links[link_of], forward[link_of], curvature, at_s, at_v)


def _lay(tracks: Tracks, links: Ints, forward: NDArray[np.bool_]) -> tuple[Line, Ints, Ints]:
    """Put the links' tracks one behind the other; shared nodes once. Also where each begins."""
    count = tracks.first[links + 1] - tracks.first[links]
    step = np.where(forward, 1, -1)
    base = np.where(forward, tracks.first[links], tracks.first[links + 1] - 1)
    take = count - 1
    take[-1] += 1
    starts = np.concatenate(([0], np.cumsum(take)[:-1]))
    link_of = np.repeat(np.arange(len(links)), take)
    within = np.arange(len(link_of)) - starts[link_of]
    return tracks.xy[base[link_of] + step[link_of] * within], link_of, starts


def _curvature(way: Line, s: Floats) -> tuple[Floats, Floats]:
    """Curvature over some 40 m (1/m), and the sharpest turn at each vertex (radians, absolute)."""
    delta = np.diff(way, axis=0)
    heading = np.unwrap(np.arctan2(delta[:, 1], delta[:, 0]))
    turn = np.zeros(len(way))
    turn[1:-1] = np.diff(heading)
    turn[np.abs(turn) > 2.6] = 0.0  # turned round while parked  # noqa: PLR2004 - radians
    total = np.concatenate(([0.0], np.cumsum(turn)))
    low = np.maximum(np.arange(len(way)) - 1, 0)
    high = np.minimum(np.arange(len(way)) + 2, len(way))
    ahead, behind = np.minimum(high, len(way) - 1), np.maximum(low - 1, 0)
    return (total[high] - total[low]) / np.maximum(s[ahead] - s[behind], 12.0), np.abs(turn)


def _wish(
    tracks: Tracks, errand: Errand, rng: np.random.Generator, *, links: Ints,
    forward: NDArray[np.bool_], temper: float,
) -> Floats:  # fmt: skip
    """Speed in m/s the driver would like on each link of the route at the time he gets there."""
    free = tracks.free_ms[links]
    hour = errand.hour + np.cumsum(tracks.length_m[links] / free) * 1.4 / 3600.0
    inward = np.where(forward, tracks.inward[links], -tracks.inward[links])
    jam = rush(hour, inward, errand.working_day) * tracks.jam_depth[links]
    luck = rng.normal(1.0, 0.045, len(links))
    return np.asarray(free * temper * np.clip(luck, 0.85, 1.12) * (1.0 - np.clip(jam, 0.0, 0.85)))


def _sway(s: Floats, rng: np.random.Generator) -> Floats:
    """Nobody holds a speed: a factor near 1 that changes every hundred metres or so."""
    knots = rng.normal(1.0, 0.05, int(s[-1] // 90.0) + 2)
    return np.interp(s, np.arange(len(knots)) * 90.0, knots)


def _junctions(
    tracks: Tracks, errand: Errand, rng: np.random.Generator, *, links: Ints,
    stop_after: NDArray[np.bool_], starts: Ints, wish: Floats,
) -> Floats:  # fmt: skip
    """Cut `wish` where the car halts or gives way, and return the seconds it waits there."""
    wait = np.zeros(len(wish))
    here, following = links[:-1], links[1:]
    k = len(here)
    draw, patience = rng.random(k), rng.random(k)
    node = tracks.shared_node(here, following)
    before, after = tracks.rank[here], tracks.rank[following]
    crossing = tracks.degree[node] > 2  # noqa: PLR2004 - two links meet at every node
    busy = 1.0 + 0.5 * rush(np.full(k, errand.hour), np.zeros(k), errand.working_day)
    lights = crossing & tracks.signals[node] & (before < 6)  # noqa: PLR2004 - the motorway has none
    halted = lights & (draw < _HALT[before] * busy)
    yields = crossing & ~lights & (tracks.top_rank[node] > before)
    halted_there = yields & (draw < 0.4 * busy)
    equal = crossing & ~lights & ~yields & (before < 2) & (draw < 0.5)  # noqa: PLR2004 - local streets
    line = np.maximum(starts[1:] - 1, 0)  # the last vertex before the node
    slow = np.where(yields, 3.2 + 2.0 * patience, np.where(equal, 4.5 + 2.0 * patience, 99.0))
    slow = np.where(lights & ~halted & (after < before), 8.0, slow)
    wish[line] = np.minimum(wish[line], slow)
    wait[line] = np.where(halted, 3.0 + 34.0 * patience * busy, 0.0)
    wait[line] += np.where(halted_there, 1.0 + 9.0 * patience**2 * busy, 0.0)
    parked = stop_after[:-1] | (tracks.ferry[following] & ~tracks.ferry[here])
    wait[starts[1:][parked]] = rng.uniform(15.0, 75.0, int(parked.sum()))
    # On the motorway a log begins and ends as the car crosses the map's edge.
    inside = tracks.rank[links[[0, -1]]] < 6  # noqa: PLR2004 - the motorway's rank
    wait[0], wait[-1] = inside * (rng.uniform(4.0, 20.0), rng.uniform(4.0, 15.0))
    wish[wait > 0.0] = 0.0
    return wait


def _join(wish: Floats, s: Floats, gain: float, brake: float) -> Floats:
    """Reach the wishes with constant acceleration `gain` and braking `brake` in m/s²."""
    square = wish * wish
    square = np.minimum.accumulate(square - 2 * gain * s) + 2 * gain * s
    back = np.minimum.accumulate((square + 2 * brake * s)[::-1])[::-1] - 2 * brake * s
    return np.sqrt(np.maximum(back, 0.0))


def _clock(s: Floats, speed: Floats, wait: Floats) -> tuple[Floats, Floats]:
    """Place and speed at whole seconds: speed is linear in time between vertices."""
    pace = 2.0 * np.diff(s) / np.maximum(speed[:-1] + speed[1:], 1.0)
    arrive = np.concatenate(([0.0], np.cumsum(pace))) + np.concatenate(
        ([0.0], np.cumsum(wait[:-1]))
    )
    clock = np.column_stack((arrive, arrive + wait)).ravel()
    place = np.repeat(s, 2)
    pedal = np.repeat(speed, 2)
    seconds = np.arange(int(clock[-1]) + 1, dtype=np.float64)
    i = np.clip(np.searchsorted(clock, seconds, side="right") - 1, 0, len(clock) - 2)
    span = np.maximum(clock[i + 1] - clock[i], 1e-6)
    share = np.clip((seconds - clock[i]) / span, 0.0, 1.0)
    v = pedal[i] + share * (pedal[i + 1] - pedal[i])
    ahead = share * span * (pedal[i] + v) / 2.0
    return np.minimum(place[i] + ahead, place[i + 1]), v
