"""One connection of a worker to its coordinator: TLS, the wire, and partials sent in chunks.

Partials go one after another, each chunk only when the one before has left, so that heartbeats pass
between them and no second copy of a partial is made. It never connects again by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final

from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.cluster.protocol.framing import Broken, Event, Wire
from mapreduce.cluster.protocol.messages import Hello, Message, Refused, Welcome
from mapreduce.errors import MapReduceError

CONNECT_S: Final = 10.0
WELCOME_S: Final = 30.0
CLOSE_S: Final = 1.0
READ_BYTES: Final = 1 << 17
ALERTS: Final = ("ALERT", "CERTIFICATE")  # in OpenSSL's reasons: one side does not trust the other


class LostError(MapReduceError):
    """The connection did not come about, or ended."""


class RefusedError(LostError):
    """The coordinator's machine answers, and nothing listens there."""


class UntrustedError(MapReduceError):
    """One side cannot prove to the other who it is: trying again will not help."""


class Connection:
    """One connection; nothing may be said before the coordinator has `welcomed` us."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.welcomed = False
        self._reader = reader
        self._writer = writer
        self._wire = Wire("worker")
        self._heard: deque[Event] = deque()
        self._closing = False
        self._pulled: asyncio.Queue[int] = asyncio.Queue()

    @classmethod
    async def to(cls, config: AgentConfig, context: ssl.SSLContext) -> Connection:
        """Connect, and prove each to the other.

        Raises LostError where nobody answers (RefusedError where the machine itself does), and
        UntrustedError where whoever answers is not this run's coordinator.
        """
        where = f"{config.address}:{config.port}"
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    config.address, config.port, ssl=context, server_hostname=config.server_name
                )
        except ssl.SSLError as error:
            raise _tls(error, where) from error
        except OSError as error:  # a timeout too
            why = error.strerror or type(error).__name__
            kind = RefusedError if isinstance(error, ConnectionRefusedError) else LostError
            raise kind(f"cannot reach the coordinator at {where}: {why}") from error
        return cls(reader, writer)

    def watch(self, lease_s: float) -> None:
        """Have a silently broken connection found within about that time."""
        line, tcp = self._writer.get_extra_info("socket"), socket.IPPROTO_TCP
        with contextlib.suppress(OSError):  # it broke already: who hears next is told
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                line.setsockopt(tcp, socket.TCP_USER_TIMEOUT, int(lease_s * 1000))
                line.setsockopt(tcp, socket.TCP_KEEPIDLE, max(1, int(lease_s / 2)))
                line.setsockopt(tcp, socket.TCP_KEEPINTVL, max(1, int(lease_s / 6)))

    async def greet(self, hello: Hello) -> Welcome | Refused:
        """Say hello; give the answer, or raise as `hear` does."""
        self.say(hello)
        try:
            async with asyncio.timeout(WELCOME_S):
                answer = await self.hear()
        except TimeoutError:
            raise LostError(f"the coordinator sent nothing within {WELCOME_S:g} s") from None
        if not isinstance(answer, Welcome | Refused):
            raise LostError(f"expected a welcome, got {type(answer).__name__}")
        self.welcomed = isinstance(answer, Welcome)
        return answer

    def say(self, message: Message) -> None:
        """Send a message."""
        self._writer.write(self._wire.frame(message))

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait because the other side takes none."""
        return self._writer.transport.get_write_buffer_size()

    def pull(self, attempt: int) -> None:
        """Queue an attempt's partial to be sent."""
        self._pulled.put_nowait(attempt)

    async def send_partials(self, partial_of: Callable[[int], bytes | None]) -> None:
        """Send what is pulled, until the connection ends with LostError.

        What is None is not sent, or not to its end.
        """
        while True:
            attempt = await self._pulled.get()
            body = partial_of(attempt)
            if body is None:
                continue
            for frame in self._wire.partial_frames(attempt, body):
                if partial_of(attempt) is None:
                    break  # cancelled on its way: the coordinator skips what it got
                self._writer.write(frame)
                try:
                    await self._writer.drain()
                except OSError as error:
                    raise LostError(f"the connection broke: {error}") from error

    async def hear(self) -> Event:
        """Wait for what the coordinator says next; LostError or UntrustedError where none comes."""
        while not self._heard:
            try:
                data = await self._reader.read(READ_BYTES)
            except ssl.SSLError as error:
                raise _tls(error, "the coordinator") from error
            except OSError as error:
                raise LostError(f"the connection broke: {error}") from error
            self._heard += self._wire.feed(data) if data else self._wire.feed_end()
            if not data and not self._heard:
                when = "" if self.welcomed else " before it answered: does it serve this run?"
                raise LostError(f"the coordinator closed the connection{when}")
        event = self._heard.popleft()
        if isinstance(event, Broken):
            raise LostError(f"an invalid message was received: {event.why}")
        return event

    async def close(self) -> None:
        """Send what is written, and hang up; without more ado where the other side is stuck.

        Only a line that is still open is aborted, and none is closed twice: before Python 3.11.5
        `abort` of a TLS transport that knows it is closed ends in an AttributeError.
        """
        if self._closing:
            return
        self._closing = True
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
        except OSError:  # of TLS too: it broke, so it is closed
            return


def _tls(error: ssl.SSLError, where: str) -> MapReduceError:
    reason = error.reason or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return UntrustedError(f"{where} is not this run's coordinator: {error.verify_message}")
    if any(word in reason for word in ALERTS):
        return UntrustedError(f"{where} does not accept this worker's certificate: {reason}")
    return LostError(f"no TLS with {where}: {reason}")
