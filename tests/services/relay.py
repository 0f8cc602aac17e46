"""A TCP relay of the tests' own: it may hold everything back for a while, or pass it on slowly.

Bytes keep their order and are never looked into. While it holds, both ends keep their connections
and hear nothing: a cable that is out, not a closed one. Its rate is that of all connections and
both directions together, as a host's only link is.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 1 << 14


class Relay:
    """Passes on what it gets to `target`; to be steered from any thread.

    Attributes
    ----------
    port
        Where it listens, at 127.0.0.1.
    passed_bytes
        Bytes it has passed on.
    """

    def __init__(self, target: tuple[str, int], bytes_per_s: float | None) -> None:
        self.port = 0
        self.passed_bytes = 0
        self._target = target
        self._bytes_per_s = bytes_per_s
        self._free = 0.0  # when the link has sent what it was given
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    def hold(self) -> None:
        """Pass nothing on from now."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def go_on(self) -> None:
        """Pass on what was held, and what comes."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def run(self, started: threading.Event) -> None:
        """Serve until told to stop."""
        try:
            self._loop.run_until_complete(self._serve(started))
        finally:
            self._loop.close()

    def stop(self) -> None:
        """Close everything."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self, started: threading.Event) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            await self._flows.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            ends.append(far_writer)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except OSError:
            return
        finally:
            for end in ends:
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK_BYTES):
            await self._due(len(data))
            await self._flows.wait()
            self.passed_bytes += len(data)
            sink.write(data)
            await sink.drain()
        sink.transport.abort()

    async def _due(self, size_bytes: int) -> None:
        if self._bytes_per_s is not None:
            now = self._loop.time()
            self._free = max(self._free, now) + size_bytes / self._bytes_per_s
            await asyncio.sleep(self._free - now)


@contextlib.contextmanager
def relayed(target: tuple[str, int], bytes_per_s: float | None = None) -> Iterator[Relay]:
    """Open a relay in a thread of its own, closed at the end."""
    relay, started = Relay(target, bytes_per_s), threading.Event()
    thread = threading.Thread(target=relay.run, args=(started,), daemon=True)
    thread.start()
    if not started.wait(10.0):
        raise RuntimeError("the relay did not start within 10 s")
    try:
        yield relay
    finally:
        relay.stop()
        thread.join(10.0)
