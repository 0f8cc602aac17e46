"""The workers of a run: who is there, what each has, who has room.

A worker's attempts run in the order they were assigned, the first `slots` of them at once; the rest
wait there. Workers with room are kept in two rings (a slot free; room to wait), so that finding one
does not depend on how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from mapreduce.cluster.schedule.rates import Rate
from mapreduce.cluster.schedule.tasks import Attempt, Fragment


@dataclass(slots=True, eq=False)
class Worker:
    """One worker, over all its connections."""

    name: str
    slots: int
    connection: int
    heard: float
    connected: bool = True
    silent: bool = False
    leaving: bool = False
    aside_until: float | None = None
    asides: int = 0
    failures: int = 0  # since its last success
    successes: int = 0
    blamed: int = -1  # connection whose loss has been counted as a failure
    lost_at: float = float("-inf")  # when it was last heard of before it was lost
    queue: dict[int, Attempt] = field(default_factory=dict)  # it runs or has waiting, in order
    held: dict[int, Attempt] = field(default_factory=dict)  # whose results it holds
    rate: Rate = field(default_factory=Rate)
    guest: Fragment | None = None  # that is to run alone here, while it waits or runs

    @property
    def present(self) -> bool:
        """Whether it can be talked with."""
        return self.connected and not self.silent

    @property
    def usable(self) -> bool:
        """Whether it may get work."""
        return self.present and not self.leaving and self.aside_until is None

    @property
    def busy(self) -> int:
        """How many of its slots run something."""
        return min(self.slots, len(self.queue))

    def running(self) -> list[Attempt]:
        """Give the attempts that have its slots."""
        return list(islice(self.queue.values(), self.slots))

    def waiting(self) -> list[Attempt]:
        """Give the attempts that wait for a slot of it."""
        return list(islice(self.queue.values(), self.slots, None))


class Roster:
    """All workers that ever joined; at each, `prefetch` attempts a slot may wait."""

    def __init__(self, prefetch: int) -> None:
        self._prefetch = prefetch
        self.workers: dict[str, Worker] = {}
        self.idle: dict[str, None] = {}  # a slot is free
        self.roomy: dict[str, None] = {}  # no slot is free, but there is room to wait
        self.running = 0
        self.usable = 0
        self.slots = 0  # of the usable

    def join(self, worker: Worker) -> None:
        """Take in a new worker."""
        self.workers[worker.name] = worker
        self._count(worker, 1)
        self.place(worker)

    def change(self, worker: Worker, now: float, **values: object) -> None:
        """Set attributes on which it depends whether a worker may get work."""
        self._count(worker, -1)
        for name, value in values.items():
            setattr(worker, name, value)
        self._count(worker, 1)
        self._start(worker, now)
        self.place(worker)

    def queue(self, attempt: Attempt, now: float) -> None:
        """Put an attempt at the end of its worker's queue."""
        worker = self.workers[attempt.worker]
        self.running -= worker.busy
        worker.queue[attempt.number] = attempt
        self._settle(worker, now)

    def unqueue(self, attempt: Attempt, now: float) -> None:
        """Take an attempt from its worker; the next in its queue starts."""
        worker = self.workers[attempt.worker]
        self.running -= worker.busy
        worker.queue.pop(attempt.number, None)
        worker.held.pop(attempt.number, None)
        self._settle(worker, now)

    def hold(self, attempt: Attempt, now: float) -> None:
        """Take in that an attempt is done and its result held at its worker."""
        self.unqueue(attempt, now)
        worker = self.workers[attempt.worker]
        worker.held[attempt.number] = attempt
        self.place(worker)

    def place(self, worker: Worker) -> None:
        """Put a worker into the ring it belongs to, at its end."""
        self.idle.pop(worker.name, None)
        self.roomy.pop(worker.name, None)
        ring = self.ring(worker)
        if ring is not None:
            ring[worker.name] = None

    def ring(self, worker: Worker) -> dict[str, None] | None:
        """Which ring a worker belongs to."""
        room = worker.slots * (1 + self._prefetch) - len(worker.queue) - len(worker.held)
        if not worker.usable or worker.guest is not None or room <= 0:
            return None
        return self.idle if len(worker.queue) < worker.slots else self.roomy

    def elsewhere(self, fragment: Fragment) -> bool:
        """Whether a worker may get work that the fragment has not failed on."""
        avoided = sum(1 for n in fragment.avoid if n in self.workers and self.workers[n].usable)
        return self.usable > avoided

    def rate(self, worker: Worker) -> float | None:
        """Give a worker's rate; where it has none yet, the mean of the others'."""
        if worker.rate.value is not None:
            return worker.rate.value
        known = [w.rate.value for w in self.workers.values() if w.rate.value is not None]
        return sum(known) / len(known) if known else None

    def _count(self, worker: Worker, sign: int) -> None:
        if worker.usable:
            self.usable += sign
            self.slots += sign * worker.slots
        self.running += sign * worker.busy

    def _settle(self, worker: Worker, now: float) -> None:
        self.running += worker.busy
        self._start(worker, now)
        self.place(worker)

    def _start(self, worker: Worker, now: float) -> None:
        if not worker.present:
            return  # whether it still runs anything is not known
        for attempt in islice(worker.queue.values(), worker.slots):
            if attempt.started is None:
                attempt.started = attempt.moved = now
