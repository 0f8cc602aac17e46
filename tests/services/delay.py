"""A small TCP proxy of the tests' own: adds a round trip's delay, counts round trips, cuts.

Rule: bytes are passed on whole and in order, each one `round_trip_s / 2` after it came, in each
direction, however many are under way (a long wire, not a slow one). A round trip is counted
each time the server answers what the client said (a farewell is not answered). It never looks
into what it passes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 1 << 20


@dataclass(slots=True)
class Wire:
    """What passed through the proxy so far, and what to do to it."""

    port: int = 0
    connections: int = 0
    round_trips: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    cut_after_bytes: list[int] = field(default_factory=list)
    """For each connection in turn: cut it once the server has sent so many bytes."""


class _Proxy:
    def __init__(self, wire: Wire, target_port: int, round_trip_s: float) -> None:
        self.wire = wire
        self.target_port = target_port
        self.one_way_s = round_trip_s / 2
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0, limit=CHUNK_BYTES)
        self.wire.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self.carry(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.wire.connections += 1
        cuts = self.wire.cut_after_bytes
        cut = cuts.pop(0) if cuts else None
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self.target_port, limit=CHUNK_BYTES
        )
        asked = [False]  # the client spoke last: the server's next word ends a round trip
        pumps = [
            asyncio.create_task(self.pump(reader, far_writer, asked, None, outward=True)),
            asyncio.create_task(self.pump(far_reader, writer, asked, cut, outward=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(pumps, timeout=self.one_way_s * 2 + 0.05)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, far_writer):
                end.transport.abort()

    async def pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        asked: list[bool],
        cut: int | None,
        *,
        outward: bool,
    ) -> None:
        """Pass bytes on, late. The line holds them with the time each is due."""
        loop = asyncio.get_running_loop()
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        late = asyncio.create_task(self.deliver(line, sink))
        passed = 0
        try:
            while body := await source.read(CHUNK_BYTES):
                self.count(body, asked, outward=outward)
                passed += len(body)
                line.put_nowait((loop.time() + self.one_way_s, body))
                if cut is not None and passed >= cut:
                    return
            line.put_nowait((loop.time() + self.one_way_s, b""))
            await late
        except ConnectionError:
            return
        finally:
            late.cancel()

    async def deliver(
        self, line: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, body = await line.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not body:
                with contextlib.suppress(OSError):
                    sink.write_eof()
                return
            sink.write(body)
            await sink.drain()

    def count(self, body: bytes, asked: list[bool], *, outward: bool) -> None:
        if outward:
            self.wire.sent_bytes += len(body)
        else:
            self.wire.received_bytes += len(body)
            self.wire.round_trips += asked[0]
        asked[0] = outward


@contextlib.contextmanager
def delayed(target_port: int, round_trip_s: float = 0.0) -> Iterator[Wire]:
    """Open a proxy to `127.0.0.1:target_port` in a thread of its own, closed at the end."""
    wire, started = Wire(), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    proxy = _Proxy(wire, target_port, round_trip_s)

    def run() -> None:
        try:
            loop.run_until_complete(proxy.serve(started, stop))
        finally:
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not started.wait(10.0):
        raise RuntimeError("the delaying proxy did not start within 10 s")
    try:
        yield wire
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10.0)
