"""A small HTTP proxy of the tests' own, which spoils what passes through it.

Every request takes the next fault that was laid in for it, if there is one; the rest passes
unchanged, `Host` too, so that signatures made for the proxy hold behind it. It remembers what
was asked. What lasts longer than a request is done by `alter`, given path and body.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Fault:
    """What to do to one request."""

    status: int | None = None
    """Answer this without asking the server."""
    headers: dict[str, str] = field(default_factory=dict)
    """Put these in the place of the server's."""
    body: bytes = b""
    """Of an answer without the server."""
    cut_at: int | None = None
    """Pass so many bytes of the body, then close the connection."""
    reset: bool = False
    """Close it rudely (RST), where it is cut."""
    claim: int | None = None
    """Pass so many bytes of the body and say that it is all."""
    chunked: bytes | None = None
    """Pass the body chunked, without a length, and this behind it."""
    whole: bool = False
    """Hide the range from the server: answer with everything."""
    hold: threading.Event | None = None
    """Wait for this before answering."""
    drop: bool = False
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]


class Proxy(ThreadingHTTPServer):
    """Passes HTTP on to `target` (`host:port`), spoiling it as told."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.faults: deque[Fault] = deque()
        self.asked: list[Asked] = []
        self.connections = 0
        self.lines: set[socket.socket] = set()
        self.alter: Callable[[str, bytes], bytes] = lambda _, body: body

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def lay(self, *faults: Fault) -> None:
        """Spoil the next requests, one fault each."""
        self.faults.extend(faults)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        self.lines.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.lines.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves early is what some tests are about."""

    def hang_up(self) -> None:
        """Close every connection, as a server that is restarted does."""
        for line in list(self.lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one: no wait for an acknowledgement between
    server: Proxy

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers)))
        fault = self.server.faults.popleft() if self.server.faults else Fault()
        if fault.hold is not None:
            fault.hold.wait(30)
        if fault.drop:
            self.close_connection = True
        elif fault.status is not None:
            self._answer(fault.status, fault.headers, len(fault.body))
            self.wfile.write(fault.body)
        else:
            self._pass_on(fault)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Tests say what they saw themselves."""

    def _pass_on(self, fault: Fault) -> None:
        behind = HTTPConnection(self.server.target, timeout=30)
        try:
            headers = dict(self.headers)
            if fault.whole:
                headers.pop("Range", None)
            behind.request(self.command, self.path, headers=headers)
            self._spoil(behind.getresponse(), fault)
        finally:
            behind.close()

    def _spoil(self, response: HTTPResponse, fault: Fault) -> None:
        body = self.server.alter(self.path, response.read())
        headers = {
            name: value
            for name, value in response.getheaders()
            if name.lower() not in _HOP_BY_HOP
            and name.lower() not in {one.lower() for one in fault.headers}
        } | fault.headers
        if fault.chunked is not None:
            self._answer(response.status, headers | {"Transfer-Encoding": "chunked"}, None)
            for piece in filter(None, (body, fault.chunked)):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        length = len(body) if fault.claim is None else fault.claim
        if self.command == "HEAD":
            length = int(response.getheader("Content-Length") or 0)
        self._answer(response.status, headers, length)
        self.wfile.write(body[: _least(fault.claim, fault.cut_at)])
        if fault.cut_at is not None:
            self.close_connection = True
            if fault.reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _answer(self, status: int, headers: dict[str, str], length: int | None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()


def _least(*counts: int | None) -> int | None:
    return min((one for one in counts if one is not None), default=None)


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """Run a proxy in front of `target`."""
    proxy = Proxy(target)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join(10)
        proxy.hang_up()
        proxy.server_close()
