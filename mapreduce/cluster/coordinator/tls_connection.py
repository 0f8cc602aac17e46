"""A peer that has dialled: its socket and TLS, and what it says once it has proven who it is.

It has five seconds to prove itself and to say something sensible. What it leaves unread is bounded
in bytes and in time. Its first bytes decide who listens.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, Protocol, cast

from mapreduce.cluster.coordinator.tls_stream import TlsStream, TlsStreamError
from mapreduce.tls import WrongNameError, peer_name

SETTLE_S: Final = 5.0
UNSENT_BYTES: Final = 64 << 20  # a few of the largest messages there are
HIGH_WATER_BYTES: Final = 1 << 19


class Talk(Protocol):
    """Whoever listens to a proven peer."""

    def took(self, data: bytes) -> None:
        """Take what it said."""

    def ended(self, why: str) -> None:
        """Take in that the line has ended."""


class Switch(Protocol):
    """Whoever is dialled."""

    def came(self, line: TlsConnection) -> None:
        """Take in that somebody has dialled."""

    def talk(self, line: TlsConnection, first: bytes) -> Talk:
        """Say who listens to a proven peer that begins so."""

    def settled(self, line: TlsConnection) -> None:
        """Take in that it is known what it wants, or that it has gone."""

    def left(self, line: TlsConnection) -> None:
        """Take in that its socket is closed."""


class TlsConnection(asyncio.Protocol):
    """One connection; `name` is the one in its certificate, "" until it is proven."""

    def __init__(self, context: ssl.SSLContext, switch: Switch) -> None:
        self.address = ""
        self.name = ""
        self.over = False
        self._context = context
        self._switch = switch
        self._talk: Talk | None = None
        self._channel: TlsStream | None = None
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._deadline: asyncio.TimerHandle | None = None
        self._flushing = False
        self._unsent: list[bytes | bytearray | memoryview] = []
        self._full_since: float | None = None
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it prove who it is."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        peer = self._transport.get_extra_info("peername") or ("?",)
        self.address = str(peer[0])
        why = f"it sent no valid message within {SETTLE_S:g} s"
        self._deadline = self._loop.call_later(SETTLE_S, self.end, why)
        self._switch.came(self)

    def data_received(self, data: bytes) -> None:
        """Decrypt what came, and hand it on."""
        if self.over:
            return
        if self._channel is None:  # a peer that says nothing costs nothing
            self._channel = TlsStream(self._context)
        try:
            said = self._channel.feed(data)
            if self._channel.open and not self.name:
                self.name = peer_name(self._channel.certificate)
        except (TlsStreamError, WrongNameError) as error:
            self.end(str(error))
            return
        self._flush()
        if said:
            self._talk = self._talk or self._switch.talk(self, said)
            self._talk.took(said)
        if self._channel.ended:
            self.end("it closed the connection")

    def eof_received(self) -> None:
        """End with the peer's stream."""
        self.end("it closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """End, if it has not been ended here."""
        self._room.set()
        self.end(f"the connection broke ({exc})" if exc else "it closed the connection")
        self._switch.left(self)

    def pause_writing(self) -> None:
        """Note that the peer reads more slowly than it is written to."""
        self._full_since = self._loop.time()
        self._room.clear()

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        self._full_since = None
        self._room.set()

    @property
    def unread_s(self) -> float:
        """For how long it has not read what is sent to it, in seconds."""
        return 0.0 if self._full_since is None else self._loop.time() - self._full_since

    async def room(self, timeout_s: float) -> None:
        """Wait until the peer has read most of what was written; end the line if it does not."""
        self._flush()
        if not self._room.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._room.wait()
            except TimeoutError:
                self.end(f"it has read nothing for {timeout_s:g} s")

    def settled(self) -> None:
        """Take in that the peer is welcome: it may stay."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._switch.settled(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; to a peer that is gone they are not sent."""
        if self.over or self._channel is None or self._transport is None:
            return
        self._unsent.append(data)
        if not self._flushing:  # what is said in one turn of the loop goes out together
            self._flushing = True
            self._loop.call_soon(self._flush)
        if self._transport.get_write_buffer_size() > UNSENT_BYTES:
            self.end(f"it has left {UNSENT_BYTES >> 20} MiB unread")

    def end(self, why: str, *, gently: bool = False) -> None:
        """Close the line: once what was written has gone out, or where that is much, at once."""
        if self.over:
            return
        self._flush()
        if self._channel is not None and gently:
            self._channel.close()
            self._flush()
        self.over = True
        if self._transport is not None:
            if gently or not self._transport.get_write_buffer_size():
                self._transport.close()
            else:
                self._transport.abort()
        self.settled()
        if self._talk is not None:
            self._talk.ended(why)

    def abort(self) -> None:
        """Drop what has not gone out by now."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        self._flushing = False
        if self._channel is not None and self._transport is not None and not self.over:
            if self._unsent:
                self._channel.write(b"".join(self._unsent))
                self._unsent.clear()
            data = self._channel.outgoing()
            if data:
                self._transport.write(data)
