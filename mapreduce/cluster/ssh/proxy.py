"""A ProxyCommand: a program that is the line to a host, run as `ssh` runs it.

It gets one end of a socket as its input and output; we have the other. What it says on its standard
error is kept to be told. It ends when the line is closed, or is told to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from typing import Final

ENDED_S: Final = 5.0
CLOSING_S: Final = 2.0  # from a program's closing its line to its end
MOST_CHARACTERS: Final = 200
MOST_BYTES: Final = 1 << 16  # of its standard error, the last


class Proxy:
    """A program that runs, and our end of the line to it."""

    def __init__(self, command: str) -> None:
        self.command = command
        self._said = b""
        self.line, theirs = socket.socketpair()
        shell = os.environ.get("SHELL") or "/bin/sh"
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [shell, "-c", f"exec {command}"],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C is for us, who end it
                )
        except OSError:
            self.line.close()
            raise
        self._waiter = threading.Thread(target=self._wait, name="proxy", daemon=True)
        self._waiter.start()

    def end(self) -> None:
        """End the program, as `ssh` does when it ends itself."""
        self.line.close()
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGHUP)
        self._waiter.join(ENDED_S)

    def words(self) -> str:
        """Say how it ended, if it has: asked of a line that broke, so it may be just about to."""
        self._waiter.join(CLOSING_S)
        code = self._process.returncode
        if code is None:
            return ""
        last = self._said.decode(errors="replace").strip().splitlines()[-1:]
        return f"exit code {code}" + "".join(f": {said[:MOST_CHARACTERS]}" for said in last)

    def _wait(self) -> None:
        if self._process.stderr is not None:
            with self._process.stderr as said:
                while chunk := os.read(said.fileno(), MOST_BYTES):
                    self._said = (self._said + chunk)[-MOST_BYTES:]
        self._process.wait()
