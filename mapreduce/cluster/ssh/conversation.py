"""A conversation with a host: several questions to one process there, over one connection.

Starting Python there costs more than any question does. Facts are asked and an agent is started in
one conversation; what has to be sent meanwhile goes its own way over the same connection.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from mapreduce.cluster.ssh.host_error import HostError
from mapreduce.cluster.ssh.no_answer import no_answer, too_late, too_much
from mapreduce.cluster.ssh.ssh import (
    CHANNEL_S,
    CHUNK_BYTES,
    MOST_ANSWER_BYTES,
    STEP_S,
    Remote,
    answered,
)

LOST: Final = "the connection ended"
LEAST_S: Final = 0.001  # none at all would mean not to wait, and not that time is up


class Conversation:
    """A conversation, over a connection that whoever made it closes."""

    def __init__(self, remote: Remote) -> None:
        self._python = remote.host.python
        self._rest = bytearray()
        command, self._beginning = remote.script("session", {"host": remote.host.name})
        try:
            self._channel = remote.connection.transport.open_session(timeout=CHANNEL_S)
            self._channel.exec_command(command)
        except Exception as error:  # noqa: BLE001 - paramiko raises many kinds, and EOFError
            raise HostError(f"{LOST}: {str(error) or 'closed'}") from None

    def ask(
        self, act: str, asked: Mapping[str, Any], body: bytes = b"", *, timeout_s: float = STEP_S
    ) -> dict[str, Any]:
        """Ask something; give the answer. A HostError where it is late, or an error."""
        question = json.dumps({"act": act, **asked, "bytes": len(body)}).encode() + b"\n" + body
        until = time.monotonic() + timeout_s
        try:
            while not self._beginning.begun:  # before that its login shell would read it
                self._rest += self._beginning.ours(self._received(until))
                if len(self._beginning.before) > MOST_ANSWER_BYTES:
                    raise HostError(too_much(MOST_ANSWER_BYTES))
            for start in range(0, len(question), CHUNK_BYTES):
                self._channel.settimeout(max(LEAST_S, until - time.monotonic()))
                self._channel.sendall(question[start : start + CHUNK_BYTES])
            while b"\n" not in self._rest:
                self._rest += self._received(until)
                if len(self._rest) > MOST_ANSWER_BYTES:
                    raise HostError(f"it answered with more than {MOST_ANSWER_BYTES:,} bytes")
        except TimeoutError:
            raise HostError(too_late(self._beginning, timeout_s)) from None
        except (OSError, EOFError) as error:
            raise HostError(f"{LOST}: {str(error) or 'closed'}") from None
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            return answered(bytes(line))
        except ValueError:
            raise HostError(f"expected an answer of ours, got {bytes(line[:80])!r}") from None

    def _received(self, until: float) -> bytes:
        """Wait for some bytes; where none come any more, say why."""
        self._channel.settimeout(max(LEAST_S, until - time.monotonic()))
        body: bytes = self._channel.recv(CHUNK_BYTES)
        if not body:
            err = self._channel.recv_stderr(CHUNK_BYTES).decode(errors="replace")
            said = (bytes(self._rest), err, self._channel.recv_exit_status(), self._python)
            raise HostError(no_answer(self._beginning, *said))
        return body

    def close(self) -> None:
        """End it: the process there ends with its input."""
        self._channel.close()
