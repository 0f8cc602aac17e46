"""The agents of a run: started in threads, started again where they were lost, and ended.

The first begins while others come. Whoever waits for it is told what for; being interrupted once
more leaves steps that are under way to themselves, but what was launched is ended all the same.
How a host is reached is the launcher's; who gets work is nothing of this one's.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from mapreduce.cluster.ends import NoWorkersError
from mapreduce.cluster.fleet import by_reason
from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mapreduce.cluster.config import AgentConfig
    from mapreduce.cluster.coordinator import Coordinator
    from mapreduce.cluster.watch import Watch
    from mapreduce.job_name import JobName

AT_ONCE: Final = 16  # hosts that are started together
UNTOLD_S: Final = 1.0  # a wait that long is told of
TOLD_EVERY_S: Final = 15.0
MOST_NAMED: Final = 8
LOOK_S: Final = 0.5
MOST_AGAIN: Final = 3  # times that a host's agent is started again

ConfigOf: TypeAlias = "Callable[[str, tuple[str, int]], AgentConfig]"

log = logging.getLogger("mapreduce.cluster")


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


class Start:
    """The agents of one run.

    Parameters
    ----------
    hosts
        Where they are to be.
    launcher
        How they come there.
    ways
        How they come back, where they cannot dial this machine; None where they can.
    watch
        Where it is told how far each is.
    lost_s
        How long an agent may be gone before another is started there; twice as long the next time.

    Attributes
    ----------
    origins
        For each host, how the URLs begin at which it reads what is on this machine.
    names
        The job's name on a host, where it has another there.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        launcher: Launcher,
        ways: Ways | None,
        watch: Watch,
        lost_s: float,
    ) -> None:
        self.watch = watch
        self.origins: dict[str, str] = {}
        self.names: dict[str, JobName] = {}
        self._hosts = tuple(hosts)
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
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def begin(self, coordinator: Coordinator, here: tuple[str, int], config_of: ConfigOf) -> None:
        """Start all agents, told what listens here; the run ends if none can be."""

        def first(host: str) -> None:
            try:
                self._first(host, here, config_of)
            except Exception as error:  # noqa: BLE001 - a host's fault, or raised where the run waits
                self._fail(host, error, coordinator)

        for host in self._hosts:
            self._work.put(lambda host=host: first(host))  # type: ignore[misc]  # a default names this turn's host
        for _ in range(min(AT_ONCE, len(self._hosts))):
            # Daemons: nobody waits at the end of the program for a step that was left to itself.
            threading.Thread(target=self._serve, name="start", daemon=True).start()

    def tend(self) -> None:
        """Have agents started again where they are gone and have not come back by themselves."""
        now, status = time.monotonic(), self.watch.status
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        gone = {h.host for h in status.hosts if h.state == "gone"} & self._begun.keys()
        self._lost = {host: self._lost.get(host, now) for host in gone}
        for host, since in self._lost.items():
            tries = self._tries[host]
            due = now - since >= self._lost_s * 2**tries
            if due and tries < MOST_AGAIN and host not in self._at and status.state == "running":
                self._tries[host] += 1
                self._lost[host] = now
                self._is_at(host, "is looked for")
                self._work.put(lambda host=host: self._again(host))  # type: ignore[misc]  # as above

    def end(self) -> None:
        """Leave no agent behind.

        Raises
        ------
        KeyboardInterrupt
            Where waiting was interrupted, once what was launched has been ended.
        """
        self._over.set()
        for _ in range(AT_ONCE):
            self._work.put(None)
        again = "Ctrl-C leaves them to themselves"
        left = self._wait(lambda: [*self._at], f"waits for steps under way on %s; {again}")
        if left is not None:
            self._wait(self._starting, "waits for agents that are being started on %s")
        ending = _Ending(self._launcher, tuple(self._begun), self.watch.status.run)
        given_up = self._wait(ending.hosts, f"ends the agents on %s; {again}")
        if self._ways is not None:
            self._ways.close()
        error = left or given_up or ending.error
        if error is not None:
            raise error

    def _wait(self, left: Callable[[], Sequence[str]], what: str) -> KeyboardInterrupt | None:
        """Wait until no host is left, telling for which; give what interrupted that."""
        tell_at = time.monotonic() + UNTOLD_S
        try:
            with self._changed:
                while hosts := left():
                    self._changed.wait(UNTOLD_S / 10)
                    if time.monotonic() >= tell_at:
                        tell_at += TOLD_EVERY_S
                        log.warning(what, _named(hosts))
        except KeyboardInterrupt as error:
            return error
        return None

    def _starting(self) -> list[str]:
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
            name = None if self._over.is_set() else self._launcher.place(host)
            if name is not None:
                self.names[host] = name
            if self._over.is_set():
                return
            dials = here if self._ways is None else self._ways.open(host, here)
            config = config_of(host, dials)
            self.origins[host] = _origin(config)
            self._is_at(host, "is started")
            if not self._over.is_set():
                self._begun[host] = config
                self._launcher.start(host, config)
        finally:
            self._is_at(host, "")

    def _again(self, host: str) -> None:
        """Start the agent of a host anew, once nothing is left of the one before."""
        try:
            if self._over.is_set():
                return
            self._launcher.stop((host,), self.watch.status.run)
            self._is_at(host, "is started")
            if not self._over.is_set():
                self._launcher.start(host, self._begun[host])
                self.watch.news(f"{host} was gone; its agent is started again")
        except Exception as error:  # noqa: BLE001 - the rest goes on without it, as before
            last = self._tries[host] >= MOST_AGAIN
            self.watch.say(host, "failed" if last else "gone", f"not started again: {error}")
        finally:
            self._is_at(host, "")

    def _fail(self, host: str, error: Exception, coordinator: Coordinator) -> None:
        if not isinstance(error, MapReduceError):
            coordinator.stop(error)
            return
        self.watch.say(host, "failed", str(error))
        self._failed[host] = str(error)
        if len(self._failed) == len(self._hosts):
            said = by_reason({h: self._failed[h] for h in self._hosts})
            coordinator.stop(NoWorkersError(f"no host could be started:{said}"))


class _Ending:
    """The agents being ended, beside whoever waits for that."""

    def __init__(self, launcher: Launcher, hosts: Sequence[str], run: str) -> None:
        self.error: Exception | None = None
        self._hosts = hosts
        self._thread = threading.Thread(target=self._end, args=(launcher, run), daemon=True)
        if hosts:
            self._thread.start()

    def hosts(self) -> Sequence[str]:
        """Those that are not ended yet."""
        return self._hosts if self._thread.is_alive() else ()

    def _end(self, launcher: Launcher, run: str) -> None:
        try:
            launcher.stop(self._hosts, run)
        except Exception as error:  # noqa: BLE001 - raised again where the run waits
            self.error = error


def _named(hosts: Sequence[str]) -> str:
    more = f" and {len(hosts) - MOST_NAMED} more" if len(hosts) > MOST_NAMED else ""
    return ", ".join(hosts[:MOST_NAMED]) + more


def _origin(config: AgentConfig) -> str:
    address = f"[{config.address}]" if ":" in config.address else config.address
    return f"https://{address}:{config.port}/"
