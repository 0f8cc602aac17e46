"""One object's bytes over HTTP: the version that was listed, whole, or an error that says why.

Every request carries `If-Match`; etag and length of what comes are checked. A body that is cut
or short is gone on with by `Range` from where it stopped, and a server that is busy or away is
asked again after a pause, until the deadline; other nodes of its store take turns with it.
Whatever happens, the connection is closed or given back. A URL is a secret: it appears in no
message.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, NoReturn, Self
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from mapreduce.errors import ObjectError, StoreError
from mapreduce.objects.backoff import Backoff, retry_after_s
from mapreduce.objects.checksum import MODE
from mapreduce.objects.foreign_answers import tls_fault, tls_words
from mapreduce.objects.s3_errors import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random
    from threading import Event

    from urllib3 import PoolManager
    from urllib3.response import BaseHTTPResponse

    from mapreduce.objects import Entry
    from mapreduce.objects.node_health import Nodes
    from mapreduce.objects.node_waits import Waits
    from mapreduce.objects.patience import RetryPolicy
    from mapreduce.objects.request_count import Count

_OK, _PARTIAL, _NOT_FOUND = 200, 206, 404
_TOO_MUCH = {429, 503}
_MOST_AT_ONCE = 1 << 23
_ERROR_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class DownloadContext:
    """What all downloads of a reader share: connections, patience, and the wish to stop."""

    pools: PoolManager
    retry: RetryPolicy
    rng: Random
    stopped: Event
    slow_downs: Count  # answers that asked for fewer requests
    nodes: Nodes
    waits: Waits


class Download:
    """Bytes `start` to `stop` of an object behind a URL; asked for at once.

    Parameters
    ----------
    line
        Connections and patience.
    entry
        What was listed.
    url
        Where to read it: presigned, or open to all.
    start, stop
        Range in bytes; `stop` at most the size.
    others
        URLs of the same object at other nodes of its store.

    Attributes
    ----------
    node
        The node that is asked (`host:port`).
    headers
        Of the first answer.
    unchecked
        Whether any way to it is a plain connection, which may alter bytes unnoticed.

    Raises
    ------
    ObjectError
        `gone`, `changed` or `unreadable`; from `read` too.
    ExpiredError
        The URL is no longer honoured.
    StoreError
        The store refused, or answered nothing useful until the deadline.
    """

    __slots__ = (
        "_backoff",
        "_conditional",
        "_entry",
        "_line",
        "_offset",
        "_response",
        "_stop",
        "_target",
        "_urls",
        "headers",
        "node",
        "unchecked",
    )

    def __init__(
        self,
        line: DownloadContext,
        entry: Entry,
        url: str,
        start: int,
        stop: int,
        others: tuple[str, ...] = (),
    ) -> None:
        self._line = line
        self._entry = entry
        self._urls = deque(line.nodes.in_order((url, *others), _node, monotonic()))
        self._turn_to(self._urls[0])
        self._offset = start
        self._stop = stop
        self._backoff = Backoff(line.retry, line.rng)
        self._conditional = True
        self.headers: Mapping[str, str] = {}
        self.unchecked = any(map(is_plain, self._urls))
        self._response: BaseHTTPResponse | None = None
        if start < stop or not entry.size_bytes:
            with line.waits.of(self):
                self._ask()
        if start >= stop:
            self.close()

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes, all that is left if `n` is negative; `b""` at the end."""
        with self._line.waits.of(self):
            if n >= 0:
                return self._piece(n)
            first = self._piece(_MOST_AT_ONCE)
            if self._offset >= self._stop:
                return first
            return b"".join([first, *iter(lambda: self._piece(_MOST_AT_ONCE), b"")])

    def close(self) -> None:
        """Give the connection back; close it if the body was not read to its end."""
        response, self._response = self._response, None
        if response is not None:
            _dismiss(response)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _turn_to(self, url: str) -> None:
        parts = urlsplit(url)
        self.node = _node(url)
        self._target = parts.path + ("?" + parts.query if parts.query else "")

    def _piece(self, n: int) -> bytes:
        while n and self._offset < self._stop:
            response = self._response or self._ask()
            try:
                piece = response.read(min(n, self._stop - self._offset), decode_content=False)
                why = "the body ended"
            except (HTTPError, OSError) as error:
                piece, why = b"", f"the body was truncated ({type(error).__name__})"
            if piece:
                self._line.waits.came(self.node)
                self._backoff.progressed()
                self._offset += len(piece)
                if self._offset >= self._stop:
                    self._finish(response)
                return piece
            self._pause(f"{why} at byte {self._offset} of {self._entry.size_bytes}")
        return b""

    def _ask(self) -> BaseHTTPResponse:
        """Request what is left, until there is an answer to read from."""
        while True:
            if self._line.stopped.is_set():
                raise StoreError("reading was stopped")
            try:
                pool = self._line.pools.connection_from_url(self._urls[0])
                # The pool's own urlopen sends the target as it is; the manager's would take
                # dots out of the path and spoil the signature.
                response = pool.urlopen(
                    "GET",
                    self._target,
                    headers=self._headers(),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            except (HTTPError, OSError) as error:
                if (told := tls_fault(error)) is not None:
                    raise StoreError(f"{self.node}: {told}") from error
                if len(self._urls) > 1:
                    self._line.nodes.was_silent(self.node, monotonic())
                self._pause(tls_words(error) or f"no answer ({type(error).__name__})")
                continue
            self._line.waits.came(self.node)
            if response.status in {_OK, _PARTIAL}:
                self._response = response
                self._conditional = True
                self._check(response)
                self.headers = self.headers or response.headers
                return response
            self._refused(response)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        if self.unchecked and "X-Amz-Signature=" not in self._target:
            headers[MODE] = "ENABLED"  # a signed URL has it in its query
        if self._entry.etag and self._conditional:
            headers["If-Match"] = f'"{self._entry.etag}"'
        if self._offset or self._stop < self._entry.size_bytes:
            headers["Range"] = f"bytes={self._offset}-{self._stop - 1}"
        return headers

    def _refused(self, response: BaseHTTPResponse) -> None:
        try:
            body = response.read(_ERROR_BYTES, decode_content=False)
        except (HTTPError, OSError):
            body = b""
        finally:
            _dismiss(response)
        if response.status == _NOT_FOUND and self._conditional:
            # Some stores look at the condition first and blame the object for a bucket that is
            # missing (SeaweedFS 4.48): without a condition they tell.
            self._conditional = False
            return
        if response.status in _TOO_MUCH:
            self._line.slow_downs.add()
        error = refusal(response.status, body, self._entry.key, self.node, response.headers)
        if error is not None:
            raise error
        self._pause(f"answered {response.status}", retry_after_s(response.headers))

    def _check(self, response: BaseHTTPResponse) -> None:
        """Hold an answer against what was listed: etag, place and length."""
        etag = response.headers.get("ETag", "").strip().removeprefix("W/").strip('"')
        if etag and self._entry.etag not in {"", etag}:
            self._changed(f"version {self._entry.etag} was listed, {etag} was received")
        if not etag and self._entry.etag and "html" in response.headers.get("Content-Type", ""):
            self.close()
            raise StoreError(
                f"{self.node} answered with a web page instead of {self._entry.key}: is there a"
                " proxy or a login page in between? Resume when that is corrected"
            )
        size = self._entry.size_bytes
        if response.status == _PARTIAL:
            place = re.fullmatch(
                r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "")
            )
            if place is None or int(place[1]) != self._offset:
                self.close()
                raise StoreError(f"{self.node} answered with a different range than requested")
            if place[2] not in {"*", str(size)}:
                self._changed(f"{size} bytes were listed, it has {place[2]} now")
            return
        length = response.headers.get("Content-Length")
        # A shorter length with the right etag is a body cut on its way: gone on with by range.
        if length is not None and int(length) > size:
            self._changed(f"{size} bytes were listed, {length} were received")
        if self._offset:
            self._skip(response)

    def _skip(self, response: BaseHTTPResponse) -> None:
        """Read over what is known already, where a server takes no ranges."""
        left = self._offset
        while left:
            try:
                piece = response.read(min(left, _MOST_AT_ONCE), decode_content=False)
            except (HTTPError, OSError):
                piece = b""
            if not piece:
                return  # the next read finds the body ended, pauses and asks anew
            left -= len(piece)

    def _finish(self, response: BaseHTTPResponse) -> None:
        """Give the connection back after the last byte, if it was the object's last."""
        unsized = "Content-Length" not in response.headers
        if unsized and self._stop == self._entry.size_bytes:
            try:
                more = response.read(1, decode_content=False)
            except (HTTPError, OSError):
                more = b""
            if more:
                self._changed(f"more than the {self._stop} bytes that were listed were received")
        self.close()

    def _changed(self, how: str) -> NoReturn:
        self.close()
        raise ObjectError("changed", f"{self._entry.key}: {how}")

    def _pause(self, why: str, asked_s: float | None = None) -> None:
        """Wait before asking again, or give the store up."""
        self.close()
        wait_s = self._backoff.wait_s(monotonic(), asked_s)
        if wait_s is None:
            raise StoreError(
                f"{self.node}: {why}; this was retried for {self._line.retry.deadline_s:g} s."
                f" The last object was {self._entry.key}. Resume when the store responds again"
            )
        self._line.stopped.wait(wait_s)
        if len(self._urls) > 1:
            self._urls.rotate(-1)
            self._turn_to(self._urls[0])


def is_plain(url: str) -> bool:
    """Whether a URL is read without TLS, which would notice what is altered on the way."""
    return url.startswith("http:")


def _node(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _dismiss(response: BaseHTTPResponse) -> None:
    """Close what is unread and give the connection's place back: ports run out otherwise."""
    response.close()
    response.release_conn()


def part_size(pools: PoolManager, url: str) -> int | None:
    """Ask for the size of the first of an object's parts; None where the store does not tell."""
    try:
        pool = pools.connection_from_url(url)
        target = url.partition(urlsplit(url).netloc)[2]
        response = pool.urlopen("HEAD", target, retries=1, redirect=False)
    except (HTTPError, OSError):
        return None
    length = response.headers.get("Content-Length", "")
    return int(length) if response.status in {_OK, _PARTIAL} and length.isdigit() else None
