"""Agents being ended, at the end of a run or while one of them still comes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Final

from mapreduce.cluster.coordinator.launching import Launcher

MOST_NAMED: Final = 8
AGAIN_S: Final = 1.0


class AgentEnding:
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


def named(hosts: Sequence[str]) -> str:
    """Name hosts, not too many."""
    more = f" and {len(hosts) - MOST_NAMED} more" if len(hosts) > MOST_NAMED else ""
    return ", ".join(hosts[:MOST_NAMED]) + more


class CutShort(threading.Thread):
    """Ends agents that are being started, whose starter waits for a welcome that never comes."""

    def __init__(self, launcher: Launcher, run: str, starting: Callable[[], Sequence[str]]) -> None:
        super().__init__(name="cut short", daemon=True)
        self._launcher = launcher
        self._run = run
        self._starting = starting
        self._asked: Sequence[str] = ()
        self._over = threading.Event()

    def run(self) -> None:
        """Ask again and again: an agent may only just have come to its host."""
        while not self._over.is_set() and (hosts := self._starting()):
            self._asked = hosts
            with contextlib.suppress(Exception):  # ending them all, later, tells what is wrong
                self._launcher.stop(hosts, self._run)
            self._over.wait(AGAIN_S)

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()

    def hosts(self) -> Sequence[str]:
        """Those that are still being asked."""
        return self._asked if self.is_alive() else ()
