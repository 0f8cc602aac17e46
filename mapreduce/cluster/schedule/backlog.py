"""Fragments that wait: for a slot, for a time, or for a worker of their own.

What was tried before goes first, elsewhere where there is an elsewhere; then tasks in the order
they were planned.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator

from mapreduce.cluster.schedule.tasks import Fragment, Place


class Backlog:
    """The waiting fragments, each in exactly one of four queues."""

    def __init__(self) -> None:
        self._fresh: deque[Fragment] = deque()
        self._again: dict[tuple[int, int], Fragment] = {}
        self._later: list[tuple[float, tuple[int, int], Fragment]] = []
        self.alone: deque[Fragment] = deque()

    @property
    def ready(self) -> int:
        """How many could start now."""
        return len(self._fresh) + len(self._again)

    def add(self, fragment: Fragment) -> None:
        """Queue a new task."""
        fragment.place = Place.READY
        self._fresh.append(fragment)

    def again(self, fragment: Fragment) -> None:
        """Queue what was tried before: by itself where it is suspected of killing its host."""
        if fragment.alone:
            fragment.place = Place.ALONE
            self.alone.append(fragment)
        else:
            fragment.place = Place.READY
            self._again[fragment.order] = fragment

    def later(self, fragment: Fragment, at: float) -> None:
        """Queue for a time."""
        fragment.place = Place.LATER
        heapq.heappush(self._later, (at, fragment.order, fragment))

    def due(self, now: float) -> list[Fragment]:
        """Take what has waited for its time."""
        taken = []
        while self._later and self._later[0][0] <= now:
            taken.append(heapq.heappop(self._later)[2])
        return taken

    def take(self, worker: str, elsewhere: Callable[[Fragment], bool]) -> Fragment | None:
        """Give the next fragment for a worker; one it has failed only if there is no elsewhere."""
        for order, fragment in self._again.items():
            if worker not in fragment.avoid or not elsewhere(fragment):
                del self._again[order]
                return fragment
        return self._fresh.popleft() if self._fresh else None

    def waiting(self) -> Iterator[Fragment]:
        """All of them (for checks)."""
        yield from self._fresh
        yield from self._again.values()
        yield from (f for _, _, f in self._later)
        yield from self.alone
