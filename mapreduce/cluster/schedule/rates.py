"""How fast hosts are, and how long attempts will still take.

A worker's rate is learnt from its own attempts, so that an old Pi is measured against itself. Work
is counted in bytes, with what opening an object costs.
"""

from __future__ import annotations

from typing import Final

from mapreduce.cluster.schedule.tasks import Attempt

WEIGHT: Final = 0.3  # of a new sample
PRIOR: Final = 0.1  # of an attempt's work: how much its host's past weighs against its own pace
SHORTEST_S: Final = 1e-3


class Rate:
    """Work a second of one slot, learnt from finished attempts; None until one has finished."""

    def __init__(self) -> None:
        self.value: float | None = None

    def learn(self, cost: int, took_s: float) -> None:
        """Take a finished attempt into account."""
        sample = cost / max(took_s, SHORTEST_S)
        self.value = sample if self.value is None else self.value + WEIGHT * (sample - self.value)


def rest_s(attempt: Attempt, rate: float, now: float) -> float:
    """Estimate the seconds an attempt still takes at its worker.

    Its own pace so far, mixed with `PRIOR` of its work done at its host's rate: so the estimate
    begins as the host's own, follows what the attempt shows, and grows while it stands still.
    An attempt that waits for a slot takes its whole time.
    """
    cost = attempt.fragment.cost
    if attempt.started is None:
        return cost / rate
    prior = PRIOR * cost
    pace = (attempt.done_cost + prior) / (now - attempt.started + prior / rate)
    return (cost - attempt.done_cost) / pace
