"""What is said on the pipes of a slot's process: msgpack, each message with its length before it.

Whoever holds those pipes need not know how an attempt is run.
"""

from __future__ import annotations

import struct
from typing import IO, Final, TypeAlias

import msgspec

from mapreduce.errors import MapReduceError
from mapreduce.job.name import JobName
from mapreduce.ledger import Cost, Ledger
from mapreduce.limits import Limits
from mapreduce.objects import Awaited, Location
from mapreduce.plan import Piece

LENGTH: Final = struct.Struct("<Q")
MAX_MESSAGE_BYTES: Final = 1 << 33
OUT_OF_MEMORY: Final = 71  # exit code: the attempt needed more than the slot may have
NO_SCHEMAS: Final = msgspec.Raw(b"\x90")


class Peer(msgspec.Struct, frozen=True):
    """A server of the run's own that objects are read from, and what proves each to the other.

    `origin` is how its URLs begin, `server_name` the name in its certificate; the run's authority,
    this side's certificate and its key are PEM.
    """

    origin: str
    server_name: str
    authority: bytes
    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Leave the key out: a traceback with locals must not print it."""
        return f"Peer(origin={self.origin!r})"


class Begin(msgspec.Struct, frozen=True, tag=True):
    """First message to a slot: the job, its limits, and where modules are found.

    `memory_bytes` is the most memory it may have (0: no limit), `nice` how far it stands back for
    others, at least.
    """

    job: JobName
    limits: Limits
    path: tuple[str, ...]
    memory_bytes: int = 0
    nice: int = 0
    peer: Peer | None = None


class Work(msgspec.Struct, frozen=True, tag=True):
    """Run an attempt over these pieces, each read at its location.

    `careful` asks to tell of each object before it is decoded: then a death tells which it was.
    `requests` is how many requests to the store may be in flight; 0 for as many as usual.
    """

    number: int
    pieces: tuple[Piece, ...]
    locations: tuple[Location, ...]
    careful: bool = False
    requests: int = 0


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The slot has found the job, whose tables these are (`Schema`s), and waits for work.

    They are left packed: an agent has no use for them, and they would need numpy.
    """

    schemas: msgspec.Raw = NO_SCHEMAS


class Reached(msgspec.Struct, frozen=True, tag=True):
    """How far the present attempt is; `ordinal` is the object about to be decoded.

    `slow_downs` counts the store's pleas for fewer requests since this process began, and
    `silent_nodes` are those of the store that gave no answer.
    """

    number: int
    ordinal: int
    objects: int
    read_bytes: int
    slow_downs: int = 0
    silent_nodes: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True, tag=True):
    """An attempt's packed partial, its ledger, and what it cost."""

    number: int
    partial: bytes
    ledger: Ledger
    cost: Cost
    slow_downs: int = 0
    silent_nodes: tuple[str, ...] = ()


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An attempt ended without a result: `kind` is the error's consequence."""

    number: int
    kind: str
    message: str
    slow_downs: int = 0
    silent_nodes: tuple[str, ...] = ()


Message: TypeAlias = Begin | Work | Ready | Reached | Awaited | Done | Failed

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def send(stream: IO[bytes], message: Message) -> None:
    """Write one message and flush it."""
    raw = _encode(message)
    stream.write(LENGTH.pack(len(raw)))
    stream.write(raw)
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """Read one message; None where the stream has ended, even inside a message."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    if size > MAX_MESSAGE_BYTES:
        raise MapReduceError(
            f"a message of {size:,} bytes on a slot's pipe: another program wrote to it"
        )
    raw = stream.read(size)
    return None if len(raw) < size else _decode(raw)
