"""Who drives when, and where to: the plan of one trip before anybody moves.

Mornings lead into town, evenings out of it, on working days; the rest is errands, rounds of
deliveries, and traffic that only passes through. A trip goes on from stop to stop until its
time is about used up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roadspeed.town.routes import TASTES, Arc, Routes

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_S, LONGEST_S = 300, 4000
FIRST_DAY = np.datetime64("2019-05-06T00:00:00", "s")  # a Monday; four weeks from here
_WEEKEND = 5
_SLOWER_THAN_FREE = 1.32  # what a trip takes, over the free time of its route


@dataclass(frozen=True, slots=True)
class Errand:
    """A trip's plan: start (UTC, which is the town's time), legs between stops, seconds wanted."""

    start: np.datetime64
    hour: float
    working_day: bool
    legs: list[list[Arc]]
    wanted_s: float


def plan_errand(routes: Routes, rng: np.random.Generator) -> Errand:
    """Draw one trip's plan."""
    day = int(rng.integers(28))
    working = day % 7 < _WEEKEND
    kind = rng.random()
    inbound, outbound = working and kind < 0.34, working and 0.34 <= kind < 0.66  # noqa: PLR2004 - shares
    if inbound:
        hour = rng.normal(7.9, 0.55)
    elif outbound:
        hour = rng.normal(17.1, 0.7)
    else:
        hour = rng.choice([rng.uniform(9.0, 21.5), rng.normal(13.0, 3.0), rng.uniform(0.0, 23.9)],
                          p=[0.6, 0.35, 0.05])  # fmt: skip
    hour = float(min(max(hour, 0.0), 23.5))
    wanted = float(min(max(np.exp(rng.normal(7.44, 0.5)), SHORTEST_S), LONGEST_S))
    taste = int(rng.integers(TASTES))
    through = not (inbound or outbound) and rng.random() < 0.22  # noqa: PLR2004 - a share
    legs: list[list[Arc]] = []
    while not legs:
        legs = _legs(routes, rng, wanted, taste, inbound=inbound, through=through)
    second = np.timedelta64(day * 86_400 + round(hour * 3600.0), "s")
    return Errand(FIRST_DAY + second, hour, working, legs, wanted)


def _legs(
    routes: Routes, rng: np.random.Generator, wanted_s: float, taste: int, *,
    inbound: bool, through: bool,
) -> list[list[Arc]]:  # fmt: skip
    def place() -> int:
        return routes.places[int(rng.integers(len(routes.places)))]

    def home() -> int:
        return int(routes.homes[int(rng.integers(len(routes.homes)))])

    here = home() if inbound else place()
    at_place = not inbound
    if through:
        here, gate = rng.permutation(routes.gates)[:2].tolist()
        return [leg] if (leg := routes.to_place(here, gate, 0)) else []
    legs: list[list[Arc]] = []
    spent = 0.0
    for _ in range(60):
        if spent >= wanted_s * 0.97:
            break
        go_home = at_place and rng.random() < 0.62  # noqa: PLR2004 - a share
        goal = home() if go_home else place()
        route_to: Callable[[int, int, int], list[Arc]]
        route_to = routes.from_place if go_home else routes.to_place
        leg = route_to(here, goal, taste)
        if not leg:
            continue
        legs.append(leg)
        spent += _SLOWER_THAN_FREE * routes.free_s(leg) + 30.0
        here, at_place = goal, not go_home
    return legs
