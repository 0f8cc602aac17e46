"""The wire: bytes in, events out; messages in, bytes out. Not one socket.

A frame is a head of 12 bytes (`MR`, a kind, a zero, the body's length as uint64) and its body: a
msgpack message, or a chunk of a partial (attempt, offset, bytes). A length is checked against its
cap before a byte of the body is kept, and what is kept never exceeds what has come. A peer that
breaks a rule ends its stream with one `Broken`, the same however the bytes were sliced. Rules:

- a worker says `Hello` first, within a small cap, and nothing more before its `Welcome`;
- a partial comes only for an attempt that was offered here and pulled here, in order, and whole;
  chunks of one that has been cancelled meanwhile are skipped;
- what *we* do wrong raises `LocalError`. Nothing here waits, times out or trusts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from mapreduce.cluster.protocol import messages
from mapreduce.cluster.protocol.messages import (
    Forget,
    FromCoordinator,
    FromWorker,
    Hello,
    Message,
    MessageError,
    Offer,
    Pull,
    Refused,
    Welcome,
)
from mapreduce.errors import MapReduceError

MAGIC: Final = b"MR"
HEAD: Final = struct.Struct("<2sBBQ")  # magic, kind, 0, length of the body in bytes
CHUNK: Final = struct.Struct("<QQ")  # attempt, offset in its partial
CONTROL: Final = 1
PARTIAL: Final = 2
CHUNK_BYTES: Final = 1 << 18  # small, so that heartbeats pass between the chunks of a partial

Role: TypeAlias = Literal["coordinator", "worker"]


class LocalError(MapReduceError):
    """We broke a rule of the wire: a fault of this program."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The most this side takes, in bytes: a first message, a message, a partial; and offers."""

    hello_bytes: int = 1 << 16
    control_bytes: int = 16 << 20
    partial_bytes: int = 1 << 32
    offers: int = 8 * messages.MAX_SLOTS


class Arrived(msgspec.Struct, frozen=True):
    """An attempt's partial has come whole. `body` is not copied: it is the receiver's own."""

    attempt: int
    body: bytearray


class Broken(msgspec.Struct, frozen=True):
    """The peer broke a rule; nothing after this is read. Close the connection, say why."""

    why: str


Event: TypeAlias = FromWorker | FromCoordinator | Arrived | Broken


class _BrokenError(Exception):
    """A rule was broken, within `feed`."""


