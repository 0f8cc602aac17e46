"""Objects of the coordinator's own machine, served to its workers by the line they dial anyway.

HTTP/1.1 inside the run's TLS: `GET /ATTEMPT/ORDINAL`, with `If-Match` and `Range`, as any store
would answer it. A peer names no path: only what was sent to it in an attempt that is still its own
is found. A file that changes is never mixed: the last bytes are held back until its version has
been looked at again.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from typing import Any, Final

from mapreduce.cluster.coordinator.open_attempts import OpenAttempts
from mapreduce.cluster.coordinator.tls_connection import TlsConnection
from mapreduce.errors import MapReduceError, ObjectError
from mapreduce.objects import Entry, Location
from mapreduce.objects.body import Body
from mapreduce.objects.reader import Reader
from mapreduce.plan import Piece

HEAD_BYTES: Final = 1 << 14
CHUNK_BYTES: Final = 1 << 18
IDLE_S: Final = 300.0  # between requests
READ_S: Final = 60.0  # for a worker to take a chunk
_TARGET = re.compile(r"/(\d{1,19})/(\d{1,19})")
_RANGE = re.compile(r"bytes=(\d{1,19})-(\d{1,19})")
OWN: Final = {  # an object's fault -> how a store would say it
    "gone": (HTTPStatus.NOT_FOUND, "NoSuchKey"),
    "changed": (HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed"),
}


class FileServer:
    """Answers workers that ask for objects; `shelf` knows what was given to whom."""

    def __init__(
        self,
        shelf: OpenAttempts,
        locate: Callable[[Piece], Location],
        pool: Executor,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.shelf = shelf
        self.pool = pool
        self._locate = locate
        self._spawn = spawn
        self._reader = Reader()

    def talk(self, line: TlsConnection) -> Counter:
        """Listen to a worker that asks for objects."""
        counter = Counter(self, line)
        self._spawn(counter.serve())
        return counter

    def opened(self, piece: Piece, start: int, stop: int) -> tuple[Body, bytes]:
        """Open an object, or a range of it, and read the first of it; ObjectError or StoreError."""
        location = self._locate(piece)
        if location.url is not None:
            raise ObjectError("unreadable", "it is not on this machine")
        entry = Entry(piece.key, piece.size_bytes, piece.etag)
        body = self._reader.open(entry, location, start, stop)
        try:
            return body, body.read(min(CHUNK_BYTES, stop - start))
        except BaseException:
            body.close()
            raise


class Counter:
    """One worker's line, on which it asks for objects one after the other."""

    def __init__(self, serving: FileServer, line: TlsConnection) -> None:
        self._serving = serving
        self._line = line
        self._buffer = bytearray()
        self._more = asyncio.Event()
        self._first = True

    def took(self, data: bytes) -> None:
        """Keep what came, if that is no more than a request."""
        self._buffer += data
        if len(self._buffer) > HEAD_BYTES:
            self._line.end(f"its request has more than {HEAD_BYTES:,} bytes")
        self._more.set()

    def ended(self, why: str) -> None:
        """Stop with the line."""
        del why
        self._more.set()

    async def serve(self) -> None:
        """Answer until the line ends."""
        while (head := await self._head()) is not None:
            await self._answer(head)
            await self._line.room(READ_S)

    async def _head(self) -> bytes | None:
        while not self._line.over:
            end = self._buffer.find(b"\r\n\r\n")
            if end >= 0:
                head = bytes(self._buffer[: end + 4])
                del self._buffer[: end + 4]
                if self._first:
                    self._first = False
                    self._line.settled()
                return head
            self._more.clear()
            try:
                async with asyncio.timeout(IDLE_S):
                    await self._more.wait()
            except TimeoutError:
                self._line.end("it has sent no request for a while")
        return None

    async def _answer(self, head: bytes) -> None:
        request, _, rest = head.partition(b"\r\n")
        try:
            method, target, _ = request.decode("ascii").split(" ")
            headers = parse_headers(io.BytesIO(rest))
        except (ValueError, HTTPException):
            self._line.end("its request is not HTTP")
            return
        place = _TARGET.fullmatch(target)
        if method != "GET" or place is None:
            self._refuse(HTTPStatus.FORBIDDEN, "NotServed")
            return
        shelf = self._serving.shelf
        piece = shelf.piece(self._line.name, int(place[1]), int(place[2]))
        if piece is None:  # as with a signature that has expired: to be located anew, or not at all
            self._refuse(HTTPStatus.FORBIDDEN, "ExpiredToken")
        elif headers.get("If-Match", f'"{piece.etag}"') != f'"{piece.etag}"':
            self._refuse(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed")
        else:
            await self._give(piece, headers)

    async def _give(self, piece: Piece, headers: Message) -> None:
        size, start, stop = piece.size_bytes, 0, piece.size_bytes
        asked = _RANGE.fullmatch(headers.get("Range", ""))
        if asked is not None:
            start, stop = int(asked[1]), min(int(asked[2]) + 1, size)
            if start >= stop:
                self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange")
                return
        loop, pool = asyncio.get_running_loop(), self._serving.pool
        try:
            body, chunk = await loop.run_in_executor(pool, self._serving.opened, piece, start, stop)
        except ObjectError as error:
            self._refuse(*OWN.get(error.reason, (HTTPStatus.FORBIDDEN, "AccessDenied")))
            return
        except MapReduceError:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable")
            return
        with body:
            status = HTTPStatus.OK if asked is None else HTTPStatus.PARTIAL_CONTENT
            place = "" if asked is None else f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n"
            self._head_out(status, stop - start, f'ETag: "{piece.etag}"\r\n{place}')
            left = stop - start
            while True:
                self._line.write(chunk)
                left -= len(chunk)
                await self._line.room(READ_S)
                if not left or self._line.over:
                    return
                try:
                    chunk = await loop.run_in_executor(pool, body.read, min(CHUNK_BYTES, left))
                except MapReduceError:
                    chunk = b""
                if not chunk:  # cut short on purpose: asked for anew, the fault will be named
                    self._line.end("an object changed while it was sent", gently=True)
                    return

    def _refuse(self, status: HTTPStatus, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>{status.phrase}</Message></Error>".encode()
        self._head_out(status, len(text), "Content-Type: application/xml\r\n")
        self._line.write(text)

    def _head_out(self, status: HTTPStatus, length: int, more: str) -> None:
        line = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        self._line.write(f"{line}Content-Length: {length}\r\n{more}\r\n".encode("latin-1"))
