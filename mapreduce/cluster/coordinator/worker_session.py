"""One worker's connection at the coordinator: the wire on a line, its events to the server.

The name in its hello must be the one its certificate proves.
"""

from __future__ import annotations

from collections.abc import Callable

from mapreduce.cluster.coordinator.tls_connection import TlsConnection
from mapreduce.cluster.protocol.framing import Broken, Event, Wire
from mapreduce.cluster.protocol.messages import FromCoordinator, Hello


class WorkerSession:
    """The wire on one line; `number` goes upwards within a run."""

    def __init__(
        self,
        number: int,
        line: TlsConnection,
        greeted: Callable[[WorkerSession, Hello], None],
        heard: Callable[[WorkerSession, Event], None],
        gone: Callable[[WorkerSession, str], None],
    ) -> None:
        self.number = number
        self.line = line
        self.welcomed = False
        self._greeted, self._heard, self._gone = greeted, heard, gone
        self._wire = Wire("coordinator")

    @property
    def name(self) -> str:
        """Name of the worker, as its certificate proves it."""
        return self.line.name

    def took(self, data: bytes) -> None:
        """Read what came."""
        for event in self._wire.feed(data):
            if self.line.over:
                return
            if isinstance(event, Broken):
                self.line.end(event.why)
            elif not isinstance(event, Hello):
                self._heard(self, event)
            elif event.worker != self.name:
                self.line.end(f"its certificate is {self.name!r}, its hello {event.worker!r}")
            else:
                self.line.settled()
                self._greeted(self, event)

    def ended(self, why: str) -> None:
        """End with the line."""
        broken = [e.why for e in self._wire.feed_end() if isinstance(e, Broken)]
        self._gone(self, broken[0] if broken else why)

    def send(self, message: FromCoordinator) -> None:
        """Say something to the worker; to one that is gone it is not said."""
        if not self.line.over:
            self.line.write(self._wire.frame(message))
