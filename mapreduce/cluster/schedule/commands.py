"""What a schedule wants done: the commands its shell carries out, in their order.

Plain values. A command to a worker that is not connected any more is simply not sent: the schedule
learns of the loss and reckons with it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from mapreduce.plan import Piece

AbortKind: TypeAlias = Literal["job", "map", "store", "bug", "workers"]


class Crashed(msgspec.Struct, frozen=True):
    """An object that ends the processes it is read in, and how it did."""

    piece: Piece
    how: str


class Assign(msgspec.Struct, frozen=True):
    """Send the task to the worker, with fresh locations of its pieces."""

    worker: str
    task: int
    attempt: int
    pieces: tuple[Piece, ...]


class Pull(msgspec.Struct, frozen=True):
    """Let the worker send this attempt's partial: memory for it is set aside."""

    worker: str
    attempt: int


class Commit(msgspec.Struct, frozen=True):
    """Make the task's result durable, once: these attempts' partials merged, these objects booked.

    Only this books an object as `crashed`. The shell answers with `Committed`.
    """

    task: int
    attempts: tuple[int, ...]
    crashed: tuple[Crashed, ...] = ()


class Accept(msgspec.Struct, frozen=True):
    """Tell the worker that its attempt is committed."""

    worker: str
    attempt: int


class Cancel(msgspec.Struct, frozen=True):
    """Tell the worker that the attempt is not needed, and forget its bytes and account."""

    worker: str
    attempt: int


class Quarantine(msgspec.Struct, frozen=True):
    """News for people: the object was found to be what crashes. Its task's `Commit` books it."""

    task: int
    crashed: Crashed


class SetAside(msgspec.Struct, frozen=True):
    """News for people: the worker keeps failing and gets no work for a while."""

    worker: str
    why: str
    for_s: float


class Pace(msgspec.Struct, frozen=True):
    """Tell every worker how many store requests each of its slots may have in flight."""

    requests: int


class Finish(msgspec.Struct, frozen=True):
    """Nothing runs any more. `complete` is false where the run was drained before its end."""

    complete: bool


class Abort(msgspec.Struct, frozen=True):
    """The run cannot go on. Of kind `store` or `workers` it can be resumed."""

    kind: AbortKind
    message: str


Command: TypeAlias = (
    Assign | Pull | Commit | Accept | Cancel | Quarantine | SetAside | Pace | Finish | Abort
)
