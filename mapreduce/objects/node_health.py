"""Which nodes of a store gave no answer lately: they are asked last, and told of.

A node that is silent is asked first again after a while, in case it is back. Told the time, and
asked by many threads; it decides nothing about an object.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SILENT_S: Final = 60.0  # for so long a node that gave no answer is asked last


class Nodes:
    """The silent nodes, by `host:port`."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        self._lock = Lock()

    @property
    def silent(self) -> tuple[str, ...]:
        """All that ever gave no answer where another node could be asked."""
        with self._lock:
            return tuple(self._until_s)

    def was_silent(self, node: str, now_s: float) -> None:
        """Take in that a node gave no answer."""
        with self._lock:
            self._until_s[node] = now_s + SILENT_S

    def in_order(
        self, urls: Sequence[str], node_of: Callable[[str], str], now_s: float
    ) -> list[str]:
        """Give the URLs in the order to ask them: as they are, but silent nodes last."""
        if len(urls) == 1 or not self._until_s:
            return list(urls)
        with self._lock:
            return sorted(urls, key=lambda url: self._until_s.get(node_of(url), 0.0) > now_s)
