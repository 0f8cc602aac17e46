"""One host over SSH: connect, run a command, hand it input, read its answer; all within deadlines.

Fabric makes the connection from hosts.toml and `~/.ssh/config`; its default trusts any key, so
the policy is set, on every hop, before anything is opened. A host that was never enrolled is not
even dialled; one whose key changed hears nothing after the key exchange. Every fault becomes a
`HostError` that says what to do. It decides nothing about hosts.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import paramiko  # type: ignore[import-untyped]  # it ships no types
from fabric import Config, Connection
from paramiko.ssh_exception import (  # type: ignore[import-untyped]  # as above
    AuthenticationException,
    BadHostKeyException,
    NoValidConnectionsError,
    SSHException,
)

from mapreduce.cluster import shell
from mapreduce.cluster.trust import pin_name, pinned
from mapreduce.errors import MapReduceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mapreduce.cluster.inventory import Host, Inventory

CONNECT_S: Final = 10
BANNER_S: Final = 10
AUTH_S: Final = 20
CHANNEL_S: Final = 15
STEP_S: Final = 30.0
MOST_ANSWER_BYTES: Final = 8 << 20
CHUNK_BYTES: Final = 1 << 15
NOT_FOUND: Final = 127
LOOPBACK: Final = "127.0.0.1"  # of a host: nobody else reaches what listens there


class HostError(MapReduceError):
    """One host could not do its part; the others go on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said and how it ended."""

    status: int
    out: bytes
    err: str


def connection_to(host: Host, *, password: str | None = None) -> Connection:
    """Make a connection, not yet opened, as hosts.toml and `~/.ssh/config` say."""
    known: dict[str, Any] = {
        "banner_timeout": BANNER_S,
        "auth_timeout": AUTH_S,
        "channel_timeout": CHANNEL_S,
        "look_for_keys": host.identity is None,
    }
    if password is not None:
        known.update(password=password, look_for_keys=False, allow_agent=False)
    elif host.identity is not None:
        known["key_filename"] = [str(host.identity)]
    connection = Connection(
        host.address,
        user=host.user,
        port=host.ssh_port,
        config=Config(),
        connect_timeout=CONNECT_S,
        connect_kwargs=known,
    )
    for hop in hops(connection)[1:]:
        hop.connect_timeout = CONNECT_S
        patience = ("banner_timeout", "auth_timeout", "channel_timeout")
        hop.connect_kwargs.update({name: known[name] for name in patience})
    return connection


def hops(connection: Connection) -> list[Connection]:
    """Give a connection and those it goes through (ProxyJump)."""
    chain = [connection]
    while isinstance(chain[-1].gateway, Connection):
        chain.append(chain[-1].gateway)
    return chain


def guard(connection: Connection, inventory: Inventory, name: str, *, jump: bool = False) -> None:
    """Make a connection, and every hop of it, accept pinned keys alone.

    Hosts one jumps through may also be known to the user's own known_hosts; with `jump` the
    connection itself is one of those.

    Raises
    ------
    HostError
        Where there is no pinned key: nothing is sent to such a host at all.
    """
    keys = pinned(inventory.known_hosts)
    for i, hop in enumerate(hops(connection), int(jump)):
        client = hop.client
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.get_host_keys().clear()
        place = pin_name(hop.host, hop.port)
        ours = keys.lookup(place)
        for kind, key in (ours or {}).items():
            client.get_host_keys().add(place, kind, key)
        if ours is None and i:
            client.load_system_host_keys()
            ours = client._system_host_keys.lookup(place)  # noqa: SLF001 - it has no name for it
        if ours is None:
            where = f"the jump host {place}" if i else place
            raise HostError(
                f"no host key is pinned for {where}: `mapreduce cluster enrol --only {name}`"
                + (f", or `ssh {hop.original_host}` once" if i else "")
            )


class Remote:
    """A host that is connected while in a `with`.

    Parameters
    ----------
    host
        Which one.
    inventory
        Whose pinned keys and root count.
    password
        To log in with instead of a key: for `enrol --install-key` alone.
    """

    def __init__(self, host: Host, inventory: Inventory, *, password: str | None = None) -> None:
        self.host = host
        self.inventory = inventory
        self._connection = connection_to(host, password=password)

    def __enter__(self) -> Self:
        host, connection = self.host, self._connection
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

    @property
    def connection(self) -> Connection:
        """The open connection itself, for tunnels."""
        return self._connection

    @property
    def strict_kex(self) -> bool:
        """Tell whether both sides agreed on what closes Terrapin (OpenSSH 9.6, or patched)."""
        return bool(self._connection.transport.agreed_on_strict_kex)

    def close(self) -> None:
        """Close the connection and what it went through."""
        for hop in hops(self._connection):
            hop.client.close()

    def ask(
        self,
        script: str,
        asked: Mapping[str, Any],
        stdin: bytes | Iterable[bytes] = b"",
        *,
        timeout_s: float = STEP_S,
    ) -> dict[str, Any]:
        """Run one of our scripts; give its answer.

        Raises
        ------
        HostError
            Where it could not run, did not answer in time, or answered with an error.
        """
        asked = {"root": self.inventory.root, **asked}
        command = shell.python_script(self.host.python, script, asked)
        answer = self.call(command, stdin, timeout_s=timeout_s)
        try:
            told = json.loads(answer.out)
        except ValueError:
            raise HostError(_no_answer(answer, self.host.python)) from None
        if not isinstance(told, dict):
            raise HostError(f"expected an answer of ours, got {answer.out[:80]!r}")
        if told.get("disk_full"):
            raise HostError(f"its disk is full ({told['error']}): free some and deploy again")
        if "error" in told:
            raise HostError(str(told["error"]))
        return told

    def call(
        self, command: str, stdin: bytes | Iterable[bytes] = b"", *, timeout_s: float = STEP_S
    ) -> Answer:
        """Run a command line that `shell` built, hand it input, wait for its end.

        Raises
        ------
        HostError
            Where it takes longer, says too much, or the connection ends.
        """
        with self._deadline(timeout_s):
            channel = self._connection.transport.open_session(timeout=CHANNEL_S)
            with contextlib.closing(channel):
                channel.exec_command(command)
                sender = threading.Thread(target=_send, args=(channel, stdin), daemon=True)
                sender.start()
                out = bytearray()
                while body := channel.recv(CHUNK_BYTES):
                    out += body
                    if len(out) > MOST_ANSWER_BYTES:
                        raise HostError(f"it answered with more than {MOST_ANSWER_BYTES:,} bytes")
                err = bytearray()
                while len(err) < CHUNK_BYTES and (body := channel.recv_stderr(CHUNK_BYTES)):
                    err += body
                status = channel.recv_exit_status()
                sender.join(timeout_s)
        return Answer(status, bytes(out), err.decode(errors="replace"))

    def stream(self, script: str, asked: Mapping[str, Any]) -> Iterator[bytes]:
        """Run one of our scripts and give what it writes as it comes; it ends when we close."""
        asked = {"root": self.inventory.root, **asked}
        channel = self._connection.transport.open_session(timeout=CHANNEL_S)
        with contextlib.closing(channel):
            channel.exec_command(shell.python_script(self.host.python, script, asked))
            try:
                while body := channel.recv(CHUNK_BYTES):
                    yield body
            except OSError as error:
                raise HostError(f"the connection ended: {error}") from None

    def forward(self, port: int, took: Callable[[Any, object, object], None]) -> int:
        """Have the host listen on its loopback and hand us each connection; give the port.

        Parameters
        ----------
        port
            Which one; 0 for any free one.
        took
            Gets the channel of each connection, and where it came from and went to; must not wait.

        Raises
        ------
        HostError
            The host does not allow it, or the port is taken.
        """
        transport = self._connection.transport
        with self._deadline(STEP_S):
            try:
                return int(transport.request_port_forward(LOOPBACK, port, took))
            except SSHException as error:
                if not transport.is_active():
                    raise
                raise HostError(
                    f"its SSH server leads no port back here ({error}): `AllowTcpForwarding yes`"
                    " in /etc/ssh/sshd_config there, then `sudo systemctl reload ssh`"
                ) from None

    @contextlib.contextmanager
    def _deadline(self, timeout_s: float) -> Iterator[None]:
        """Close the connection when time is up, whatever it is waiting for."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self._connection.client.close()

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
            raise HostError(f"no answer within {timeout_s:g} s: the step was given up")


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


