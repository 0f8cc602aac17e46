"""Which node of a store is waited for, and since when nothing has come from it.

Readers say when they begin and cease to wait, and when something came; whoever watches over them
asks for the longest silence. Nothing follows from it: what is done about it is others' business.
"""

from __future__ import annotations

import contextlib
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from mapreduce.objects import Awaited

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLD_AFTER_S: Final = 3.0  # a shorter silence is nothing that people should hear of


class Waiter(Protocol):
    """Whoever waits for a node."""

    @property
    def node(self) -> str:
        """The one it waits for now (`host:port`)."""


class Waits:
    """Who waits, and when each node was last heard of."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Waiter, float]] = {}
        self._heard: dict[str, float] = {}
        self._lock = Lock()

    @contextlib.contextmanager
    def of(self, waiter: Waiter) -> Iterator[None]:
        """Count as waiting for as long as the block lasts."""
        with self._lock:
            self._waiting[id(waiter)] = (waiter, monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[id(waiter)]

    def came(self, node: str) -> None:
        """Take in that something came from a node."""
        self._heard[node] = monotonic()

    @property
    def longest(self) -> Awaited | None:
        """The node that is waited for and has been silent longest, if that is long."""
        now = monotonic()
        with self._lock:
            waiting = list(self._waiting.values())
        silent = ((now - max(s, self._heard.get(w.node, s)), w.node) for w, s in waiting)
        seconds, node = max(silent, default=(0.0, ""))
        return Awaited(node, seconds) if seconds >= TOLD_AFTER_S else None
