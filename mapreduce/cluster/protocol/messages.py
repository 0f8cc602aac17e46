"""What a worker and the coordinator say to each other.

Every message is a frozen msgspec Struct with a tag. `Hello` is the first word and `Welcome` or
`Refused` the answer; these three alone tolerate fields of other versions, so that a mismatch can be
named and not only noticed. Attempts are numbered once in a run. A partial's bytes are no message:
they follow a `Pull` as raw frames.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from mapreduce.errors import MapReduceError
from mapreduce.job.name import JobName
from mapreduce.ledger import Cost, Ledger
from mapreduce.objects import Awaited, Location
from mapreduce.plan import Piece

PROTOCOL: Final = 3
MAX_SLOTS: Final = 1024

Count: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 62)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Text: TypeAlias = Annotated[str, Meta(max_length=1 << 16)]
Kind: TypeAlias = Literal["job", "map", "store", "expired", "crashed", "bug"]


class MessageError(MapReduceError):
    """Bytes that are no message of this direction."""


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How far a held attempt is: objects and bytes done (0 where it waits for a slot)."""

    attempt: Count
    objects: Count = 0
    read_bytes: Count = 0


class Health(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a host fares; None where it cannot be known.

    `load` is the one-minute load average; `throttled` what `vcgencmd get_throttled` says, as a
    whole number (bit 0 under-voltage now, bit 2 throttled now).
    """

    load: float | None = None
    memory_free_bytes: Count | None = None
    memory_bytes: Count | None = None
    temperature_c: float | None = None
    throttled: Count | None = None


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A worker's first message: who it is, and what code it runs.

    `holding` names attempts it still runs or holds results of, after a broken connection.
    """

    worker: Name
    protocol: Count
    release: Annotated[str, Meta(max_length=256)]
    host: Annotated[str, Meta(max_length=256)]
    slots: Annotated[int, Meta(ge=1, le=MAX_SLOTS)]
    overlay: Annotated[str, Meta(max_length=256)] = ""
    holding: Annotated[tuple[Count, ...], Meta(max_length=8 * MAX_SLOTS)] = ()


class Heartbeat(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A sign of life: every attempt the worker has, running, waiting, or done and not accepted.

    `slow_downs` counts the store's 503 answers since the last heartbeat; `silent_nodes` are those
    of the store that gave no answer here, while others did; `awaited` is the one that reads
    wait for, where it has been silent for long.
    """

    attempts: Annotated[tuple[Progress, ...], Meta(max_length=8 * MAX_SLOTS)] = ()
    health: Health = Health()
    slow_downs: Count = 0
    silent_nodes: Annotated[tuple[Name, ...], Meta(max_length=256)] = ()
    awaited: Awaited = Awaited()


class Offer(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """An attempt has succeeded; its packed partial of `size_bytes` waits to be pulled."""

    attempt: Count
    size_bytes: Annotated[int, Meta(ge=1, le=1 << 62)]
    ledger: Ledger
    cost: Cost


class Failed(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """An attempt ended without a result, and by whose fault.

    `signal` and `exit_code` say how a process that crashed ended, `peak_bytes` its greatest
    memory, and `ordinal` the object it had reached; None where unknown.
    """

    attempt: Count
    kind: Kind
    message: Text
    signal: int | None = None
    exit_code: int | None = None
    peak_bytes: Count | None = None
    ordinal: Count | None = None


class Goodbye(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """From a worker: it takes no more and leaves once its attempts are done. To one: end now."""

    why: Text = ""


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """The coordinator takes the worker in: the job, and what it may use.

    `limits` are the fields of `mapreduce.limits.Limits`; `requests` how many store requests each
    slot may have in flight.
    """

    run: Name
    job: JobName
    limits: dict[str, int | bool]
    heartbeat_s: Annotated[float, Meta(gt=0)]
    lease_s: Annotated[float, Meta(gt=0)]
    requests: Annotated[int, Meta(ge=1)] = 1
    memory_bytes: Count = 0


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The coordinator does not take the worker in; `reason` names both sides and the remedy."""

    reason: Text


class Task(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Run an attempt over these pieces, each read at its location, after those given before."""

    task: Count
    attempt: Count
    pieces: tuple[Piece, ...]
    locations: tuple[Location, ...]


class Pull(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Send the attempt's partial now: there is room for it."""

    attempt: Count


class Forget(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The attempt is committed, or not needed any more: end it wherever it is, and forget it."""

    attempt: Count


class Pace(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """From now on each slot may have this many store requests in flight."""

    requests: Annotated[int, Meta(ge=1)]


FromWorker: TypeAlias = Hello | Heartbeat | Offer | Failed | Goodbye
FromCoordinator: TypeAlias = Welcome | Refused | Task | Pull | Forget | Pace | Goodbye
Message: TypeAlias = FromWorker | FromCoordinator

encode = msgspec.msgpack.Encoder().encode
_from_worker = msgspec.msgpack.Decoder(FromWorker)
_from_coordinator = msgspec.msgpack.Decoder(FromCoordinator)


def from_worker(raw: bytes | bytearray | memoryview) -> FromWorker:
    """Read what a worker said; a MessageError, which does not quote the bytes, on anything else."""
    message: FromWorker = _read(_from_worker, raw)
    if isinstance(message, Offer):
        _check_numbers(message)
    return message


def from_coordinator(raw: bytes | bytearray | memoryview) -> FromCoordinator:
    """Read what the coordinator said; a MessageError as of `from_worker` on anything else."""
    message: FromCoordinator = _read(_from_coordinator, raw)
    if isinstance(message, Task) and len(message.pieces) != len(message.locations):
        raise MessageError(
            f"a task of {len(message.pieces)} pieces has {len(message.locations)} locations"
        )
    return message


def refusal(hello: Hello, *, release: str, overlay: str = "") -> str | None:
    """Say why a worker cannot take part, naming both sides; None where it can."""
    who = f"the worker {hello.worker!r} on {hello.host or 'its host'}"
    remedy = f"run `fab deploy --only {hello.worker}` and start again"
    for what, theirs, ours in (
        ("protocol", hello.protocol, PROTOCOL),
        ("release", hello.release, release),
        ("overlay release", hello.overlay, overlay),
    ):
        if theirs != ours:
            return f"{who} has {what} {theirs!r}, the coordinator {ours!r}: {remedy}"
    return None


def _read(decoder: msgspec.msgpack.Decoder[Any], raw: bytes | bytearray | memoryview) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"no message: {error}") from None


def _check_numbers(offer: Offer) -> None:
    ledger, cost = offer.ledger, offer.cost
    counts = [ledger.ok, ledger.ok_bytes, ledger.read, ledger.kept, cost.peak_bytes]
    counts += [*ledger.dropped.values(), *ledger.refused_keys.values()]
    if min(counts) < 0:
        raise MessageError("an account with a number below 0")
    if not all(math.isfinite(s) and s >= 0 for s in (cost.waited_s, cost.worked_s)):
        raise MessageError("a cost that is no number of seconds")
