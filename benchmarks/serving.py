"""What one coordinator can serve of its own folder, and what TLS costs: `benchmarks.serving`.

The very line and server of a run, in this process, answer a few clients that only read (each a
process of its own): with TLS, as ever, and, for this measurement alone, with a channel that
encrypts nothing. Printed: MB/s, and the processor time of this process for each GB.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import msgspec

from mapreduce.cluster.coordinator import tls_connection as lines
from mapreduce.cluster.coordinator.file_server import FileServer
from mapreduce.cluster.coordinator.tls_connection import TlsConnection
from mapreduce.objects import Location
from mapreduce.objects.file_body import file_etag
from mapreduce.plan import Piece
from mapreduce.tls import Authority, Identity, client_context, server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Sequence

    from mapreduce.cluster.coordinator.tls_connection import Talk

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "127.0.0.1"
OBJECT_BYTES = 1 << 20
OBJECTS = 64
READ_BYTES = 1 << 18


class Asked(msgspec.Struct):
    """What a client is told: where, how often, and who it is; without `pem` there is no TLS."""

    port: int
    requests: int
    pem: tuple[str, str, str] | None


class Open:
    """Stands in for a channel: gives everything on as it is."""

    open = True
    ended = False
    certificate: dict[str, object] = {"subject": ((("commonName", "w"),),)}  # noqa: RUF012 - as the channel's

    def __init__(self, _: ssl.SSLContext) -> None:
        self._out = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Give what came."""
        return data

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what is to go out."""
        self._out += data

    def outgoing(self) -> bytes:
        """Give what is to go out."""
        data, self._out = bytes(self._out), bytearray()
        return data

    def close(self) -> None:
        """Do nothing."""


class Counter:
    """Answers whoever dials, from a few files."""

    def __init__(self, pieces: Sequence[Piece], folder: Path, context: ssl.SSLContext) -> None:
        self._pieces = pieces
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        pool = ThreadPoolExecutor(8)
        self._serving = FileServer(
            self, lambda p: Location(path=str(folder / p.key)), pool, self._spawn
        )

    def dialled(self) -> TlsConnection:
        """Make a line."""
        return TlsConnection(self._context, self)

    def piece(self, worker: str, attempt: int, ordinal: int) -> Piece | None:
        """Give any piece to anybody."""
        del worker, attempt
        return self._pieces[ordinal]

    def talk(self, line: TlsConnection, first: bytes) -> Talk:
        """Serve."""
        del first
        return self._serving.talk(line)

    def came(self, line: TlsConnection) -> None:
        """Take note of nothing."""

    settled = left = came

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def serve(counter: Counter, asked: Asked, clients: int) -> tuple[float, float]:
    """Serve that many clients to their end; give MB/s and the share of a core."""
    server = await asyncio.get_running_loop().create_server(counter.dialled, ADDRESS, 0)
    asked.port = server.sockets[0].getsockname()[1]
    players = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.serving", "--fetch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        for _ in range(clients)
    ]
    for player in players:
        assert player.stdin is not None
        assert player.stdout is not None
        player.stdin.write(msgspec.json.encode(asked) + b"\n")
        await player.stdout.readline()  # it is ready
    began, spent = time.perf_counter(), time.process_time()
    for player in players:
        assert player.stdin is not None
        player.stdin.write(b"go\n")
    for player in players:
        assert player.stdout is not None
        await player.stdout.readline()
    took, used = time.perf_counter() - began, time.process_time() - spent
    for player in players:
        assert player.stdin is not None
        player.stdin.close()
        await player.wait()
    server.close()
    return clients * asked.requests * OBJECT_BYTES / took / 1e6, used / took


def fetch() -> None:
    """Be a client: ask, read, count, and throw it away."""
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Asked)
    sock: socket.socket = socket.create_connection((ADDRESS, asked.port))
    if asked.pem is not None:
        context = client_context(Identity("w", *asked.pem))
        sock = context.wrap_socket(sock, server_hostname=ADDRESS)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.buffer.readline()
    buffer = bytearray(READ_BYTES)
    for number in range(asked.requests):
        sock.sendall(b"GET /0/%d HTTP/1.1\r\n\r\n" % (number % OBJECTS))
        got = b""
        while b"\r\n\r\n" not in got:
            got += sock.recv(1 << 12)
        left = OBJECT_BYTES - len(got.partition(b"\r\n\r\n")[2])
        while left:
            left -= sock.recv_into(buffer, min(READ_BYTES, left))
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.buffer.readline()


def measure(folder: Path, clients: int, requests: int, rounds: int) -> str:
    """Measure both, turn by turn; give a table."""
    pieces = []
    for number in range(OBJECTS):
        path = folder / f"{number:02}"
        path.write_bytes(os.urandom(OBJECT_BYTES))
        pieces.append(Piece(number, path.name, OBJECT_BYTES, file_etag(path.stat())))
    authority = Authority("run")
    own = authority.worker("w")
    context = server_context(authority.coordinator(ADDRESS))
    pem = (own.authority, own.certificate, own.key)
    seen: dict[str, list[tuple[float, float]]] = {"with TLS": [], "without": []}
    for _ in range(rounds):
        for how, told in seen.items():
            asked = Asked(0, requests, pem if how == "with TLS" else None)
            with mock.patch.object(lines, "Channel", lines.Channel if asked.pem else Open):
                told.append(asyncio.run(serve(Counter(pieces, folder, context), asked, clients)))
    rows = ["| | MB/s | of a core | s of CPU a GB |", "|---|---|---|---|"]
    for how, told in seen.items():
        rate = statistics.median(r for r, _ in told)
        share = statistics.median(s for _, s in told)
        rows.append(f"| {how} | {rate:,.0f} | {share:.0%} | {share / rate * 1000:.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fetch", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--requests", type=int, default=1500, help="of 1 MiB, for each client")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.fetch:
        fetch()
        return
    with tempfile.TemporaryDirectory() as folder:
        table = measure(Path(folder), asked.clients, asked.requests, asked.rounds)
    sys.stdout.write(f"{asked.clients} clients\n\n{table}\n")


if __name__ == "__main__":
    main()
