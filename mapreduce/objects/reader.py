"""Reads objects from where a store said they are; knows no store and holds no credentials.

One reader a process: it keeps the connections, so it is shared by all its threads. What it
reads is the version that was listed, or an error. It sets logging of urllib3 so that signed
URLs are cut where the signature begins, whatever level is on.
"""

from __future__ import annotations

import logging
import os
from random import Random
from threading import Event
from typing import TYPE_CHECKING, Self

import urllib3

from mapreduce.errors import UsageError
from mapreduce.objects.backoff import Retry
from mapreduce.objects.body import BytesBody
from mapreduce.objects.download import Download, Line
from mapreduce.objects.files import FileBody

if TYPE_CHECKING:
    from mapreduce.objects import Entry, Location
    from mapreduce.objects.body import Body


class Reader:
    """Opens objects.

    Parameters
    ----------
    retry
        How patiently to ask a store that is busy or away.
    connections
        How many idle connections to keep to one host: as many as threads that read.
    connect_s, read_s
        How long one connection may take to come about, and one piece to come, in seconds.
    seed
        Of the chance in back-off; None for the system's.
    """

    def __init__(
        self,
        *,
        retry: Retry | None = None,
        connections: int = 16,
        connect_s: float = 10.0,
        read_s: float = 60.0,
        seed: int | None = None,
    ) -> None:
        _hush()
        pools = urllib3.PoolManager(
            num_pools=64,
            maxsize=connections,
            timeout=urllib3.Timeout(connect=connect_s, read=read_s),
            ca_certs=os.environ.get("AWS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE"),
        )
        rng = Random(seed)  # noqa: S311 - spreads pauses, guards nothing
        self._line = Line(pools, retry or Retry(), rng, Event())

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
        if location.url is not None:
            return Download(self._line, entry, location.url, start, stop)
        if location.path is not None:
            return FileBody(location.path, entry, start, stop)
        if location.body is not None:
            whole = start == 0 and stop == len(location.body)
            return BytesBody(location.body if whole else location.body[start:stop])
        raise UsageError(f"the location of {entry.key} has neither url, path nor body")

    def stop(self) -> None:
        """End pauses and requests to come: bodies being read raise `StoreError`."""
        self._line.stopped.set()

    def close(self) -> None:
        """Stop, and close idle connections."""
        self.stop()
        self._line.pools.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Redact(logging.Filter):
    """Cuts the query off whatever urllib3 logs of a URL: a presigned one is a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.partition("?")[0] + "?…" if isinstance(arg, str) and "X-Amz-" in arg else arg
                for arg in record.args
            )
        return True


def _hush() -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(one, _Redact) for one in logger.filters):
        logger.addFilter(_Redact())
