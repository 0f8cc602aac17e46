"""The same thing on many hosts: a bounded number at once, each with a deadline, one table.

An operation answers a table host -> outcome and goes on with the rest when a host fails; at the
end one error names the hosts that failed and why. Threads are daemons: a host that hangs in a
name server holds up nobody. It knows nothing of SSH.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from mapreduce.cluster.host_reasons import by_reason
from mapreduce.cluster.inventory.inventory import Host
from mapreduce.errors import MapReduceError, UsageError

AT_ONCE: Final = 8  # a jump host's sshd drops logins beyond ten that are not through yet
HOST_S: Final = 900.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HostOutcome(Generic[T]):
    """How it went on one host. `state` is for people; `value` is None where it failed.

    `doubtful`: what was asked was done, and a person should look at what came of it.
    """

    host: str
    ok: bool
    state: str
    seconds: float
    value: T | None = None
    doubtful: bool = False


class Display(Protocol):
    """Where a person sees how far each host is."""

    def show(self, host: str, state: str) -> None:
        """Tell what a host is at."""

    def done(self, outcome: HostOutcome[Any]) -> None:
        """Tell how it ended there."""


class FleetError(MapReduceError):
    """Some hosts failed; the others did what was asked."""

    def __init__(self, what: str, failed: Sequence[HostOutcome[Any]], of: int) -> None:
        said = by_reason({o.host: o.state for o in failed})
        super().__init__(f"{what} failed on {len(failed)} of {of} hosts:{said}")
        self.failed = tuple(failed)


class HostOutcomes(dict[str, HostOutcome[T]]):
    """Outcomes by host, in the order of the hosts."""

    @property
    def failed(self) -> list[HostOutcome[T]]:
        """Those that failed."""
        return [o for o in self.values() if not o.ok]

    @property
    def values_by_host(self) -> dict[str, T]:
        """What came of it, where it went well."""
        return {o.host: o.value for o in self.values() if o.ok and o.value is not None}

    def check(self, what: str) -> None:
        """Raise one error that names the hosts that failed, if any did."""
        if self.failed:
            raise FleetError(what, self.failed, len(self))


class HostDone(Generic[T]):
    """What an operation on a host returns: a state for people, a value, whether it is doubtful."""

    __slots__ = ("doubtful", "state", "value")

    def __init__(self, state: str, value: T, *, doubtful: bool = False) -> None:
        self.state = state
        self.value = value
        self.doubtful = doubtful


def on_each(
    hosts: Sequence[Host],
    act: Callable[[Host, Callable[[str], None]], HostDone[T]],
    board: Display,
    *,
    at_once: int = AT_ONCE,
    timeout_s: float = HOST_S,
) -> HostOutcomes[T]:
    """Do something on every host; `act` gets the host and a function that shows its state.

    A UsageError that `act` raises is raised here: it is wrong for all hosts alike.
    """
    work: queue.SimpleQueue[Host] = queue.SimpleQueue()
    for host in hosts:
        work.put(host)
    ended: queue.SimpleQueue[HostOutcome[T] | UsageError | Exception] = queue.SimpleQueue()
    began: dict[str, float] = {}
    for i in range(min(at_once, len(hosts))):
        args = (work, act, board, ended, began)
        threading.Thread(target=_work, args=args, name=f"fleet-{i}", daemon=True).start()
    outcomes: dict[str, HostOutcome[T]] = {}
    while len(outcomes) < len(hosts):
        try:
            end = ended.get(timeout=0.5)
        except queue.Empty:
            overdue: list[HostOutcome[T]] = _overdue(began, outcomes, timeout_s)
            for late in overdue:
                outcomes[late.host] = late
                board.done(late)
                args = (work, act, board, ended, began)  # its thread is lost: put in another
                threading.Thread(target=_work, args=args, daemon=True).start()
            continue
        if isinstance(end, Exception):
            raise end
        if end.host not in outcomes:
            outcomes[end.host] = end
            board.done(end)
    return HostOutcomes({h.name: outcomes[h.name] for h in hosts})


def _work(
    work: queue.SimpleQueue[Host],
    act: Callable[[Host, Callable[[str], None]], HostDone[T]],
    board: Display,
    ended: queue.SimpleQueue[HostOutcome[T] | UsageError | Exception],
    began: dict[str, float],
) -> None:
    while True:
        try:
            host = work.get_nowait()
        except queue.Empty:
            return
        name, start = host.name, time.monotonic()
        began[name] = start
        try:
            done = act(host, lambda state, name=name: board.show(name, state))  # type: ignore[misc]  # a default names this turn's host
            took_s = time.monotonic() - start
            ended.put(HostOutcome(name, True, done.state, took_s, done.value, done.doubtful))
        except UsageError as error:
            ended.put(error)
        except MapReduceError as error:
            ended.put(HostOutcome(name, False, str(error), time.monotonic() - start))
        except Exception as error:  # noqa: BLE001 - raised again where the table is made
            ended.put(error)


def _overdue(
    began: dict[str, float], outcomes: Iterable[str], timeout_s: float
) -> list[HostOutcome[T]]:
    now, over = time.monotonic(), {*outcomes}
    return [
        HostOutcome(name, False, f"did not answer within {timeout_s:g} s", now - start)
        for name, start in list(began.items())
        if name not in over and now - start > timeout_s
    ]
