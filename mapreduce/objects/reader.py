"""Reads objects from where a store said they are; knows no store and holds no credentials.

One reader a process: it keeps the connections, so it is shared by all its threads. What it
reads is the version that was listed, or an error. It sets logging of urllib3 so that signed
URLs are cut where the signature begins, whatever level is on.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from random import Random
from threading import Event
from typing import TYPE_CHECKING, Self

import urllib3

from mapreduce.errors import UsageError
from mapreduce.objects.backoff import Retry
from mapreduce.objects.body import BytesBody
from mapreduce.objects.download import Count, Download, Line
from mapreduce.objects.files import FileBody

if TYPE_CHECKING:
    from ssl import SSLContext

    from mapreduce.objects import Entry, Location
    from mapreduce.objects.body import Body


@dataclass(frozen=True, slots=True)
class Trusted:
    """A server with an authority of its own: how its URLs begin, and the name it must prove."""

    origin: str
    context: SSLContext
    server_name: str


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
    trusted
        A server that proves itself otherwise than by the public authorities.
    """

    def __init__(
        self,
        *,
        retry: Retry | None = None,
        connections: int = 16,
        connect_s: float = 10.0,
        read_s: float = 60.0,
        seed: int | None = None,
        trusted: Trusted | None = None,
    ) -> None:
        _hush()
        timeout = urllib3.Timeout(connect=connect_s, read=read_s)
        pools = urllib3.PoolManager(
            num_pools=64,
            maxsize=connections,
            timeout=timeout,
            ca_certs=os.environ.get("AWS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE"),
        )
        rng = Random(seed)  # noqa: S311 - spreads pauses, guards nothing
        self._line = Line(pools, retry or Retry(), rng, Event(), Count())
        self._trusted_line: Line | None = None
        self._trusted_origin = ""
        if trusted is not None:
            pools = urllib3.PoolManager(
                maxsize=connections,
                timeout=timeout,
                ssl_context=trusted.context,
                server_hostname=trusted.server_name,
            )
            self._trusted_line = replace(self._line, pools=pools)
            self._trusted_origin = trusted.origin.rstrip("/") + "/"

    @property
    def slow_downs(self) -> int:
        """How often a store has asked for fewer requests (429, 503) so far."""
        return self._line.slow_downs.value

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
            return Download(self._line_to(location.url), entry, location.url, start, stop)
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
        if self._trusted_line is not None:
            self._trusted_line.pools.clear()

    def _line_to(self, url: str) -> Line:
        if self._trusted_line is not None and url.startswith(self._trusted_origin):
            return self._trusted_line
        return self._line

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
