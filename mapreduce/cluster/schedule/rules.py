"""The figures a schedule keeps to, each with its unit."""

from __future__ import annotations

from dataclasses import dataclass, field

from mapreduce.deaths import Doubt
from mapreduce.errors import UsageError


@dataclass(frozen=True, slots=True)
class Rules:
    """Figures of one run. Where it stops for one of them, it can be resumed."""

    heartbeat_s: float = 5.0  # a worker says how it fares so often
    silent_s: float = 15.0  # unheard for so long it gets no more work
    lease_s: float = 30.0  # unheard for so long its attempts are given to others
    reconnect_s: float = 10.0  # for one whose connection broke to come back with what it holds
    stuck_s: float = 1800.0  # an attempt whose progress stands still for so long has crashed
    still_s: float = 60.0  # one that stands still for so long may be tried by an idle worker too
    prefetch: int = 1  # attempts that wait for a slot at the worker, a slot
    budget_bytes: int = 128 << 20  # of partials in the coordinator's memory, pulled or committed
    max_requests: int = 64  # to the store, in flight in the whole cluster
    # Whether reading asks a store at all. Where it does not (what is read is on the coordinator's
    # machine, or in a folder that every host sees) `max_requests` limits nothing.
    asks: bool = True
    ease_s: float = 5.0  # the store's limit is lowered once, and raised a step, in so long
    store_deadline_s: float = 300.0  # how long the store may fail before the run stops
    store_wait_s: float = 1.0  # before a task that it failed is tried again; doubled up to 30 s
    nobody_deadline_s: float = 600.0  # how long the run may be without workers before it stops
    # Deaths of processes at one object after which a task is parted there; of such as don't tell at
    # which, after which an undivided one is halved.
    strikes: int = 2
    evidence: Doubt = field(default_factory=Doubt)  # to convict an object that processes die at
    brushes: int = 2  # losses of workers that ran a task among others, after which it runs alone
    # Losses of workers that ran nothing but one object, two hosts at least and not together with
    # others, after which it is quarantined, if the chance that this came about without its fault
    # is below `doubt`. How often workers are lost is learnt; until then, once in `worker_life_s`.
    losses_alone: int = 3
    doubt: float = 1e-6
    worker_life_s: float = 3600.0
    most_losses_alone: int = 20  # such losses after which the run stops where they prove nothing
    host_failures: int = 3  # in a row, after which a worker is set aside
    aside_s: float = 60.0  # for how long the first time
    # Expired URLs of one task, one after the other while nobody is served, that are the store's
    # fault. Where others are served, the task is tried again as if the store had failed it.
    signatures: int = 3
    bugs: int = 3  # times a task may end in an error of this program before the run stops
    gain: float = 1.3  # a second attempt starts if it takes less than the first's rest by this

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
