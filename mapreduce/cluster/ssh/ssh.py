"""One host over SSH: connect, run a command, hand it input, read its answer; all within deadlines.

The connection is `route`'s: on every hop it is told which keys count before anything is opened. A
host that was never enrolled is not even dialled; one whose key changed hears nothing after the key
exchange. Every fault becomes a `HostError` that says what to do.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from paramiko.ssh_exception import SSHException  # type: ignore[import-untyped]  # it ships no types

from mapreduce.cluster.inventory.inventory import Host, Inventory
from mapreduce.cluster.ssh import command_line
from mapreduce.cluster.ssh.command_line import Beginning
from mapreduce.cluster.ssh.host_error import HostError
from mapreduce.cluster.ssh.no_answer import no_answer, too_late, too_much
from mapreduce.cluster.ssh.route import CHANNEL_S, close, connection_to, guard
from mapreduce.cluster.ssh.unreached import reason
from mapreduce.errors import UsageError

__all__ = ["CHANNEL_S", "LOOPBACK", "CommandAnswer", "HostError", "Remote"]

STEP_S: Final = 30.0
MOST_ANSWER_BYTES: Final = 8 << 20
CHUNK_BYTES: Final = 1 << 15
LOOPBACK: Final = "127.0.0.1"  # of a host: nobody else reaches what listens there


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What a command said and how it ended."""

    status: int
    out: bytes
    err: str


class Remote:
    """A host that is connected while in a `with`; by `password` for `enrol --install-key` alone."""

    def __init__(self, host: Host, inventory: Inventory, *, password: str | None = None) -> None:
        self.host = host
        self.inventory = inventory
        self.connection = connection_to(host, password=password)

    def __enter__(self) -> Self:
        host, connection = self.host, self.connection
        if host.identity is not None and not host.identity.exists():
            raise UsageError(
                f"identity {host.identity} of {host.name} is not there:"
                f" ssh-keygen -t ed25519 -f {host.identity}"
            )
        guard(connection, self.inventory, host.name)
        try:
            connection.open()
        except Exception as error:  # noqa: BLE001 - raised again, as what it means
            self.close()
            raise reason(error, connection, host) from None
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and what it went through."""
        close(self.connection)

    def script(self, name: str, asked: Mapping[str, Any]) -> tuple[str, Beginning]:
        """Give the command that runs one of our scripts, and what its answer begins with."""
        beginning, asked = Beginning(), {"root": self.inventory.root, **asked}
        return command_line.python_script(self.host.python, name, asked, beginning), beginning

    def ask(
        self,
        script: str,
        asked: Mapping[str, Any],
        stdin: bytes | Iterable[bytes] = b"",
        *,
        timeout_s: float = STEP_S,
    ) -> dict[str, Any]:
        """Run one of our scripts; give its answer.

        Raises HostError where it could not run, did not answer in time, or answered with an error.
        """
        command, beginning = self.script(script, asked)
        answer = self.call(command, stdin, timeout_s=timeout_s, beginning=beginning)
        try:
            return answered(answer.out)
        except ValueError:
            said = (answer.out, answer.err, answer.status, self.host.python)
            raise HostError(no_answer(beginning, *said)) from None

    def call(
        self,
        command: str,
        stdin: bytes | Iterable[bytes] = b"",
        *,
        timeout_s: float = STEP_S,
        beginning: Beginning | None = None,
    ) -> CommandAnswer:
        """Run a command line that `command_line` built, hand it input, wait for its end.

        With a `beginning`, input waits for the line that the answer begins with: a login shell that
        reads something is to read nothing of ours. Raises HostError where it takes longer, says too
        much, or the connection ends.
        """
        with self._deadline(timeout_s, beginning):
            channel = self.connection.transport.open_session(timeout=CHANNEL_S)
            with contextlib.closing(channel):
                channel.exec_command(command)
                sender = threading.Thread(target=_send, args=(channel, stdin), daemon=True)
                if beginning is None or stdin == b"":
                    sender.start()
                out = bytearray()
                for body in _received(channel, beginning):
                    if sender.ident is None:
                        sender.start()
                    out += body
                    if len(out) > MOST_ANSWER_BYTES:
                        raise HostError(f"it answered with more than {MOST_ANSWER_BYTES:,} bytes")
                err = bytearray()
                while len(err) < CHUNK_BYTES and (body := channel.recv_stderr(CHUNK_BYTES)):
                    err += body
                status = channel.recv_exit_status()
                if sender.ident is not None:
                    sender.join(timeout_s)
        return CommandAnswer(status, bytes(out), err.decode(errors="replace"))

    def stream(self, script: str, asked: Mapping[str, Any]) -> Iterator[bytes]:
        """Run one of our scripts and give what it writes as it comes; it ends when we close."""
        command, beginning = self.script(script, asked)
        try:
            channel = self.connection.transport.open_session(timeout=CHANNEL_S)
            with contextlib.closing(channel):
                channel.exec_command(command)
                yield from (body for body in _received(channel, beginning) if body)
                if not beginning.begun:
                    err = channel.recv_stderr(CHUNK_BYTES).decode(errors="replace")
                    said = (b"", err, channel.recv_exit_status(), self.host.python)
                    raise HostError(no_answer(beginning, *said))
        except (SSHException, OSError, EOFError) as error:
            raise HostError(f"the connection ended: {error or 'closed'}") from None

    def forward(self, port: int, took: Callable[[Any, object, object], None]) -> int:
        """Have the host listen on its loopback and hand us each connection; give the port.

        `port` is which one, 0 any free one. `took` gets the channel of each connection, and where
        it came from and went to; it must not wait.
        """
        transport = self.connection.transport
        with self._deadline(STEP_S):
            try:
                return int(transport.request_port_forward(LOOPBACK, port, took))
            except SSHException as error:
                if not transport.is_active():
                    raise
                raise HostError(
                    f"its SSH server does not forward a port to this machine ({error}):"
                    " `AllowTcpForwarding yes`"
                    " in /etc/ssh/sshd_config there, then `sudo systemctl reload ssh`"
                ) from None

    @contextlib.contextmanager
    def _deadline(self, timeout_s: float, beginning: Beginning | None = None) -> Iterator[None]:
        """Close the connection when time is up, whatever it is waiting for."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.connection.client.close()

        watch = threading.Timer(timeout_s, end)
        watch.daemon = True
        watch.start()
        try:
            yield
        except (SSHException, OSError, EOFError) as error:
            if not late.is_set():
                raise HostError(f"the connection ended: {error or 'closed'}") from None
        finally:
            watch.cancel()
        if late.is_set():
            if beginning is not None:
                raise HostError(too_late(beginning, timeout_s))
            raise HostError(f"no answer within {timeout_s:g} s: the step was cancelled")


