"""The engine over SSH: an agent on every host, one coordinator here, for one run.

Certificates are made when the run begins and die with it. Hosts that cannot be started are named
and the run goes on with the rest; without any it ends, resumable. Every agent is told goodbye, and
what does not end by that is ended through the launcher. How a host is reached is the launcher's.
"""

from __future__ import annotations

import dataclasses
import queue
import resource
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from mapreduce.cluster.config import AgentConfig
from mapreduce.cluster.control import Control
from mapreduce.cluster.coordinator import Coordinator, Said
from mapreduce.cluster.office import NoWorkersError
from mapreduce.cluster.places import Places
from mapreduce.cluster.rules import Rules
from mapreduce.cluster.terms import Terms
from mapreduce.cluster.tls import Authority, server_context
from mapreduce.cluster.watch import Status, Watch
from mapreduce.engines import PULSE_S, STILL, Assignment, Event, Outcome, Sites
from mapreduce.errors import MapReduceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from mapreduce.job import JobName
    from mapreduce.plan import Split

AT_ONCE: Final = 16  # hosts that are started together
JOIN_S: Final = 15.0
FILES: Final = 1 << 16  # connections of workers and their slots
NAME: Final = "coordinator"  # what it proves to be where hosts dial no address of its own


ConfigOf: TypeAlias = "Callable[[str, tuple[str, int]], AgentConfig]"


class Launcher(Protocol):
    """How agents come to hosts, and end.

    Attributes
    ----------
    release, overlay
        The code that agents must run; known once `prepare` has been called.
    """

    release: str
    overlay: str

    def prepare(self, job: JobName) -> None:
        """Make ready what every host needs for this job."""

    def place(self, host: str) -> JobName | None:
        """Bring a host what it lacks; may take long. Give the job's name there, if not as here.

        Raises
        ------
        MapReduceError
            Why the host cannot take part.
        """

    def start(self, host: str, config: AgentConfig) -> None:
        """Start an agent; give once it runs.

        Raises
        ------
        MapReduceError
            Why it does not.
        """

    def stop(self, hosts: Sequence[str], run: str) -> None:
        """End the agents of a run that have not ended by themselves."""


class Ways(Protocol):
    """How hosts that cannot dial this machine come to it."""

    def open(self, host: str, target: tuple[str, int]) -> tuple[str, int]:
        """Make a way to an address of this machine; give where the host dials for it.

        Raises
        ------
        MapReduceError
            Why there is none.
        """

    def close(self) -> None:
        """Close all ways, once every agent has ended."""


class Cluster:
    """Runs attempts on hosts.

    Parameters
    ----------
    hosts
        Their names, each with its slots (0 for what it has).
    launcher
        How agents come there.
    address, port
        What is bound here and dialled from there; port 0 for any free one.
    ways
        How hosts come to that address where they cannot dial it; None where they can.
    rules
        Figures of the schedule; None for the usual.
    folder
        Where the control socket is put; None for none.
    memory_bytes
        Memory a slot may use; 0 for what its host allows.
    patience_s
        How long agents wait for a coordinator that is gone.
    sites
        Where hosts find input.
    """

    name = "ssh"

    def __init__(
        self,
        hosts: dict[str, int],
        launcher: Launcher,
        *,
        address: str,
        port: int = 0,
        ways: Ways | None = None,
        rules: Rules | None = None,
        folder: Path | None = None,
        memory_bytes: int = 0,
        patience_s: float = 120.0,
        sites: Sites | None = None,
    ) -> None:
        if not hosts:
            raise UsageError("a cluster has at least one host")
        self._hosts = dict(hosts)
        self._launcher = launcher
        self._listen = (address, port)
        self._name = address if ways is None else NAME
        self._ways = ways
        self._rules = rules or Rules()
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._patience_s = patience_s
        self.sites = sites or Sites()
        self._watch: Watch | None = None

    @property
    def status(self) -> Status | None:
        """How the run and its hosts fare; None before it begins."""
        return None if self._watch is None else self._watch.status

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        """Run every split once, giving outcomes and advances as they come.

        An outcome counts as durable when the next is asked for.

        Raises
        ------
        JobError, StoreError, MapReduceError
            What ended the run; no agent is left by then.
        """
        start = _Start(self._hosts, self._launcher, self._ways, Watch(_run_id(), self._hosts))
        self._watch = start.watch
        _allow_files()
        self._launcher.prepare(assignment.job)
        run = start.watch.status.run
        authority = Authority(run)
        terms = Terms(
            run,
            assignment.job,
            assignment.job.load().schemas(),
            assignment.limits,
            self._launcher.release,
            self._launcher.overlay,
            self._places(assignment, start.origins),
            start.names,
            self._memory_bytes,
        )
        context = server_context(authority.coordinator(self._name))
        rules = dataclasses.replace(self._rules, asks=assignment.asks)
        coordinator = Coordinator(terms, splits, context, self._listen, rules, start.watch)
        if self._folder is not None:
            control = Control(self._folder, lambda: start.watch.status, coordinator.drain)
            coordinator.beside(control.serve)
        port = coordinator.start()
        try:
            here = self._listen[0], port
            start.begin(coordinator, here, lambda h, at: self._config(h, at, authority, run))
            while (said := _next(coordinator)) is not None:
                if isinstance(said, BaseException):
                    raise said
                yield said
                if isinstance(said, Outcome):
                    coordinator.committed(said.splits[0])
        finally:
            coordinator.stop()
            coordinator.join(JOIN_S)
            start.end()

    def _places(self, assignment: Assignment, origins: dict[str, str]) -> Places:
        return Places(
            assignment.locate,
            origins,
            spread=assignment.spread,
            nearest=self.sites.nearest,
            shared=self.sites.shared,
        )

    def _config(
        self, host: str, dials: tuple[str, int], authority: Authority, run: str
    ) -> AgentConfig:
        own = authority.worker(host)
        return AgentConfig(
            run=run,
            worker=host,
            host=host,
            address=dials[0],
            port=dials[1],
            server_name=self._name,
            release=self._launcher.release,
            authority=own.authority.encode(),
            certificate=own.certificate.encode(),
            key=own.key.encode(),
            overlay=self._launcher.overlay,
            slots=self._hosts[host],
            memory_bytes=self._memory_bytes,
            patience_s=self._patience_s,
        )


