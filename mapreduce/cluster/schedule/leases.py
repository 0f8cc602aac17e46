"""Leases: which attempt must be heard of by when.

A heap that is lazy: renewing a lease costs nothing here, since an entry that comes up before its
attempt's lease has ended is put back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from mapreduce.cluster.schedule.tasks import Attempt, Stage


class Leases:
    """The leases of living attempts."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Attempt]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, attempt: Attempt) -> None:
        """Watch an attempt, or one whose lease became shorter."""
        heapq.heappush(self._heap, (attempt.lease_until, attempt.number, attempt))

    def ended(self, now: float, living: dict[int, Attempt]) -> Iterator[Attempt]:
        """Give the attempts whose leases have ended, and watch them no more."""
        while self._heap and self._heap[0][0] <= now:
            _, number, attempt = heapq.heappop(self._heap)
            if living.get(number) is not attempt or attempt.stage is Stage.RECEIVED:
                continue
            if attempt.lease_until <= now:
                yield attempt
            else:
                self.add(attempt)

    def watched(self) -> set[int]:
        """Give the numbers of attempts whose leases will be seen to end (for checks)."""
        return {number for until, number, a in self._heap if until <= a.lease_until}