class Wire:
    """One connection, seen from the side that `role` is."""

    def __init__(self, role: Role, caps: Caps | None = None) -> None:
        self._role = role
        self._caps = caps or Caps()
        self._buffer = bytearray()
        self._greeted = False  # the peer has said its first message
        self._open = False  # and the coordinator its Welcome
        self._ended = False
        self._offered: dict[int, int] = {}  # attempt -> bytes, not pulled yet
        self._pulled: dict[int, int] = {}  # attempt -> bytes still allowed to come (or to go)
        self._bodies: dict[int, bytearray] = {}
        self._reached: dict[int, int] = {}
        self._skipped: set[int] = set()

    @property
    def buffered_bytes(self) -> int:
        """Bytes kept that are no whole frame yet, and of partials that are not whole yet."""
        return len(self._buffer) + sum(self._reached.values())

    def feed(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take bytes from the peer; give what has come whole, in order.

        The last event is `Broken` where the peer broke a rule; after it, and after a `Refused`,
        everything is ignored.
        """
        events: list[Event] = []
        if self._ended:
            return events
        self._buffer += data
        try:
            while (frame := self._next_frame()) is not None:
                kind, body = frame
                event = self._message(body) if kind == CONTROL else self._chunk(body)
                if event is not None:
                    events.append(event)
        except (_BrokenError, MessageError) as error:
            events.append(Broken(f"{error} (from the {self._peer})"))
            self._end()
        return events

    def feed_end(self) -> list[Event]:
        """Take the end of the peer's bytes: `Broken` where it cuts something short."""
        if self._ended:
            return []
        cut = self.buffered_bytes
        self._end()
        return [Broken(f"the stream ended {cut:,} bytes into something")] if cut else []

    def frame(self, message: Message) -> bytes:
        """Give a message's bytes, and hold the peer to what follows from it.

        Raises LocalError where the message is not one of this side's, or is out of turn.
        """
        if self._role == "coordinator":
            self._check_coordinator(message)
        else:
            self._check_worker(message)
        body = messages.encode(message)
        return HEAD.pack(MAGIC, CONTROL, 0, len(body)) + body

    def partial_frames(self, attempt: int, body: bytes | memoryview) -> Iterator[bytes]:
        """Give the frames of a partial that the coordinator has pulled; others may go between.

        Raises LocalError where it was not pulled, or its size is not the one offered.
        """
        view = memoryview(body)
        if self._pulled.pop(attempt, None) != len(view):
            raise LocalError(f"attempt {attempt}: {len(view)} bytes were not offered and pulled")
        return _chunks(attempt, view)

    @property
    def _peer(self) -> Role:
        return "worker" if self._role == "coordinator" else "coordinator"

    def _end(self) -> None:
        self._ended = True
        self._buffer = bytearray()
        self._bodies.clear()
        self._reached.clear()

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if self._ended:
            return None
        if buffer[: len(MAGIC)] != MAGIC[: len(buffer)]:
            raise _BrokenError("expected a frame, got other bytes: is this another program?")
        if len(buffer) < HEAD.size:
            return None
        _, kind, zero, size = HEAD.unpack_from(buffer)
        cap = self._cap(kind)
        if zero or not 0 < size <= cap:
            raise _BrokenError(f"a frame of kind {kind} and {size:,} bytes; at most {cap:,} here")
        if len(buffer) < HEAD.size + size:
            return None
        body = bytes(memoryview(buffer)[HEAD.size : HEAD.size + size])
        del buffer[: HEAD.size + size]
        return kind, body

    def _cap(self, kind: int) -> int:
        if kind == CONTROL:
            early = not self._open and self._role == "coordinator"
            return self._caps.hello_bytes if early else self._caps.control_bytes
        if kind == PARTIAL and self._role == "coordinator" and (self._pulled or self._skipped):
            return CHUNK.size + CHUNK_BYTES
        return 0

    def _message(self, body: bytes) -> Event:
        if self._role == "worker":
            return self._heard_by_worker(messages.from_coordinator(body))
        if self._greeted and not self._open:
            raise _BrokenError("expected silence until the welcome, got a frame")
        message = messages.from_worker(body)
        if isinstance(message, Hello) == self._greeted:
            raise _BrokenError(f"expected a Hello first and once, got {type(message).__name__}")
        self._greeted = True
        if isinstance(message, Offer):
            self._take_offer(message)
        return message

    def _take_offer(self, offer: Offer) -> None:
        attempt, size = offer.attempt, offer.size_bytes
        if size > self._caps.partial_bytes:
            raise _BrokenError(
                f"attempt {attempt} offers {size:,} bytes; at most {self._caps.partial_bytes:,}"
            )
        if attempt in self._pulled:
            raise _BrokenError(f"attempt {attempt} is offered again after it was pulled")
        if len(self._offered) >= self._caps.offers:
            raise _BrokenError(f"more than {self._caps.offers} offers at once")
        self._skipped.discard(attempt)
        self._offered[attempt] = size

    def _heard_by_worker(self, message: FromCoordinator) -> Event:
        if isinstance(message, Welcome | Refused) == self._greeted:
            raise _BrokenError(f"expected a Welcome first and once, got {type(message).__name__}")
        self._greeted = True
        if isinstance(message, Refused):
            self._end()
        elif isinstance(message, Pull):
            if message.attempt not in self._offered:
                raise _BrokenError(f"attempt {message.attempt} is pulled and was not offered")
            self._pulled[message.attempt] = self._offered.pop(message.attempt)
        elif isinstance(message, Forget):
            self._offered.pop(message.attempt, None)
            self._pulled.pop(message.attempt, None)
        return message

    def _check_coordinator(self, message: Message) -> None:
        if not isinstance(message, FromCoordinator):
            raise LocalError(f"{type(message).__name__} is a worker's message")
        if isinstance(message, Welcome | Refused):
            if not self._greeted or self._open:
                raise LocalError("a welcome or refusal answers a hello, once")
            self._open = isinstance(message, Welcome)
            if not self._open:
                self._end()
        elif not self._open:
            raise LocalError(f"{type(message).__name__} before the welcome")
        elif isinstance(message, Pull):
            size = self._offered.pop(message.attempt, None)
            if size is None:
                raise LocalError(f"attempt {message.attempt} is pulled and was not offered here")
            self._pulled[message.attempt] = size
        elif isinstance(message, Forget):
            self._forget(message.attempt)

    def _check_worker(self, message: Message) -> None:
        if not isinstance(message, FromWorker):
            raise LocalError(f"{type(message).__name__} is the coordinator's message")
        if isinstance(message, Hello):
            if self._open:
                raise LocalError("a hello is said first, and once")
            self._open = True
        elif not self._greeted:
            raise LocalError(f"{type(message).__name__} before the welcome")
        elif isinstance(message, Offer):
            self._offered[message.attempt] = message.size_bytes

    def _forget(self, attempt: int) -> None:
        self._offered.pop(attempt, None)
        if self._pulled.pop(attempt, None) is not None:
            self._skipped.add(attempt)  # some of it may be on its way
            self._bodies.pop(attempt, None)
            self._reached.pop(attempt, None)

    def _chunk(self, body: bytes) -> Arrived | None:
        if len(body) <= CHUNK.size:
            raise _BrokenError("a chunk of a partial without a byte in it")
        attempt, offset = CHUNK.unpack_from(body)
        if attempt in self._skipped:
            return None
        size = self._pulled.get(attempt)
        if size is None:
            raise _BrokenError(f"a partial of attempt {attempt}, which was not pulled")
        reached, count = self._reached.get(attempt, 0), len(body) - CHUNK.size
        if offset != reached or reached + count > size:
            raise _BrokenError(
                f"attempt {attempt}: expected byte {reached:,} of {size:,}, got {count:,} bytes at"
                f" {offset:,}"
            )
        whole = self._bodies.setdefault(attempt, bytearray())
        whole += memoryview(body)[CHUNK.size :]
        self._reached[attempt] = reached + count
        if reached + count < size:
            return None
        del self._pulled[attempt], self._bodies[attempt], self._reached[attempt]
        return Arrived(attempt, whole)


def _chunks(attempt: int, view: memoryview) -> Iterator[bytes]:
    for offset in range(0, len(view), CHUNK_BYTES):
        part = view[offset : offset + CHUNK_BYTES]
        head = HEAD.pack(MAGIC, PARTIAL, 0, CHUNK.size + len(part))
        yield b"".join((head, CHUNK.pack(attempt, offset), part))
