"""Reads objects from where a store said they are; knows no store and holds no credentials.

One reader a process: it keeps the connections, so it is shared by all its threads. What it
reads is the version that was listed, or an error.
"""

from __future__ import annotations

from threading import Event, Lock
from typing import TYPE_CHECKING, Self

from mapreduce.errors import UsageError
from mapreduce.objects.body import BytesBody
from mapreduce.objects.file_body import FileBody
from mapreduce.objects.member_body import opened
from mapreduce.objects.patience import Patience

if TYPE_CHECKING:
    from mapreduce.objects import Awaited, Entry, Location
    from mapreduce.objects.body import Body
    from mapreduce.objects.http_pool import HttpPool
    from mapreduce.objects.trusted import Trusted


class Reader:
    """Opens objects.

    Parameters
    ----------
    patience
        How often and how long to ask over the web, and over how many connections.
    trusted
        A server that proves itself otherwise than by the public authorities.
    """

    def __init__(self, patience: Patience | None = None, *, trusted: Trusted | None = None) -> None:
        self._patience = patience or Patience()
        self._trusted = trusted
        self._stopped = Event()
        self._web: HttpPool | None = None
        self._making = Lock()

    @property
    def slow_downs(self) -> int:
        """How often a store has asked for fewer requests (429, 503) so far."""
        return 0 if self._web is None else self._web.slow_downs

    @property
    def silent_nodes(self) -> tuple[str, ...]:
        """Nodes of a store that gave no answer, so that others were asked (`host:port`)."""
        return () if self._web is None else self._web.silent_nodes

    @property
    def awaited(self) -> Awaited | None:
        """The node that reads wait for, where it has been silent for long."""
        return None if self._web is None else self._web.awaited

    def open(
        self, entry: Entry, location: Location, start: int = 0, stop: int | None = None
    ) -> Body:
        """Open an object, or bytes `start` to `stop` (exclusive) of it.

        Parameters
        ----------
        entry
            What was listed: the version that must come.
        location
            Where the store said it is.
        start, stop
            Range in bytes; None for the end. A range past the end is cut to it.

        Raises
        ------
        ObjectError
            `gone`, `changed` or `unreadable`; from the body's `read` too.
        ExpiredError
            The URL is no longer honoured: locate the object anew.
        StoreError
            The store as a whole is at fault.
        """
        stop = entry.size_bytes if stop is None else min(stop, entry.size_bytes)
        start = min(start, stop)
        if location.member:
            return opened(self.open, entry, location, start, stop)
        if location.url is not None:
            return self._online().open(entry, location, start, stop)
        if location.path is not None:
            return FileBody(location.path, entry, start, stop, elsewhere=location.elsewhere)
        if location.body is not None:
            whole = start == 0 and stop == len(location.body)
            return BytesBody(location.body if whole else location.body[start:stop])
        raise UsageError(f"the location of {entry.key} has neither url, path nor body")

    def stop(self) -> None:
        """End pauses and requests to come: bodies being read raise `StoreError`."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and close idle connections."""
        self.stop()
        if self._web is not None:
            self._web.close()

    def _online(self) -> HttpPool:
        with self._making:
            if self._web is None:
                from mapreduce.objects.http_pool import HttpPool  # noqa: PLC0415 - loads the HTTP client

                self._web = HttpPool(self._patience, self._stopped, self._trusted)
            return self._web

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