def _no_answer(answer: Answer, python: str) -> str:
    words = answer.err.strip().splitlines()
    place = -1 if any(w.startswith("Traceback") for w in words) else 0
    last = words[place] if words else f"exit code {answer.status} and no word"
    if answer.status == NOT_FOUND:
        return (
            f"expected Python 3.11 or newer as {python}, found none ({last}):"
            " `sudo apt install python3`, or set python = … in hosts.toml"
        )
    return f"{python} could not run our script ({last}); Python 3.11 or newer is needed"


def reason(error: Exception, connection: Connection, host: Host) -> Exception:  # noqa: PLR0911 - a table of reasons
    """Turn what went wrong while connecting into what to do about it."""
    place = pin_name(connection.host, connection.port)
    if isinstance(error, BadHostKeyException):
        before, now = error.expected_key.fingerprint, error.key.fingerprint
        return HostError(
            f"its host key changed: pinned {before}, found {now}; nothing was sent. If the system"
            f" was installed anew: `mapreduce cluster enrol --only {host.name} --replace`"
        )
    if isinstance(error, AuthenticationException):
        if "password" in connection.connect_kwargs:
            return HostError(
                f"{place} refused this password of {connection.user}: type it again, or put the"
                " key on it by other means (its sshd may take no passwords, or not root's)"
            )
        return HostError(
            f"{place} refused the login of {connection.user}:"
            f" `mapreduce cluster enrol --only {host.name} --install-key`"
        )
    if isinstance(error, socket.gaierror | UnicodeError):  # a label that is empty or too long
        return HostError(f"{connection.host} is no known name: check address in hosts.toml")
    if isinstance(error, TimeoutError):
        return HostError(f"{place} did not answer within {CONNECT_S} s: is it on, and connected?")
    if isinstance(error, NoValidConnectionsError | ConnectionRefusedError):
        return HostError(
            f"{place} refused the connection: is SSH on? There: sudo systemctl enable --now ssh"
        )
    if isinstance(error, SSHException | EOFError | OSError):
        said = str(error) or type(error).__name__
        if "No existing session" in said or "banner" in said:
            said = f"no SSH server answered within {BANNER_S} s"
        return HostError(f"{place}: {said}")
    return error
