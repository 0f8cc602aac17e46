"""Engines: the same job, split and attempt, run somewhere.

An engine takes splits as they are listed and gives outcomes in any order, each exactly once a
split. It owns retries and the narrowing down of what kills a worker; it never merges across what
it was not asked to, and never decides what a result means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from mapreduce.attempt import Limits
from mapreduce.job import JobName
from mapreduce.ledger import Cost, Ledger
from mapreduce.plan import Piece, Split

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from mapreduce.objects import Location


class Outcome(msgspec.Struct, frozen=True):
    """What attempts over whole splits brought: their numbers, one packed partial, one ledger."""

    splits: tuple[int, ...]
    partial: bytes
    ledger: Ledger
    cost: Cost


class Advance(msgspec.Struct, frozen=True):
    """Objects and bytes done inside attempts since the last one: for progress alone."""

    objects: int
    read_bytes: int


Event: TypeAlias = Outcome | Advance


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that an engine needs to know of a run."""

    job: JobName
    limits: Limits
    locate: Callable[[Piece], Location]


class Engine(Protocol):
    """Where attempts run."""

    @property
    def name(self) -> str:
        """What the receipt calls it."""

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        """Run every split once, giving outcomes and advances as they come."""