def answered(body: bytes) -> dict[str, Any]:
    """Read a script's answer; a HostError where it is an error, a ValueError where it is none."""
    told = json.loads(body)
    if not isinstance(told, dict):
        raise HostError(f"expected an answer of ours, got {body[:80]!r}")
    if told.get("disk_full"):
        raise HostError(f"its disk is full ({told['error']}): free some space and deploy again")
    if "error" in told:
        raise HostError(str(told["error"]))
    return told


def _send(channel: Any, body: bytes | Iterable[bytes]) -> None:
    """Hand on input; a command that ends without reading it all says itself what was wrong."""
    with contextlib.suppress(OSError, EOFError):
        try:
            for part in _parts([body] if isinstance(body, bytes) else body):
                channel.sendall(part)
        finally:  # also of input that cannot be read to its end: nobody waits for the rest of it
            channel.shutdown_write()


def _parts(bodies: Iterable[bytes]) -> Iterator[bytes]:
    """Cut them up: paramiko copies all that is left of what it is given with each packet."""
    for body in bodies:
        for start in range(0, len(body), CHUNK_BYTES):
            yield body[start : start + CHUNK_BYTES]


def _received(channel: Any, beginning: Beginning | None) -> Iterator[bytes]:
    """Give what comes, from where it is ours; an empty part where it begins with nothing yet."""
    while body := channel.recv(CHUNK_BYTES):
        if beginning is None or beginning.begun:
            yield body
            continue
        rest = beginning.ours(body)
        if beginning.begun:
            yield rest
        elif len(beginning.before) > MOST_ANSWER_BYTES:
            raise HostError(too_much(MOST_ANSWER_BYTES))
