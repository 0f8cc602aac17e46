"""Load on one coordinator: many agents, many small partials, or some large ones.

`python -m benchmarks.cluster_load` plays 300 agents over real TLS in a few processes, 20,000 tasks
with partials of 4 KB; `--large` plays 30 agents with partials of 50 MB. The coordinator is this
process, so its CPU and memory are its own; agents do no work, and say what a partial would.
Printed: commits a second, CPU seconds, memory, and how many workers were lost.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mapreduce as mr
from mapreduce.attempts.prefetch import entry_of
from mapreduce.cluster.engine import Cluster
from mapreduce.cluster.protocol import agent_config as configs
from mapreduce.cluster.protocol.framing import Wire
from mapreduce.cluster.protocol.messages import (
    PROTOCOL,
    Forget,
    Goodbye,
    Heartbeat,
    Hello,
    Offer,
    Progress,
    Pull,
    Task,
    Welcome,
)
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.engine import Assignment
from mapreduce.job.name import name_of
from mapreduce.ledger import Cost, Ledger
from mapreduce.limits import Limits
from mapreduce.objects.memory import Memory
from mapreduce.plan import Planner
from mapreduce.runs.driver import Options, run
from mapreduce.tables import encoding
from mapreduce.tables.partial import Partial, TablePartial
from mapreduce.tls import Identity, client_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapreduce.cluster.protocol.agent_config import AgentConfig
    from mapreduce.job.name import JobName

LENGTH = struct.Struct("<Q")
ROOT = Path(__file__).parents[1]


class Counts(mr.Job):
    """A table of one key and one sum: 16 bytes a row."""

    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r: Any) -> mr.Rows:
        """Count."""
        return self.links.fold(r.link, n=1)


def partial_of(size_bytes: int) -> bytes:
    """Make a partial of about that size."""
    rows = np.arange(max(1, size_bytes // 16), dtype=np.int64)
    (schema,) = Counts().schemas()
    return encoding.pack(Partial((TablePartial(schema, (rows,), (np.ones_like(rows),)),)))


class Fleet:
    """Starts agents in a few processes."""

    release = "r-load"
    overlay = ""

    def __init__(self, processes: int, partial_bytes: int) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._players = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.cluster_load", "--play", str(partial_bytes)],
                stdin=subprocess.PIPE,
                cwd=ROOT,
            )
            for _ in range(processes)
        ]

    def prepare(self, job: JobName) -> None:
        """Do nothing."""

    def place(self, host: str) -> JobName | None:
        """Do nothing."""

    def start(self, host: str, config: AgentConfig) -> None:
        """Have the next process play one more agent."""
        del host
        raw = configs.encode(config)
        with self._lock:
            player = self._players[self._next % len(self._players)]
            self._next += 1
            assert player.stdin is not None
            player.stdin.write(LENGTH.pack(len(raw)) + raw)
            player.stdin.flush()

    def stop(self, hosts: Sequence[str], run: str, patience_s: float = 1.0) -> None:
        """Wait for the processes."""
        del hosts, run, patience_s
        for player in self._players:
            assert player.stdin is not None
            player.stdin.close()
            player.wait(30)


async def play(size_bytes: int) -> None:
    """Play every agent whose configuration comes on standard input."""
    body = partial_of(size_bytes)
    loop = asyncio.get_running_loop()
    agents: set[asyncio.Task[None]] = set()

    def read() -> AgentConfig | None:
        head = sys.stdin.buffer.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return None
        return configs.decode(sys.stdin.buffer.read(LENGTH.unpack(head)[0]))

    while (config := await loop.run_in_executor(None, read)) is not None:
        agents.add(asyncio.create_task(agent(config, body)))
    await asyncio.gather(*agents)


async def agent(config: AgentConfig, body: bytes) -> None:  # noqa: C901 - one case a message
    """Play one agent: each task is done at once."""
    pem = (raw.decode() for raw in (config.authority, config.certificate, config.key))
    context = client_context(Identity(config.worker, *pem))
    reader, writer = await asyncio.open_connection(
        config.address, config.port, ssl=context, server_hostname=config.server_name
    )
    wire = Wire("worker")
    writer.write(wire.frame(Hello(config.worker, PROTOCOL, config.release, config.host, 1)))
    held: dict[int, None] = {}
    beating: asyncio.Task[None] | None = None

    async def beat(every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            writer.write(wire.frame(Heartbeat(tuple(map(Progress, held)))))

    while data := await reader.read(1 << 16):
        for event in wire.feed(data):
            match event:
                case Welcome():
                    beating = asyncio.create_task(beat(event.heartbeat_s))
                case Task():
                    held[event.attempt] = None
                    size = sum(p.size_bytes for p in event.pieces)
                    ledger = Ledger(ok=len(event.pieces), ok_bytes=size, read=1, kept=1)
                    writer.write(wire.frame(Offer(event.attempt, len(body), ledger, Cost())))
                case Pull():
                    for frame in wire.partial_frames(event.attempt, body):
                        writer.write(frame)
                        await writer.drain()
                case Forget():
                    held.pop(event.attempt, None)
                case Goodbye():
                    if beating is not None:
                        beating.cancel()
                    writer.close()
                    return


def load(
    agents: int,
    tasks: int,
    partial_bytes: int,
    processes: int,
    budget_bytes: int,
    *,
    alone: bool = False,
    journal: bool = False,
) -> None:
    """Run it and print what it took."""
    store = Memory({f"{n:06}": b"" for n in range(tasks)})
    hosts = {f"h{n:03}": 1 for n in range(agents)}
    rules = Rules(budget_bytes=budget_bytes)
    engine = Cluster(hosts, Fleet(processes, partial_bytes), address="127.0.0.1", rules=rules)
    before = resource.getrusage(resource.RUSAGE_SELF)
    first: list[float] = []

    def begun(_: object) -> None:
        if not first:
            first.append(time.monotonic())

    began = time.monotonic()
    if alone:
        assignment = Assignment(name_of(Counts()), Limits(), lambda p: store.locate(entry_of(p)))
        for event in engine.events(assignment, Planner(split_bytes=1).splits_of(store.entries())):
            begun(event)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run(
                Counts(),
                store,
                engine=engine,
                folder=folder if journal else None,
                options=Options(split_bytes=1),
                on_progress=begun,
            )
    ended = time.monotonic()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds, size = ended - first[0], len(partial_of(partial_bytes))
    hosts_now = () if engine.status is None else engine.status.hosts
    lost = [h.host for h in hosts_now if h.state not in {"idle", "works"}]
    sys.stdout.write(
        f"{agents} agents, {tasks:,} tasks, partials of {size:,} bytes"
        f"{', not merged' if alone else ''}{', with a journal' if journal else ''}:"
        f" {tasks / seconds:,.1f} commits/s,"
        f" {tasks * size / seconds / 1e6:,.0f} MB/s\n"
        f"coordinator: {cpu_s:.1f} s of CPU in {ended - began:.1f} s ({tasks / cpu_s:,.0f} commits"
        f" a second of it), peak memory {after.ru_maxrss / 1024:,.0f} MiB (at the start"
        f" {before.ru_maxrss / 1024:,.0f}, budget {budget_bytes >> 20});"
        f" workers lost: {len(lost)}\n"
    )


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--play", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--large", action="store_true", help="30 agents, partials of 50 MB")
    parser.add_argument("--agents", type=int)
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--budget-mib", type=int, default=128)
    parser.add_argument("--alone", action="store_true", help="the engine, without the merge")
    parser.add_argument("--journal", action="store_true", help="keep one on the disk, as runs do")
    asked = parser.parse_args()
    if asked.play is not None:
        asyncio.run(play(asked.play))
        return
    agents = asked.agents or (30 if asked.large else 300)
    tasks = asked.tasks or (60 if asked.large else 20_000)
    size = 50_000_000 if asked.large else 4096
    budget_bytes = asked.budget_mib << 20
    how = {"alone": asked.alone, "journal": asked.journal}
    load(agents, tasks, size, asked.processes, budget_bytes, **how)


if __name__ == "__main__":
    main()
