"""Engines: the same job, split and attempt, run somewhere.

An engine takes splits as they are listed and gives outcomes in any order, each exactly once a
split. It owns retries and the narrowing down of what kills a worker; it never merges across what
it was not asked to, and never decides what a result means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from mapreduce.errors import ObjectError
from mapreduce.job.name import JobName
from mapreduce.ledger import Cost, Ledger, Quarantined
from mapreduce.limits import Limits
from mapreduce.objects import Awaited
from mapreduce.plan import Piece, Split
from mapreduce.tables.partial import Partial
from mapreduce.tables.table import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from mapreduce.objects import Location, Spread

    Packed: TypeAlias = bytes | bytearray
    """A packed partial: as it was made, or as it was received."""
else:
    Packed = bytes  # what msgspec makes of one that comes in a message


class Outcome(msgspec.Struct, frozen=True):
    """What attempts over whole splits brought: their numbers, one packed partial, one ledger."""

    splits: tuple[int, ...]
    partial: Packed
    ledger: Ledger
    cost: Cost


class CheckedOutcome(Outcome, frozen=True):
    """One whose partial was unpacked to check it: so that nobody does that again."""

    unpacked: Partial


class Advance(msgspec.Struct, frozen=True):
    """Objects and bytes done inside attempts since the last one: for progress alone.

    One of nothing is a sign of life, where nothing happens for a while.
    """

    objects: int
    read_bytes: int


Event: TypeAlias = Outcome | Advance | Awaited
PULSE_S: Final = 1.0  # how often an engine gives a sign of life
STILL: Final = Advance(0, 0)


@dataclass(frozen=True, slots=True)
class Sites:
    """Where an engine's workers find input, as its own settings say.

    Attributes
    ----------
    endpoints, region
        Nodes of S3-compatible storage.
    nearest
        For hosts that have one, the node that each asks first.
    shared
        Folders that every host sees at the same paths.
    """

    endpoints: tuple[str, ...] = ()
    region: str | None = None
    nearest: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that an engine needs to know of a run.

    `spread` is the store, where it has nodes of which the engine may choose; `asks` is whether
    reading asks a store at all, which then is not to be asked too much at once.
    """

    job: JobName
    limits: Limits
    locate: Callable[[Piece], Location]
    schemas: tuple[Schema, ...] = ()
    spread: Spread | None = None
    asks: bool = True


class Share(msgspec.Struct, frozen=True):
    """What a host did in a run, and what befell it.

    `lost` counts how often its agent was gone, `set_aside` how often it got no work for a while
    because it kept failing; `throttled` is whether it ever said so of itself; `why` is the last
    reason that it took no part, of those told.
    """

    host: str
    tasks: int
    bytes: int
    lost: int = 0
    set_aside: int = 0
    throttled: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Manning:
    """How many slots an engine had, and for how many seconds each could work, all together.

    `hosts` are those of an engine that has any.
    """

    slots: int
    slots_s: float
    hosts: tuple[Share, ...] = ()


@runtime_checkable
class Manned(Protocol):
    """An engine that knows its slots."""

    @property
    def manning(self) -> Manning | None:
        """What it had, once a run has ended."""


class Engine(Protocol):
    """Where attempts run."""

    @property
    def name(self) -> str:
        """What the receipt calls it."""

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        """Run every split once, giving outcomes and advances as they come."""


@runtime_checkable
class Sited(Protocol):
    """An engine that has settings of its own on where input is."""

    @property
    def sites(self) -> Sites:
        """Give them."""


def located(
    pieces: Sequence[Piece], locate: Callable[[Piece], Location]
) -> tuple[list[Piece], list[Location], list[Quarantined]]:
    """Find where each piece is read; one that cannot be located is set aside, not the run.

    Raises
    ------
    StoreError
        Where the store as a whole is at fault.
    """
    found: list[Piece] = []
    locations: list[Location] = []
    set_aside: list[Quarantined] = []
    for piece in pieces:
        try:
            locations.append(locate(piece))
        except ObjectError as error:
            bad = Quarantined(piece.ordinal, piece.key, piece.etag, error.reason, error.place)
            set_aside.append(bad)
        else:
            found.append(piece)
    return found, locations, set_aside
