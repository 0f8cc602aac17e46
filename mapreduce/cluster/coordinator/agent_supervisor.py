"""The agents of a run: started in threads, started again where they were lost, and ended.

The first begins while others come. Whoever waits for it is told what for; being interrupted once
more leaves steps that are under way to themselves, but what was launched is ended all the same.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from mapreduce.cluster.coordinator.agent_endings import AgentEnding, CutShort, named
from mapreduce.cluster.coordinator.launching import Launcher, Parting, Ways
from mapreduce.cluster.coordinator.loop import Coordinator
from mapreduce.cluster.coordinator.run_errors import NoWorkersError, StoppedError
from mapreduce.cluster.coordinator.status import HostStatus, RunStatus
from mapreduce.cluster.host_reasons import by_reason
from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.errors import MapReduceError
from mapreduce.job.name import JobName

AT_ONCE: Final = 16  # hosts that are started together
UNTOLD_S: Final = 1.0  # a wait that long is told of
TOLD_EVERY_S: Final = 15.0
LOOK_S: Final = 0.5
LONGEST_AGAIN_S: Final = 600.0  # between tries to start a host's agent again
ENDING_S: Final = 5.0  # the usual end takes less, and is not told of
DRAIN_S: Final = 120.0  # for an agent that is to be started again to finish what it is at

ConfigOf: TypeAlias = "Callable[[str, tuple[str, int]], AgentConfig]"

log = logging.getLogger("mapreduce.cluster")


class AgentSupervisor:
    """The agents of one run; `watch` is told how far each is.

    `ways` are how they come back, where they cannot dial this machine. One that has been gone for
    `lost_s` is started anew, after twice as long the next time. `origins` are, for each host, how
    the URLs begin at which it reads what is on this machine, and `names` are those of the job where
    it is named otherwise.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        launcher: Launcher,
        ways: Ways | None,
        watch: RunStatus,
        lost_s: float,
    ) -> None:
        self.watch = watch
        self.origins: dict[str, str] = {}
        self.names: dict[str, JobName] = {}
        self._hosts = [*hosts]
        self._serving = 0
        self._launcher = launcher
        self._ways = ways
        self._lost_s = lost_s
        self._lost: dict[str, float] = {}  # hosts that are gone, and since when or the last try
        self._tries: Counter[str] = Counter()
        self._looked = 0.0
        self._failed: dict[str, str] = {}
        self._begun: dict[str, AgentConfig] = {}
        self._at: dict[str, str] = {}  # hosts that a thread is busy with, and what it does
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._first_of: Callable[[str], None] = lambda _: None
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def begin(self, coordinator: Coordinator, here: tuple[str, int], config_of: ConfigOf) -> None:
        """Start all agents, told what listens here; the run ends if none can be."""

        def first(host: str) -> None:
            try:
                self._first(host, here, config_of)
            except Exception as error:  # noqa: BLE001 - a host's fault, or raised where the run waits
                self._fail(host, error, coordinator)

        self._first_of = first
        for host in self._hosts:
            self._begin(host)

    def join(self, host: str) -> None:
        """Start an agent on a host that was not known before."""
        self._hosts.append(host)
        self.watch.news(f"{host} is new in the inventory, and joins the run")
        self._begin(host)

    def restart(self) -> None:
        """Have every agent finish what it is at and started again, one after the other."""
        self._work.put(self._restart_each)
        self._have_served()

    def _begin(self, host: str) -> None:
        self._work.put(lambda: self._first_of(host))
        self._have_served()

    def _have_served(self) -> None:
        if self._serving < min(AT_ONCE, len(self._hosts)):
            self._serving += 1
            # Daemons: nobody waits at the end of the program for a step that was left to itself.
            threading.Thread(target=self._serve, name="start", daemon=True).start()

    def tend(self, *, quiet: bool) -> None:
        """Have agents started again where they are gone or could not be started.

        Each time it waits twice as long. Nothing is given up for the number of times. `quiet` is
        whether all that agents brought has been taken. Raises StoppedError where every agent has
        left because it was told to: nobody is to come back.
        """
        now, status = time.monotonic(), self.watch.status
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        if quiet:
            self._check_any_left(status.hosts)
        gone = {h.host for h in status.hosts if h.state in ("gone", "failed")} - self._at.keys()
        self._lost = {host: self._lost.get(host, now) for host in gone | self._at.keys()}
        for host in gone:
            due = now - self._lost[host] >= self._wait_s(host)
            if due and status.state == "running":
                self._tries[host] += 1
                self._lost[host] = now
                self._is_at(host, "is looked for")
                again = self._again if host in self._begun else self._first_of
                self._work.put(lambda host=host, again=again: again(host))  # type: ignore[misc]  # as above

    def _wait_s(self, host: str) -> float:
        return min(self._lost_s * 2.0 ** self._tries[host], LONGEST_AGAIN_S)

    def _check_any_left(self, hosts: Iterable[HostStatus]) -> None:
        """See that somebody may still come, where agents were told to end."""
        states = Counter(h.state for h in hosts)
        away = states["left"] + states["failed"] + states["refused"]
        if states["left"] and away == states.total() and not self._at:
            raise StoppedError(
                "the agents of all hosts were stopped (by `mapreduce cluster stop`, or by a"
                " signal on the host): finished work is kept, and the same command resumes the"
                " run"
            )

    def end(self) -> None:
        """Leave no agent behind; a KeyboardInterrupt meanwhile is raised once that is done."""
        self._over.set()
        for _ in range(AT_ONCE):
            self._work.put(None)
        again = "press Ctrl-C again to stop waiting"
        short = CutShort(self._launcher, self.watch.status.run, self._starting)
        short.start()
        left = self._wait(lambda: [*self._at], f"waiting for deployment steps on %s; {again}")
        if left is not None:
            self._wait(self._starting, "waiting for agents that are being started on %s")
        short.stop()
        cut = self._wait(short.hosts, f"ending agents that were being started on %s; {again}")
        if isinstance(self._launcher, Parting):
            self._launcher.parted(tuple(self.watch.parted))
        ending = AgentEnding(self._launcher, tuple(self._begun), self.watch.status.run)
        given_up = self._wait(ending.hosts, f"ending the agents on %s; {again}", ENDING_S)
        if self._ways is not None:
            self._ways.close()
        error = left or cut or given_up or ending.error
        if error is not None:
            raise error

    def _wait(
        self, left: Callable[[], Sequence[str]], what: str, untold_s: float = UNTOLD_S
    ) -> KeyboardInterrupt | None:
        """Wait until no host is left, telling for which; give what interrupted that."""
        tell_at = time.monotonic() + untold_s
        try:
            with self._changed:
                while hosts := left():
                    self._changed.wait(UNTOLD_S / 10)
                    if time.monotonic() >= tell_at:
                        tell_at += TOLD_EVERY_S
                        log.warning(what, named(hosts))
        except KeyboardInterrupt as error:
            return error
        return None

    def _starting(self) -> list[str]:
        with self._changed:
            return [host for host, what in self._at.items() if what == "is started"]

    def _serve(self) -> None:
        while not self._over.is_set():
            act = self._work.get()
            if act is not None:
                act()

    def _is_at(self, host: str, what: str) -> None:
        """Take in what is done with a host; `""` for nothing any more."""
        with self._changed:
            if what:
                self._at[host] = what
            else:
                self._at.pop(host, None)
            self._changed.notify_all()
        if what:
            self.watch.say(host, what)

    def _first(self, host: str, here: tuple[str, int], config_of: ConfigOf) -> None:
        try:
            self._is_at(host, "is prepared")
            self._place(host)
            if self._over.is_set():
                return
            dials = here if self._ways is None else self._ways.open(host, here)
            config = config_of(host, dials)
            self.origins[host] = _origin(config)
            self._is_at(host, "is started")
            if not self._over.is_set():
                self._begun[host] = config
                self._launcher.start(host, config)
                self._failed.pop(host, None)
        finally:
            self._is_at(host, "")

    def _place(self, host: str) -> None:
        """Bring a host what it lacks."""
        name = None if self._over.is_set() else self._launcher.place(host)
        if name is not None:
            self.names[host] = name

    def _restart_each(self) -> None:
        for host in [host for host in self._hosts if host in self._begun]:
            if self._over.is_set():
                return
            self._is_at(host, "is restarted")
            self._again(host, "was asked to end", DRAIN_S)

    def _again(self, host: str, why: str = "was lost", drain_s: float = 1.0) -> None:
        """Start the agent of a host anew, once nothing is left of the one before.

        What it needs there is looked through again: perhaps it went for want of that.
        """
        try:
            if self._over.is_set():
                return
            self._launcher.stop((host,), self.watch.status.run, drain_s)
            self._is_at(host, "is prepared")
            self._place(host)
            self._is_at(host, "is started")
            if not self._over.is_set():
                self._launcher.start(host, self._begun[host])
                self._failed.pop(host, None)
                self.watch.news(f"{host} {why}; its agent is restarted")
        except Exception as error:  # noqa: BLE001 - the rest goes on without it, as before
            self._say_out(host, "gone", f"not restarted: {error}")
        finally:
            self._is_at(host, "")

    def _fail(self, host: str, error: Exception, coordinator: Coordinator) -> None:
        if not isinstance(error, MapReduceError):
            coordinator.stop(error)
            return
        if self._over.is_set():  # it was cut short
            return
        self._say_out(host, "failed", str(error))
        self._failed[host] = str(error)
        if len(self._failed) == len(self._hosts):
            said = by_reason({h: self._failed[h] for h in self._hosts})
            coordinator.stop(NoWorkersError(f"no host could be started:{said}"))

    def _say_out(self, host: str, state: str, why: str) -> None:
        self.watch.say(host, state, why)
        self.watch.news(f"{host} takes no part; retry in {self._wait_s(host):.0f} s: {why}")


def _origin(config: AgentConfig) -> str:
    address = f"[{config.address}]" if ":" in config.address else config.address
    return f"https://{address}:{config.port}/"