class _Start:
    """The agents of a run: started in threads, so that the first begins while others come."""

    def __init__(
        self, hosts: Iterable[str], launcher: Launcher, ways: Ways | None, watch: Watch
    ) -> None:
        self.watch = watch
        self._ways = ways
        self.origins: dict[str, str] = {}
        self.names: dict[str, JobName] = {}
        self._hosts = tuple(hosts)
        self._launcher = launcher
        self._failed: dict[str, str] = {}
        self._begun: list[str] = []
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(AT_ONCE, "start")

    def begin(self, coordinator: Coordinator, here: tuple[str, int], config_of: ConfigOf) -> None:
        """Start all agents, told what listens here; the run ends if none can be."""
        for host in self._hosts:
            self._threads.submit(self._one, host, coordinator, here, config_of)

    def end(self) -> None:
        """Leave no agent behind."""
        self._over.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._begun:
            self._launcher.stop(tuple(self._begun), self.watch.status.run)
        if self._ways is not None:
            self._ways.close()

    def _one(
        self, host: str, coordinator: Coordinator, here: tuple[str, int], config_of: ConfigOf
    ) -> None:
        try:
            if self._over.is_set():
                return
            self.watch.say(host, "is prepared")
            name = self._launcher.place(host)
            if name is not None:
                self.names[host] = name
            dials = here if self._ways is None else self._ways.open(host, here)
            config = config_of(host, dials)
            self.origins[host] = _origin(config)
            if self._over.is_set():
                return
            self.watch.say(host, "is started")
            self._begun.append(host)
            self._launcher.start(host, config)
        except Exception as error:  # noqa: BLE001 - a host's fault, or raised where the run waits
            self._fail(host, error, coordinator)

    def _fail(self, host: str, error: Exception, coordinator: Coordinator) -> None:
        if not isinstance(error, MapReduceError):
            coordinator.stop(error)
            return
        self.watch.say(host, "failed", str(error))
        self._failed[host] = str(error)
        if len(self._failed) == len(self._hosts):
            said = "".join(f"\n  {h}: {self._failed[h]}" for h in self._hosts)
            coordinator.stop(NoWorkersError(f"no host could be started:{said}"))


def _next(coordinator: Coordinator) -> Said:
    """Take what comes next, or nothing for a while."""
    try:
        return coordinator.said.get(timeout=PULSE_S)
    except queue.Empty:
        return STILL


def _origin(config: AgentConfig) -> str:
    address = f"[{config.address}]" if ":" in config.address else config.address
    return f"https://{address}:{config.port}/"


def _run_id() -> str:
    return f"r{secrets.token_hex(6)}"


def _allow_files() -> None:
    """Let this process have as many connections as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
