"""The engine over SSH: an agent on every host, one coordinator here, for one run.

Certificates are made when the run begins and die with it. Hosts that cannot be started are named
and the run goes on with the rest; without any it ends, resumable. Every agent is told goodbye, and
what does not end by that is ended through the launcher.
"""

from __future__ import annotations

import dataclasses
import queue
import resource
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from mapreduce.cluster.coordinator.agent_supervisor import AgentSupervisor
from mapreduce.cluster.coordinator.control_socket import ControlSocket
from mapreduce.cluster.coordinator.launching import Growing, Launcher, Ways
from mapreduce.cluster.coordinator.locations import Locations
from mapreduce.cluster.coordinator.loop import Coordinator, Said
from mapreduce.cluster.coordinator.status import RunStatus, Status
from mapreduce.cluster.coordinator.terms import Terms
from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.engine import PULSE_S, STILL, Assignment, Event, Manning, Outcome, Sites
from mapreduce.errors import UsageError
from mapreduce.plan import Split
from mapreduce.tls import Authority, server_context

REFUSED_S: Final = 15.0  # an agent lasts where nothing listens here any more
JOIN_S: Final = 15.0
FILES: Final = 1 << 16  # connections of workers and their slots
NAME: Final = "coordinator"  # what it proves to be where hosts dial no address of its own


class Cluster:
    """Runs attempts on hosts.

    Parameters
    ----------
    hosts
        Their names, each with its slots (0 for what it has).
    address, port
        What is bound here and dialled from there; port 0 for any free one.
    ways
        How hosts come to that address where they cannot dial it; None where they can.
    folder
        Where the control socket is put; None for none.
    memory_bytes
        Memory a slot may use; 0 for what its host allows.
    patience_s
        How long agents wait for a coordinator that is gone.
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
        self._watch: RunStatus | None = None

    @property
    def status(self) -> Status | None:
        """How the run and its hosts fare; None before it begins."""
        return None if self._watch is None else self._watch.status

    @property
    def manning(self) -> Manning | None:
        """Slots and their time, so far."""
        known = self.status
        if self._watch is None or known is None or not known.slots:
            return None
        return Manning(known.slots, known.slots_s, self._watch.shares())

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        """Run every split once, giving outcomes and advances as they come.

        An outcome counts as durable when the next is asked for. What ended the run is raised
        (JobError, StoreError, another MapReduceError); no agent is left by then.
        """
        watch, lost_s = RunStatus(f"r{secrets.token_hex(6)}", self._hosts), self._rules.lease_s
        start = AgentSupervisor(self._hosts, self._launcher, self._ways, watch, lost_s)
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
            Locations(
                assignment.locate,
                start.origins,
                spread=assignment.spread,
                nearest=self.sites.nearest,
                shared=self.sites.shared,
            ),
            start.names,
            self._memory_bytes,
        )
        context = server_context(authority.coordinator(self._name))
        rules = dataclasses.replace(self._rules, asks=assignment.asks)
        coordinator = Coordinator(terms, splits, context, self._listen, rules, start.watch)
        if self._folder is not None:
            control = ControlSocket(
                self._folder, lambda: start.watch.status, coordinator.drain, start.restart
            )
            coordinator.beside(control.serve)
        port = coordinator.start()
        try:
            here = self._listen[0], port
            start.begin(coordinator, here, lambda h, at: self._config(h, at, authority, run))
            while (said := _next(coordinator)) is not None:
                if isinstance(said, BaseException):
                    raise said
                start.tend(quiet=said is STILL)
                self._let_join(start)
                yield said
                if isinstance(said, Outcome):
                    coordinator.committed(said.splits[0])
        finally:
            try:
                coordinator.stop()
                coordinator.join(JOIN_S)
            finally:  # also where that was interrupted
                start.end()

    def _let_join(self, start: AgentSupervisor) -> None:
        """Start agents on hosts that are new; where they cannot be known, say so and go on."""
        if not isinstance(self._launcher, Growing):
            return
        try:
            found = self._launcher.newcomers()
        except UsageError as error:
            start.watch.news(f"whether hosts are new is not known: {error}")
            return
        for host, slots in found.items():
            self._hosts[host] = slots
            start.join(host)

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
            # A way through SSH is refused while it is made again.
            refused_s=min(REFUSED_S, self._patience_s) if self._ways is None else self._patience_s,
        )


def _next(coordinator: Coordinator) -> Said:
    """Take what comes next, or nothing for a while."""
    try:
        return coordinator.said.get(timeout=PULSE_S)
    except queue.Empty:
        return STILL


def _allow_files() -> None:
    """Let this process have as many connections as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
