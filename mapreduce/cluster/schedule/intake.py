"""Offers: which partials are pulled when, within the memory set aside for them.

First come, first pulled. Bytes count from the pull until the task is committed. One partial may
always be on its way when nothing else is being pulled or committed, so that parts of a narrowed
task, held until it is whole, can never block it.
"""

from __future__ import annotations

from collections import deque

from mapreduce.cluster.schedule.tasks import Attempt, Stage


class Intake:
    """The queue of offers, and the memory they may take."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.reserved_bytes = 0  # of partials being pulled, held and committed
        self.busy = 0  # partials pulled or committed, which free their memory by themselves
        self._offers: deque[Attempt] = deque()

    def offer(self, attempt: Attempt) -> None:
        """Queue an offer."""
        self._offers.append(attempt)

    def take(self) -> Attempt | None:
        """Give the next attempt to pull, its memory set aside; None where there is none or no room.

        Skips what is not offered any more, and fragments of which a partial is already coming.
        """
        while self._offers:
            attempt = self._offers[0]
            if attempt.stage is not Stage.OFFERED or is_coming(attempt):
                self._offers.popleft()  # a fragment's second offer is queued again if it is needed
                continue
            if self.busy and self.reserved_bytes + attempt.size_bytes > self.budget_bytes:
                return None
            self._offers.popleft()
            self.reserve(attempt.size_bytes)
            return attempt
        return None

    def reserve(self, size_bytes: int) -> None:
        """Set memory aside for a partial that is coming, or has come."""
        self.reserved_bytes += size_bytes
        self.busy += 1

    def queued(self) -> set[int]:
        """Give the numbers of attempts in the queue (for checks)."""
        return {a.number for a in self._offers}

    def hold(self) -> None:
        """Take in that one pulled partial waits for the rest of its task."""
        self.busy -= 1

    def commit(self, held: int) -> None:
        """Take in that so many held partials are being committed."""
        self.busy += held

    def free(self, size_bytes: int) -> None:
        """Give back the memory of a partial that was being pulled or committed."""
        self.reserved_bytes -= size_bytes
        self.busy -= 1


def is_coming(attempt: Attempt) -> bool:
    """Whether another attempt's partial of the same fragment is on its way."""
    return any(a.stage is Stage.PULLING for a in attempt.fragment.attempts if a is not attempt)
