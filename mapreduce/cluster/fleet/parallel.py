"""The same thing on many hosts: a bounded number at once, each with a deadline, one table.

An operation answers a table host -> outcome and goes on with the rest when a host fails; at the
end one error names the hosts that failed and why. Threads are daemons: a host that hangs in a
name server holds up nobody.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from mapreduce.cluster.host_reasons import by_reason
from mapreduce.cluster.inventory.inventory import Host
from mapreduce.errors import MapReduceError, UsageError

AT_ONCE: Final = 8  # a jump host's sshd drops logins beyond ten that are not through yet
HOST_S: Final = 900.0
LOOK_S: Final = 0.5  # between looks for hosts that are late

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


@dataclass(frozen=True, slots=True)
class HostDone(Generic[T]):
    """What an operation on a host returns: a state for people, a value, whether it is doubtful."""

    state: str
    value: T
    doubtful: bool = False


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
    waiting = deque(hosts)
    ended: queue.SimpleQueue[HostOutcome[T] | Exception] = queue.SimpleQueue()
    began: dict[str, float] = {}
    outcomes: dict[str, HostOutcome[T]] = {}

    def set_to_work() -> None:
        args = (waiting, act, board, began, ended)
        threading.Thread(target=_work, args=args, name="fleet", daemon=True).start()

    def book(outcome: HostOutcome[T]) -> None:
        if outcome.host not in outcomes:
            outcomes[outcome.host] = outcome
            board.done(outcome)

    for _ in range(min(at_once, len(hosts))):
        set_to_work()
    while len(outcomes) < len(hosts):
        try:
            end = ended.get(timeout=LOOK_S)
        except queue.Empty:
            now, late = time.monotonic(), f"did not answer within {timeout_s:g} s"
            for name, start in list(began.items()):
                if name not in outcomes and now - start > timeout_s:
                    book(HostOutcome(name, False, late, now - start))
                    set_to_work()  # its thread is lost: put in another
            continue
        if isinstance(end, Exception):
            raise end
        book(end)
    return HostOutcomes({h.name: outcomes[h.name] for h in hosts})


def _work(
    waiting: deque[Host],
    act: Callable[[Host, Callable[[str], None]], HostDone[T]],
    board: Display,
    began: dict[str, float],
    ended: queue.SimpleQueue[HostOutcome[T] | Exception],
) -> None:
    with contextlib.suppress(IndexError):
        while True:
            host = waiting.popleft()
            began[host.name] = time.monotonic()
            ended.put(_outcome(host, act, board))


def _outcome(
    host: Host, act: Callable[[Host, Callable[[str], None]], HostDone[T]], board: Display
) -> HostOutcome[T] | Exception:
    """Do it on one host; what is no fault of that host is raised where the table is made."""
    start = time.monotonic()
    try:
        done = act(host, lambda state: board.show(host.name, state))
    except UsageError as error:
        return error
    except MapReduceError as error:
        return HostOutcome(host.name, False, str(error), time.monotonic() - start)
    except Exception as error:  # noqa: BLE001 - as above
        return error
    took_s = time.monotonic() - start
    return HostOutcome(host.name, True, done.state, took_s, done.value, done.doubtful)
