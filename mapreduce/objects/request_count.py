"""A number that several threads raise."""

from __future__ import annotations

from threading import Lock


class Count:
    """How often something happened."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = Lock()

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self.value += 1
