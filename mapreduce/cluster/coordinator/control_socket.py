"""The control socket of a run: how it fares, and a way to stop it, for its owner alone.

A Unix socket in the run's folder, 0600 from its first moment. One line of JSON is asked, one is
answered: `{"ask": "status"}`, `{"ask": "stop"}` or `{"ask": "restart"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.cluster.coordinator.status import Status

NAME: Final = "control.sock"
LONGEST_PATH: Final = 90  # bytes of a path that a socket may have everywhere
ASK_BYTES: Final = 1 << 10
ASK_S: Final = 5.0


class ControlSocket:
    """Answers at the socket of a run's folder: gives its status, stops it, restarts its agents."""

    def __init__(
        self,
        folder: Path,
        status: Callable[[], Status],
        stop: Callable[[], None],
        restart: Callable[[], None],
    ) -> None:
        self._path = folder / NAME
        self._status = status
        self._stop = stop
        self._restart = restart

    async def serve(self) -> Callable[[], None]:
        """Begin; give what ends it."""
        self._path.unlink(missing_ok=True)
        listener, room = _bound(self._path)
        server = await asyncio.start_unix_server(self._answer, sock=listener, limit=ASK_BYTES)

        def close() -> None:
            server.close()
            self._path.unlink(missing_ok=True)
            if room is not None:
                shutil.rmtree(room, ignore_errors=True)

        return close

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError, AttributeError):
            async with asyncio.timeout(ASK_S):
                asked = json.loads(await reader.readline()).get("ask")
                writer.write(self._said(asked) + b"\n")
                await writer.drain()
        writer.close()

    def _said(self, asked: object) -> bytes:
        if asked == "status":
            return msgspec.json.encode(self._status())
        if asked == "stop":
            self._stop()
            return b'{"stopping": true}'
        if asked == "restart":
            self._restart()
            return b'{"restarting": true}'
        return b'{"error": "expected status, stop or restart"}'


def ask(folder: Path, what: str) -> dict[str, Any]:
    """Ask the run of a folder, from another process; a UsageError where none is at work there."""
    path = folder / NAME
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ASK_S)
            line.connect(os.fspath(path.resolve()))
            line.sendall(json.dumps({"ask": what}).encode() + b"\n")
            with line.makefile("rb") as answer:
                said: dict[str, Any] = json.loads(answer.readline())
    except (OSError, ValueError) as error:
        why = "" if isinstance(error, FileNotFoundError | ConnectionRefusedError) else f" ({error})"
        raise UsageError(
            f"no run on hosts is running in {folder}{why}; `mapreduce status {folder}` shows the"
            " progress of a run that has ended"
        ) from None
    return said


def _bound(path: Path) -> tuple[socket.socket, Path | None]:
    """Bind a socket that nobody else could open at any moment: made in a folder of our own."""
    short = len(os.fsencode(path)) <= LONGEST_PATH
    room = Path(tempfile.mkdtemp(prefix=".c", dir=path.parent if short else None))  # 0700
    listener = socket.socket(socket.AF_UNIX)
    try:
        first = room / "s"
        listener.bind(os.fspath(first))
        first.chmod(0o600)
        if short:
            first.rename(path)
            room.rmdir()
            return listener, None
        path.symlink_to(first)
    except BaseException:
        listener.close()
        shutil.rmtree(room, ignore_errors=True)
        raise
    return listener, room
