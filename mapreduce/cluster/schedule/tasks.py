"""A task, its fragments, and attempts at them: the state that a schedule changes.

A task is a split that must commit exactly once. It begins as one fragment; what kills workers
halves it, and the fragments then cover the task's pieces between them. An attempt is one execution
of one fragment on one worker.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from mapreduce.cluster.schedule.commands import Crashed
from mapreduce.deaths import Strike
from mapreduce.plan import OPEN_COST_BYTES, Piece


class Stage(enum.Enum):
    """Where an attempt is."""

    LEASED = "running at its worker, or waiting there for a slot"
    OFFERED = "done, its partial waits to be pulled"
    RETURNING = "done, but its worker has to offer it anew after a broken connection"
    PULLING = "its partial is on its way"
    RECEIVED = "its partial is here"
    ENDED = "nothing is expected of it any more"


class Place(enum.Enum):
    """Where a fragment is."""

    READY = "waits for a slot"
    LATER = "waits for a time"
    ALONE = "waits for a worker of its own"
    OUT = "one or two attempts at it live"
    RECEIVED = "its partial is here"
    CRASHED = "its only object is quarantined"


@dataclass(slots=True, eq=False)
class Attempt:
    """One execution of a fragment. `started` is None while it waits for a slot."""

    number: int
    fragment: Fragment
    worker: str
    lease_until: float
    alone: bool = False
    speculative: bool = False
    stage: Stage = Stage.LEASED
    started: float | None = None
    progress: tuple[int, int] = (0, 0)  # objects, bytes
    moved: float = 0.0  # when progress last changed
    size_bytes: int = 0

    @property
    def done_cost(self) -> int:
        """Work done, in the unit of a fragment's cost."""
        objects, read_bytes = self.progress
        return min(read_bytes + objects * OPEN_COST_BYTES, self.fragment.cost)


@dataclass(slots=True, eq=False)
class Troubles:
    """What has befallen attempts at a fragment."""

    strikes: list[Strike] = field(default_factory=list)  # at objects of it
    unnamed: int = 0  # deaths of processes that did not tell at which object
    brushes: int = 0
    losses_alone: int = 0
    lost_hosts: set[str] = field(default_factory=set)  # that were lost with it alone
    lost: set[tuple[str, float]] = field(default_factory=set)  # all that were, and when
    losses: int = 0  # of workers that ran it, alone or not, as part of a greater fragment too
    evidence: float = 0.0  # that it is what losses alone come from, in nats
    expired: int = 0  # signatures, one after the other, while nothing was served
    expired_since: float = 0.0
    expired_tries: int = 0  # in all
    bugs: int = 0
    store_since: float | None = None
    store_tries: int = 0
    how: str = ""


@dataclass(slots=True, eq=False)
class Fragment:
    """Consecutive pieces of a task, [start, stop), that one attempt runs."""

    task: Task
    start: int
    stop: int
    cost: int  # bytes to read, and what opening each object costs in bytes
    place: Place = Place.READY
    attempts: list[Attempt] = field(default_factory=list)
    alone: bool = False
    avoid: set[str] = field(default_factory=set)
    troubles: Troubles = field(default_factory=Troubles)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What it reads."""
        return self.task.pieces[self.start : self.stop]

    @property
    def whole(self) -> bool:
        """Whether it is all of its task."""
        return self.stop - self.start == len(self.task.pieces)

    @property
    def order(self) -> tuple[int, int]:
        """Sort by this: the manifest's order."""
        return self.task.number, self.start


@dataclass(slots=True, eq=False)
class Task:
    """A split on its way to its commit. `open` counts fragments that are not settled."""

    number: int
    pieces: tuple[Piece, ...]
    fragments: list[Fragment] = field(default_factory=list)
    received: list[Attempt] = field(default_factory=list)
    crashed: list[Crashed] = field(default_factory=list)
    open: int = 0
    committing: bool = False
    control: bool = False  # read before, and again only to see whether that goes well


def cost_of(pieces: tuple[Piece, ...]) -> int:
    """Work that pieces are, in bytes."""
    return sum(p.read_bytes for p in pieces) + OPEN_COST_BYTES * len(pieces)


def undivided(number: int, pieces: tuple[Piece, ...]) -> Task:
    """Make a task of one fragment."""
    task = Task(number, pieces)
    task.fragments.append(Fragment(task, 0, len(pieces), cost_of(pieces)))
    task.open = 1
    return task


def halves(fragment: Fragment) -> list[Fragment]:
    """Replace a fragment by its two halves."""
    return _cut(fragment, ((fragment.start + fragment.stop) // 2,))


def parts(fragment: Fragment, ordinal: int) -> list[Fragment]:
    """Replace a fragment by one of its objects, and what lies before and behind it."""
    at = next(i for i, p in enumerate(fragment.pieces) if p.ordinal == ordinal) + fragment.start
    return _cut(fragment, (at, at + 1))


def _cut(fragment: Fragment, cuts: Iterable[int]) -> list[Fragment]:
    """Replace a fragment by what is between the cuts; all inherit what befell their objects."""
    task, made = fragment.task, []
    task.fragments.remove(fragment)
    bounds = sorted({fragment.start, *cuts, fragment.stop})
    for start, stop in itertools.pairwise(bounds):
        part = Fragment(task, start, stop, cost_of(task.pieces[start:stop]), alone=fragment.alone)
        of = {piece.ordinal for piece in part.pieces}
        part.troubles.losses = fragment.troubles.losses
        part.troubles.lost = set(fragment.troubles.lost)
        part.troubles.strikes = [s for s in fragment.troubles.strikes if s.ordinal in of]
        part.alone = part.alone or (stop - start == 1 and bool(part.troubles.strikes))
        task.fragments.append(part)
        made.append(part)
    task.open += len(made) - 1
    return made
