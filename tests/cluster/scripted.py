"""Agents that do what a test says, over real TLS; and hosts that start none by themselves."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.cluster.engine import Cluster
from mapreduce.cluster.protocol.framing import Broken, Wire
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
from mapreduce.errors import MapReduceError
from mapreduce.ledger import Cost
from mapreduce.limits import Limits
from mapreduce.objects.patience import Patience, RetryPolicy
from mapreduce.objects.reader import Reader
from mapreduce.objects.trusted import Trusted
from mapreduce.runs.driver import Options, run
from mapreduce.tables import encoding
from mapreduce.tls import Identity, client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import mapreduce as mr
    from mapreduce.cluster.protocol.agent_config import AgentConfig
    from mapreduce.cluster.protocol.framing import Event
    from mapreduce.cluster.protocol.messages import FromWorker
    from mapreduce.job.name import JobName
    from mapreduce.ledger import Ledger
    from mapreduce.objects import Store

PATIENCE_S = 60.0  # never waited for where all is well, however slow the machine
BEAT_S = 0.1
T = TypeVar("T")
_open: list[Agent] = []


class Hosts:
    """A launcher that starts nothing: it hands on what an agent would be told."""

    release = "r-test"
    overlay = ""

    def __init__(self) -> None:
        self.configs: queue.Queue[AgentConfig] = queue.Queue()
        self.stopped: Sequence[str] = ()

    def prepare(self, job: JobName) -> None:
        self.job = job

    def place(self, host: str) -> JobName | None:
        del host
        return None

    def start(self, host: str, config: AgentConfig) -> None:
        del host
        self.configs.put(config)

    def stop(self, hosts: Sequence[str], run: str, patience_s: float = 1.0) -> None:
        del run, patience_s
        self.stopped = hosts

    def config(self) -> AgentConfig:
        return self.configs.get(timeout=PATIENCE_S)


class Running:
    """A run in a thread, so that the test can play its agents."""

    def __init__(self, job: mr.Job, source: Store, hosts: Sequence[str], **given: Any) -> None:
        self.hosts = Hosts()
        given.setdefault("rules", Rules(nobody_deadline_s=60.0))
        options = given.pop("options", Options())
        folder = given.get("folder")
        self.engine = Cluster(dict.fromkeys(hosts, 1), self.hosts, address="127.0.0.2", **given)
        self._threads = ThreadPoolExecutor(1)
        self.result: Future[mr.Result] = self._threads.submit(
            run, job, source, engine=self.engine, options=options, folder=folder
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:  # nobody is left to wait for
            _close_all()
        self._threads.shutdown(wait=True)
        _close_all()


def context_of(config: AgentConfig, identity: Identity | None = None) -> ssl.SSLContext:
    """Give the client's side of the TLS of a config, or of somebody else."""
    pem = (raw.decode() for raw in (config.authority, config.certificate, config.key))
    return client_context(identity or Identity(config.worker, *pem))


class Agent:
    """One scripted agent."""

    def __init__(
        self,
        config: AgentConfig,
        identity: Identity | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.config = config
        self.context = context or context_of(config, identity)
        plain = socket.create_connection((config.address, config.port), timeout=PATIENCE_S)
        self.socket = self.context.wrap_socket(plain, server_hostname=config.server_name)
        _open.append(self)
        self.wire = Wire("worker")
        self.heard: list[Event] = []
        self.job: mr.Job | None = None  # with one, it says that it is alive
        self._attempts: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        with contextlib.suppress(ValueError):  # all have been closed meanwhile
            _open.remove(self)

    def say(self, message: FromWorker) -> None:
        self.socket.sendall(self.wire.frame(message))

    def hello(self, **changes: Any) -> Self:
        said: dict[str, Any] = {
            "worker": self.config.worker,
            "protocol": PROTOCOL,
            "release": self.config.release,
            "host": self.config.host,
            "slots": 1,
        }
        self.say(Hello(**(said | changes)))
        return self

    def welcomed(self, **changes: Any) -> Self:
        self.hello(**changes).hear(Welcome)
        return self

    def hear(self, kind: type[T], fits: Callable[[T], bool] = lambda _: True) -> T:
        """Wait for an event of a kind; others are kept."""
        until = time.monotonic() + PATIENCE_S
        while True:
            for at, event in enumerate(self.heard):
                assert not isinstance(event, Broken), event.why
                if isinstance(event, kind) and fits(event):
                    del self.heard[at]
                    return event
            assert time.monotonic() < until, f"waited for {kind} in vain; heard {self.heard}"
            self.socket.settimeout(BEAT_S)
            try:
                data = self.socket.recv(1 << 18)
            except TimeoutError:
                if self.job is not None:
                    self.say(Heartbeat(tuple(map(Progress, self._attempts))))
                continue
            if not data:
                raise EOFError(f"hung up on; heard {self.heard}")
            self.heard += self.wire.feed(data)

    def is_hung_up_on(self) -> bool:
        self.socket.settimeout(PATIENCE_S)
        try:
            while self.socket.recv(1 << 18):
                continue
        except (TimeoutError, ConnectionError) as error:
            return not isinstance(error, TimeoutError)
        return True

    def worked(self, task: Task) -> tuple[bytes, Ledger]:
        """Do the work of an attempt, truly."""
        assert self.job is not None
        origin = f"https://{self.config.address}:{self.config.port}/"
        trusted = Trusted(origin, self.context, self.config.server_name)
        with Reader(Patience(RetryPolicy(deadline_s=PATIENCE_S)), trusted=trusted) as reader:
            attempt = AttemptRunner(self.job, reader, Limits())
            try:
                partial, ledger = attempt.run(task.pieces, task.locations)
            finally:
                attempt.close()
        return encoding.pack(partial), ledger

    def offer(self, task: Task, body: bytes, ledger: Ledger) -> None:
        self._attempts[task.attempt] = body
        self.say(Offer(task.attempt, len(body), ledger, Cost()))

    def deliver(self, attempt: int) -> None:
        self.hear(Pull, lambda p: p.attempt == attempt)
        self._send(attempt)

    def _send(self, attempt: int) -> None:
        for frame in self.wire.partial_frames(attempt, self._attempts[attempt]):
            self.socket.sendall(frame)

    def _brought(self, attempt: int) -> None:
        """Deliver it, unless its lease ended before."""
        answer = self.hear(Pull | Forget, lambda a: a.attempt == attempt)  # type: ignore[arg-type]  # as above
        if isinstance(answer, Pull):
            self._send(attempt)

    def serve(self, job: mr.Job) -> None:
        """Be a good agent until told to end."""
        self.job = job
        # The run may end while it is at an attempt that another has done as well.
        with contextlib.suppress(EOFError, OSError, MapReduceError):
            while isinstance(task := self.hear(Task | Goodbye), Task):  # type: ignore[arg-type]  # isinstance takes it
                self.offer(task, *self.worked(task))
                self._brought(task.attempt)
        self.socket.close()


def good(config: AgentConfig, job: mr.Job) -> threading.Thread:
    """Start a good agent in a thread."""
    agent = Agent(config).welcomed()
    thread = threading.Thread(target=agent.serve, args=(job,), daemon=True)
    thread.start()
    return thread


def _close_all() -> None:
    while _open:
        with contextlib.suppress(OSError):
            _open.pop().socket.close()


def reset(line: socket.socket) -> None:
    """Break a connection without a word."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
