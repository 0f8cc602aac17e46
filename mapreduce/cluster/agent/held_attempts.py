"""The attempts a worker has: waiting, running, done and not accepted yet, failed and not said yet.

Attempts begin in the order they were given, but none while the partials kept exceed their budget;
an end that comes of one that was forgotten is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mapreduce.attempts.slot_messages import Done
from mapreduce.cluster.protocol.messages import Failed, Offer, Progress, Task


@dataclass(frozen=True, slots=True)
class HeldResult:
    """A finished attempt: its offer, its packed partial, and how far it is."""

    offer: Offer
    partial: bytes
    progress: Progress


@dataclass(slots=True)
class HeldAttempts:
    """What a worker has; no attempt begins while `kept_bytes` of partials reach `budget_bytes`."""

    budget_bytes: int
    waiting: dict[int, Task] = field(default_factory=dict)
    running: dict[int, Task] = field(default_factory=dict)
    kept: dict[int, HeldResult] = field(default_factory=dict)
    unsaid: dict[int, Failed] = field(default_factory=dict)
    kept_bytes: int = 0

    @property
    def holding(self) -> tuple[int, ...]:
        """Every attempt there is something of."""
        return (*self.running, *self.waiting, *self.kept, *self.unsaid)

    @property
    def at_hand(self) -> bool:
        """Whether anything runs, or is done and not handed over."""
        return bool(self.running or self.kept or self.unsaid)

    def start(self) -> Task | None:
        """Give the next attempt to run; None where there is none, or no room for what it gives."""
        if not self.waiting or self.kept_bytes >= self.budget_bytes:
            return None
        attempt = next(iter(self.waiting))
        task = self.running[attempt] = self.waiting.pop(attempt)
        return task

    def keep(self, done: Done) -> Offer | None:
        """Take a running attempt's result; None where it has been forgotten."""
        task = self.running.pop(done.number, None)
        if task is None:
            return None
        offer = Offer(done.number, len(done.partial), done.ledger, done.cost)
        read_bytes = sum(p.read_bytes for p in task.pieces)
        progress = Progress(done.number, len(task.pieces), read_bytes)
        self.kept[done.number] = HeldResult(offer, done.partial, progress)
        self.kept_bytes += len(done.partial)
        return offer

    def fail(self, failed: Failed) -> bool:
        """Take in that a running attempt failed; False where it has been forgotten."""
        if self.running.pop(failed.attempt, None) is None:
            return False
        self.unsaid[failed.attempt] = failed
        return True

    def forget(self, attempt: int) -> bool:
        """Forget an attempt; whether it was running."""
        self.waiting.pop(attempt, None)
        self.unsaid.pop(attempt, None)
        kept = self.kept.pop(attempt, None)
        if kept is not None:
            self.kept_bytes -= len(kept.partial)
        return self.running.pop(attempt, None) is not None
