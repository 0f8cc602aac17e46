"""What can happen to a schedule: the events its shell reports.

Plain values; the time is passed beside them. Events may come late, twice, or for attempts long
forgotten.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from mapreduce.cluster.protocol.messages import Kind, Progress
from mapreduce.plan import Split


class Planned(msgspec.Struct, frozen=True, gc=False):
    """The listing gave a split that has not been committed."""

    split: Split


class Listed(msgspec.Struct, frozen=True):
    """The listing is complete: no more splits will come."""


class Joined(msgspec.Struct, frozen=True):
    """A worker was welcomed. `connection` numbers connections upwards within the run.

    `holding` are the attempts it still has after a broken connection; it offers anew those done.
    """

    worker: str
    connection: int
    slots: int
    holding: tuple[int, ...] = ()


class Lost(msgspec.Struct, frozen=True):
    """A worker's connection ended, for whatever reason."""

    worker: str
    connection: int
    why: str = ""


class Beat(msgspec.Struct, frozen=True):
    """A worker's heartbeat."""

    worker: str
    attempts: tuple[Progress, ...] = ()
    slow_downs: int = 0


class Offered(msgspec.Struct, frozen=True):
    """A worker has an attempt's partial ready."""

    worker: str
    attempt: int
    size_bytes: int


class Received(msgspec.Struct, frozen=True):
    """A pulled partial has come whole and is one of this job's, with a ledger that fits it."""

    worker: str
    attempt: int


class Damaged(msgspec.Struct, frozen=True):
    """A pulled partial has come, and is none of this job's: damaged on its way or in its host."""

    worker: str
    attempt: int
    why: str


class Unseen(msgspec.Struct, frozen=True):
    """A worker's host does not see, in a shared folder, what this machine sees there."""

    worker: str
    attempt: int
    why: str


class Failed(msgspec.Struct, frozen=True):
    """An attempt ended without a result.

    `ordinal` is the object at which its process died, `killed` whether others may have ended it.
    """

    worker: str
    attempt: int
    kind: Kind
    message: str
    ordinal: int | None = None
    killed: bool = True


class Committed(msgspec.Struct, frozen=True):
    """What `Commit` asked for is durable."""

    task: int


class Leaving(msgspec.Struct, frozen=True):
    """A worker said goodbye: it finishes what runs, and wants no more."""

    worker: str


class Draining(msgspec.Struct, frozen=True):
    """Somebody asked the run to stop once what runs has finished."""


class Tick(msgspec.Struct, frozen=True):
    """Time has passed: about once a second, whatever else happens."""


Event: TypeAlias = (
    Planned
    | Listed
    | Joined
    | Lost
    | Beat
    | Offered
    | Received
    | Damaged
    | Unseen
    | Failed
    | Committed
    | Leaving
    | Draining
    | Tick
)
