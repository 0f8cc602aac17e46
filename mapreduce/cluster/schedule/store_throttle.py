"""How hard the store may be asked: requests in flight in the whole cluster.

Halved when the store says it is too much, raised by an eighth while it does not; and since when the
store fails as a whole, which is so while nothing is read between its failures. Where no store is
asked, attempts are as many as there are slots.
"""

from __future__ import annotations

from typing import Final

from mapreduce.cluster.schedule.rules import Rules

FEWEST_UNPACED: Final = 2  # objects read at once by a slot where no store is asked: one ahead


class StoreThrottle:
    """The limit; since when the store fails, if it does; when something was last read."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._lowered = float("-inf")
        self._raised = float("-inf")
        self._quiet_since = float("-inf")
        self.limit = rules.max_requests
        self.failing_since: float | None = None
        self.served = float("-inf")

    def slow_down(self, now: float) -> None:
        """Take in that the store had too much: halve, at most once in `ease_s`."""
        self._quiet_since = now
        if now - self._lowered >= self._rules.ease_s:
            self.limit = max(1, self.limit // 2)
            self._lowered = now

    def failed(self, now: float) -> None:
        """Take in that the store failed an attempt."""
        self.slow_down(now)
        if self.failing_since is None:
            self.failing_since = now

    def succeeded(self, now: float) -> None:
        """Take in that an attempt could read an object."""
        self.failing_since = None
        self.served = now

    def tick(self, now: float) -> None:
        """Raise the limit a step where the store has been quiet."""
        since = now - max(self._raised, self._quiet_since)
        if self.limit < self._rules.max_requests and since >= self._rules.ease_s:
            self.limit = min(self._rules.max_requests, self.limit + max(1, self.limit // 8))
            self._raised = now

    def has_room(self, running: int) -> bool:
        """Whether one more attempt may run beside so many: each asks at least once at a time."""
        return not self._rules.asks or running < self.limit

    def requests_a_slot(self, slots: int) -> int:
        """How many requests each of so many slots may have in flight."""
        fewest = 1 if self._rules.asks else FEWEST_UNPACED
        return max(fewest, self.limit // max(1, slots))
