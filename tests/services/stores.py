"""A made-up S3 server that answers as no sound store does: real ones cannot be made to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/xml"})


def page(*inside: str, more: str | None = "false", token: str | None = None) -> Answer:
    """Make a page of a listing."""
    parts = [*inside]
    if more is not None:
        parts.append(f"<IsTruncated>{more}</IsTruncated>")
    if token is not None:
        parts.append(f"<NextContinuationToken>{escape(token)}</NextContinuationToken>")
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    text = (
        f'<ListBucketResult xmlns="{space}"><Name>trips</Name>{"".join(parts)}</ListBucketResult>'
    )
    return Answer(b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode())


def entry(key: str, size: object = 2, etag: str = "99914b932bd37a50b983c5e7c90ae93b") -> str:
    """Make one entry of a page; its etag is that of `{}`."""
    shown = "" if size is None else f"<Size>{size}</Size>"
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag>{shown}</Contents>"
    )


class Strange(ThreadingHTTPServer):
    """Answers pages by `listing`, which is given the continuation token, objects by `objects`."""

    daemon_threads = True

    def __init__(
        self,
        listing: Callable[[str | None], Answer],
        objects: Callable[[str], Answer] = lambda _: Answer(b"{}"),
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.listing = listing
        self.objects = objects
        self.read: list[str] = []
        self.pages = 0

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def store(self, prefix: str = "") -> S3:
        """Give the bucket as a store."""
        return S3("trips", prefix, Settings(self.endpoint, keys=Keys("a", "b")))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one: no wait for an acknowledgement between
    server: Strange

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        key = unquote(parts.path).removeprefix("/trips").removeprefix("/")
        if key:
            self.server.read.append(key)
            self._send(self.server.objects(key))
            return
        self.server.pages += 1
        asked = parse_qs(parts.query, keep_blank_values=True)
        self._send(self.server.listing(asked.get("continuation-token", [None])[0]))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Stay silent."""

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)


@contextmanager
def strange(
    listing: Callable[[str | None], Answer],
    objects: Callable[[str], Answer] = lambda _: Answer(b"{}"),
) -> Iterator[Strange]:
    """Run such a server for as long as the block lasts."""
    server = Strange(listing, objects)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
