"""Downloads, and the connections that a reader keeps for them.

It is made when the first URL is read: whoever reads files alone never loads the HTTP client,
which takes as long as decoding 50 MB. It sets logging of urllib3 so that signed URLs are cut
where the signature begins, whatever level is on.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import urllib3

from mapreduce.objects.checksum import check_of, needs_part_size
from mapreduce.objects.download import Download, DownloadContext, is_plain, part_size
from mapreduce.objects.node_health import Nodes
from mapreduce.objects.node_waits import Waits
from mapreduce.objects.request_count import Count
from mapreduce.objects.verified_body import Verified

if TYPE_CHECKING:
    from threading import Event

    from mapreduce.objects import Awaited, Entry, Location
    from mapreduce.objects.checksum import Check
    from mapreduce.objects.patience import Patience
    from mapreduce.objects.trusted import Trusted
    from mapreduce.objects.verified_body import Answered


class HttpPool:
    """Opens URLs.

    Parameters
    ----------
    patience
        How long to wait, how often to ask again, and how many connections to keep.
    stopped
        Set by whoever wants all pauses and requests to end.
    trusted
        A server that proves itself otherwise than by the public authorities.
    """

    def __init__(self, patience: Patience, stopped: Event, trusted: Trusted | None) -> None:
        _hush()
        timeout = urllib3.Timeout(connect=patience.connect_s, read=patience.read_s)
        pools = urllib3.PoolManager(
            num_pools=64,
            maxsize=patience.connections,
            timeout=timeout,
            ca_certs=os.environ.get("AWS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE"),
        )
        rng = Random(patience.seed)  # noqa: S311 - spreads pauses, guards nothing
        self._line = DownloadContext(pools, patience.retry, rng, stopped, Count(), Nodes(), Waits())
        self._altered = Count()
        self._trusted_line: DownloadContext | None = None
        self._trusted_origin = ""
        if trusted is not None:
            pools = urllib3.PoolManager(
                maxsize=patience.connections,
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

    @property
    def silent_nodes(self) -> tuple[str, ...]:
        """Nodes of a store that gave no answer, so that others were asked (`host:port`)."""
        return self._line.nodes.silent

    @property
    def awaited(self) -> Awaited | None:
        """The node that reads wait for, where it has been silent for long."""
        return self._line.waits.longest

    def open(self, entry: Entry, location: Location, start: int, stop: int) -> Download | Verified:
        """Ask for bytes `start` to `stop` of an object; see `Download` for what it raises.

        A whole object from a plain connection is held against what the store says of it.
        """
        line, url = self._line, location.url or ""
        if self._trusted_line is not None and url.startswith(self._trusted_origin):
            line = self._trusted_line
        urls = (url, *location.others)
        plain = location.check and any(map(is_plain, urls))
        if not plain or start or stop < entry.size_bytes:
            return Download(line, entry, url, start, stop, location.others)

        def ask() -> Download:
            turn = self._altered.value % len(urls)
            first, *others = urls[turn:] + urls[:turn]
            return Download(line, entry, first, start, stop, tuple(others))

        def check(body: Answered) -> Check | None:
            part_bytes = None
            if location.part is not None and needs_part_size(entry.etag):
                part_bytes = part_size(line.pools, location.part)
            return check_of(entry.etag, entry.size_bytes, body.headers, part_bytes)

        return Verified(entry, ask, check, self._altered)

    def close(self) -> None:
        """Close idle connections."""
        self._line.pools.clear()
        if self._trusted_line is not None:
            self._trusted_line.pools.clear()


class _Redact(logging.Filter):
    """Cuts the query off whatever urllib3 logs of a URL: a signed one is a secret, whoever's."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.partition("?")[0] + "?…" if isinstance(arg, str) and "?" in arg else arg
                for arg in record.args
            )
        return True


def _hush() -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(one, _Redact) for one in logger.filters):
        logger.addFilter(_Redact())
