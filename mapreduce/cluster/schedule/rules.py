"""The figures a schedule keeps to, each with its unit. Values alone: what follows is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from mapreduce.deaths import Doubt
from mapreduce.errors import UsageError


@dataclass(frozen=True, slots=True)
class Rules:
    """Figures of one run.

    Attributes
    ----------
    heartbeat_s, silent_s, lease_s
        A worker says how it fares every `heartbeat_s`; unheard for `silent_s` it gets no more
        work; unheard for `lease_s` its attempts are given to others.
    reconnect_s
        How long a worker whose connection broke may take to come back with what it holds.
    stuck_s
        An attempt whose progress stands still for so long counts as one that crashed.
    still_s
        An attempt whose progress stands still for so long may be tried by an idle worker as well,
        whatever is known of either's speed.
    prefetch
        Attempts that wait for a slot at the worker, a slot.
    budget_bytes
        Partials in the coordinator's memory, being pulled or committed.
    max_requests
        Store requests in flight in the whole cluster.
    asks
        Whether reading asks a store at all. Where it does not (what is read is on the coordinator's
        machine, or in a folder that every host sees) `max_requests` limits nothing.
    ease_s
        The store's limit is lowered once, and raised a step, in so long.
    store_deadline_s, nobody_deadline_s
        How long the store may fail, and the run be without workers, before it stops (resumable).
    store_wait_s
        First wait before a task the store failed is tried again; doubled each time, up to 30 s.
    strikes
        Deaths of processes at one object after which a task is parted there; of such as don't tell
        at which, after which an undivided one is halved.
    evidence
        How much it takes to convict an object that processes die at.
    brushes
        Losses of workers that ran a task among others, after which it runs alone on a worker.
    losses_alone, doubt, worker_life_s
        Losses of workers that ran nothing but one object, two hosts at least and not together with
        others, after which it is quarantined, if the chance that this came about without its fault
        is below `doubt`. How often workers are lost
        is learnt; before anything is learnt, once in `worker_life_s`.
    most_losses_alone
        Such losses after which the run stops (resumable) where they prove nothing.
    host_failures, aside_s
        Failures in a row after which a worker is set aside, and for how long the first time.
    signatures
        Expired URLs of one task, one after the other while nobody is served, that are the store's
        fault. Where others are served, the task is tried again as if the store had failed it.
    bugs
        Times a task may end in an error of this program before the run stops.
    gain
        A second attempt starts only if it takes less than the first one's rest divided by this.
    """

    heartbeat_s: float = 5.0
    silent_s: float = 15.0
    lease_s: float = 30.0
    reconnect_s: float = 10.0
    stuck_s: float = 1800.0
    still_s: float = 60.0
    prefetch: int = 1
    budget_bytes: int = 128 << 20
    max_requests: int = 64
    asks: bool = True
    ease_s: float = 5.0
    store_deadline_s: float = 300.0
    store_wait_s: float = 1.0
    nobody_deadline_s: float = 600.0
    strikes: int = 2
    evidence: Doubt = field(default_factory=Doubt)
    brushes: int = 2
    losses_alone: int = 3
    doubt: float = 1e-6
    worker_life_s: float = 3600.0
    most_losses_alone: int = 20
    host_failures: int = 3
    aside_s: float = 60.0
    signatures: int = 3
    bugs: int = 3
    gain: float = 1.3

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat_s < self.silent_s <= self.lease_s:
            raise UsageError(
                "expected heartbeat < silent <= lease, got"
                f" {self.heartbeat_s}, {self.silent_s}, {self.lease_s} s"
            )
        if self.max_requests < 1 or self.budget_bytes < 1:
            raise UsageError(
                "expected at least 1 request and 1 byte of budget, got"
                f" {self.max_requests} and {self.budget_bytes}"
            )
