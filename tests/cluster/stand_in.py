"""A stand-in for the coordinator: the wire over real TLS sockets, and a test that says each word.

It schedules nothing. The real one is `mapreduce.cluster.coordinator.loop`; this one lets a test
hang up, stay silent or lie at will.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from mapreduce.cluster.protocol import agent_config as configs
from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.cluster.protocol.framing import Arrived, Broken, Wire
from mapreduce.cluster.protocol.messages import Forget, Hello, Offer, Pull, Task, Welcome
from mapreduce.job.name import name_of
from mapreduce.plan import Piece
from mapreduce.tls import Authority, server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from mapreduce.cluster.protocol.framing import Event
    from mapreduce.cluster.protocol.messages import FromCoordinator
    from mapreduce.job.job import Job
    from mapreduce.objects import Store

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0  # never waited for where all is well, however slow the machine
RUN = "run-1"

T = TypeVar("T")


class Line:
    """One connection to an agent."""

    def __init__(self, line: ssl.SSLSocket) -> None:
        self.socket = line
        self.wire = Wire("coordinator")
        self._heard: list[Event] = []

    def hear(self, kind: type[T], fits: Callable[[T], bool] = lambda _: True) -> T:
        """Wait for a message of a kind; others are kept for later."""
        until = time.monotonic() + PATIENCE_S
        while True:
            for at, event in enumerate(self._heard):
                assert not isinstance(event, Broken), event.why
                if isinstance(event, kind) and fits(event):
                    del self._heard[at]
                    return event
            self.socket.settimeout(max(0.1, until - time.monotonic()))
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError(f"the agent hung up; heard {self._heard}")
            self._heard += self.wire.feed(data)

    def forget(self, kind: type) -> None:
        self._heard = [e for e in self._heard if not isinstance(e, kind)]

    def heard(self, kind: type[T]) -> list[T]:
        """What came of a kind and was not asked for."""
        return [e for e in self._heard if isinstance(e, kind)]

    def say(self, message: FromCoordinator) -> None:
        self.socket.sendall(self.wire.frame(message))

    def take(self) -> tuple[Offer, bytes]:
        """Pull the next offer and accept it."""
        offer = self.hear(Offer)
        self.say(Pull(offer.attempt))
        arrived = self.hear(Arrived, lambda a: a.attempt == offer.attempt)
        self.say(Forget(offer.attempt))
        return offer, bytes(arrived.body)

    def ended(self) -> bool:
        """Wait for the agent to hang up."""
        self.socket.settimeout(PATIENCE_S)
        try:
            while data := self.socket.recv(1 << 18):
                self._heard += self.wire.feed(data)
        except ConnectionError:
            return True
        return True

    def cut(self) -> None:
        """Break the connection without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Coordinator:
    """Listens on loopback, and starts agents that dial it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(RUN)
        self.folder = folder
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE_S)
        self.context = server_context(self.authority.coordinator("127.0.0.1"))
        self._open = contextlib.ExitStack()
        self._open.callback(self.listener.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def config(self, authority: Authority | None = None, **changes: Any) -> AgentConfig:
        own = (authority or self.authority).worker("w1")
        config = AgentConfig(
            run=RUN,
            worker="w1",
            host="pi01",
            address="127.0.0.1",
            port=self.port,
            server_name="127.0.0.1",
            release="r1",
            authority=own.authority.encode(),
            certificate=own.certificate.encode(),
            key=own.key.encode(),
            slots=2,
            path=(str(ROOT),),
            patience_s=20.0,
        )
        return msgspec.structs.replace(config, **changes)

    def start(
        self,
        config: AgentConfig,
        *,
        framed: bool = True,
        kept_bytes: int | None = None,
        python: str = sys.executable,
        environ: Mapping[str, str] | None = None,
    ) -> AgentProcess:
        """Start an agent."""
        command = ["-m", "mapreduce.cluster.agent"]
        if kept_bytes is not None:
            code = (
                f"from mapreduce.cluster.agent.__main__ import main; main(kept_bytes={kept_bytes})"
            )
            command = ["-c", code]
        log = self.folder / "agent.log"
        agent = AgentProcess([python, *command], config, log, framed=framed, environ=environ)
        self._open.callback(agent.end)
        return agent

    def accept(self) -> Line:
        """Take the next connection, proven by TLS."""
        raw, _ = self.listener.accept()
        raw.settimeout(PATIENCE_S)
        line = self.context.wrap_socket(raw, server_side=True)
        self._open.callback(line.close)
        return Line(line)

    def welcome(self, given: Job, **changes: Any) -> tuple[Line, Hello]:
        """Take in the next agent that dials."""
        line = self.accept()
        hello = line.hear(Hello)
        welcome = Welcome(RUN, name_of(given), {}, heartbeat_s=0.1, lease_s=30.0)
        line.say(msgspec.structs.replace(welcome, **changes))
        return line, hello


class AgentProcess:
    """A real agent in a process of its own."""

    def __init__(
        self,
        command: list[str],
        config: AgentConfig,
        log: Path,
        *,
        framed: bool,
        environ: Mapping[str, str] | None,
    ) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=None if environ is None else {**os.environ, **environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                start_new_session=True,
            )
        raw = configs.encode(config)
        assert self.process.stdin is not None
        self.process.stdin.write(struct.pack("<Q", len(raw)) + raw if framed else raw)
        self.process.stdin.flush()
        if not framed:
            self.process.stdin.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self.log.read_text()

    def first_line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def code(self) -> int:
        """Wait for its end."""
        return self.process.wait(PATIENCE_S)

    def slots(self) -> list[int]:
        """Process ids of its slots."""
        return [pid for pid in _processes() if _parent(pid) == self.pid]

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGCONT)
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def tasks(store: Store, size: int) -> Iterator[Task]:
    """Every object of a store, so many a task."""
    entries = list(store.entries())
    for n, start in enumerate(range(0, len(entries), size)):
        some = entries[start : start + size]
        pieces = tuple(Piece(start + i, e.key, e.size_bytes, e.etag) for i, e in enumerate(some))
        yield Task(n, 100 + n, pieces, tuple(store.locate(e) for e in some))


def gone(pid: int) -> bool:
    """Whether there is no such process, or only its remains.

    Its first thread may be a zombie before the others are: whoever waits for it does so still.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len([*Path(f"/proc/{pid}/task").iterdir()]) == 1
    except OSError:
        return True


def soon(what: Callable[[], Any], timeout_s: float = PATIENCE_S) -> bool:
    """Look until it is so: for what tells nobody."""
    until = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _processes() -> list[int]:
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1
