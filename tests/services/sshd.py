"""Real OpenSSH servers on loopback, each with its own address, port, host key and home folder.

A host is one `sshd -D` on 127.0.0.2, .3, … that lets this machine's user in by a key made for the
tests; `SetEnv` gives every session its own HOME and a PATH whose first folder is the host's own
`bin`, so that a host can be given programs of its own (a `vcgencmd` that says what a hot Pi says
is a fake, and its test says so). Nothing outside the temporary folder is touched. At the end the
servers are stopped, then every agent that was left, by the pid it noted.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import paramiko  # type: ignore[import-untyped]  # it ships no types

from mapreduce.cluster.inventory.inventory import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.cluster.inventory.inventory import Inventory

PYTHON = str(Path(sys.executable).resolve())  # outside the virtual environment: bare
READY = "Server listening on"
START_TIMEOUT_S = 20.0


def program() -> str:
    """Return OpenSSH's server; its full path, as it insists on."""
    found = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(found).exists():
        raise RuntimeError("expected OpenSSH's sshd, found none: `make services` installs it")
    return found


def keypair(path: Path, kind: str = "ed25519") -> Path:
    """Make a key pair without a passphrase; return the private half's path."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "tests", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return path


@dataclass
class SshHost:
    """One running server and its host's files."""

    name: str
    address: str
    folder: Path
    home: Path
    client_key: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    drain: threading.Thread | None = None
    forwarding: str = "yes"
    more_config: str = ""
    logged: threading.Condition = field(default_factory=threading.Condition, repr=False)

    @property
    def log(self) -> str:
        """What the server wrote, at DEBUG level: every request of a client is in it."""
        return (self.folder / "sshd.log").read_text(errors="replace")

    @property
    def root(self) -> Path:
        """Where releases go."""
        return self.home / ".mapreduce"

    def wait_for(self, text: str, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the server has written something."""
        with self.logged:
            if not self.logged.wait_for(lambda: text in self.log, timeout_s):
                raise AssertionError(f"{self.name} never wrote {text!r}:\n{self.log}")

    def own_program(self, name: str, script: str) -> None:
        """Give the host a program of its own, found first on its PATH."""
        path = self.folder / "bin" / name
        path.write_text(script)
        path.chmod(0o755)

    def new_host_key(self, kind: str = "ed25519") -> None:
        """Make another host key, as a system installed anew has; restart to use it."""
        for path in self.folder.glob("host_key*"):
            path.unlink()
        keypair(self.folder / "host_key", kind)

    def restart_with_new_key(self, kind: str = "ed25519") -> None:
        """Be installed anew."""
        self.stop()
        self.new_host_key(kind)
        self.start()

    @property
    def public_key(self) -> str:
        """Its host key, as known_hosts has it."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def start(self) -> None:
        """Start the server and wait until it listens."""
        known = bool(self.port)
        for _ in range(1 if known else 3):  # another process may take a port before it is used
            if not known:
                with socket.socket() as probe:
                    probe.bind((self.address, 0))
                    self.port = probe.getsockname()[1]
            if self._listens():
                return
            self.stop()
        raise RuntimeError(f"sshd did not start:\n{self.log}")

    def _listens(self) -> bool:
        (self.folder / "sshd_config").write_text(self._config())
        command = [program(), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        if shutil.which("setpriv"):  # a killed test run takes its servers along
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        ready = threading.Event()

        def read() -> None:
            assert process.stderr is not None
            with (self.folder / "sshd.log").open("ab", buffering=0) as log:
                for line in process.stderr:
                    with self.logged:
                        log.write(line)
                        self.logged.notify_all()
                    if READY.encode() in line:
                        ready.set()
            ready.set()

        self.process, self.drain = process, threading.Thread(target=read, daemon=True)
        self.drain.start()
        return ready.wait(START_TIMEOUT_S) and process.poll() is None

    def _config(self) -> str:
        path = f"{self.folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        return "\n".join(
            [
                f"ListenAddress {self.address}:{self.port}",
                f"HostKey {self.folder / 'host_key'}",
                f"PidFile {self.folder / 'sshd.pid'}",
                f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
                f"SetEnv HOME={self.home} PATH={path}",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "UsePAM no",
                "PermitRootLogin yes",
                "StrictModes no",
                f"AllowTcpForwarding {self.forwarding}",
                self.more_config,
                "LogLevel DEBUG1",
                "",
            ]
        )

    def stop(self) -> None:
        """Stop the server and its sessions."""
        if self.process is None:
            return
        for pid in [*_children(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self.process.wait(START_TIMEOUT_S)
        assert self.drain is not None
        self.drain.join(START_TIMEOUT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.process = None

    def hang_up(self) -> None:
        """End every session, as a connection that is cut does; the server goes on."""
        assert self.process is not None
        for pid in _children(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def agents(self) -> list[int]:
        """Return the pids of agents that are noted and still run."""
        found = []
        for path in self.root.glob(f"runs/*/{self.name}/agent.pid"):
            noted = json.loads(path.read_text())
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{noted['pid']}/stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z" and fields[19] == noted["began"]:
                    found.append(noted["pid"])
        return found


@dataclass
class Shelf:
    """Some hosts, and a hosts.toml that names them."""

    folder: Path
    hosts: list[SshHost]
    client_key: Path
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    root: str = ".mapreduce"

    def inventory(self, **changes: dict[str, Any]) -> Inventory:
        """Write hosts.toml, with changes by host's name, and return what it says."""
        lines = ["[cluster]", 'address = "127.0.0.1"', f"user = {json.dumps(getpass.getuser())}"]
        lines += [f"identity = {json.dumps(str(self.client_key))}"]
        lines += [f"root = {json.dumps(self.root)}", f"python = {json.dumps(PYTHON)}"]
        for host in self.hosts:
            own = {"name": host.name, "address": host.address, "ssh_port": host.port}
            own |= self.overrides.get(host.name, {}) | changes.get(host.name, {})
            lines += ["[[hosts]]", *(f"{key} = {json.dumps(value)}" for key, value in own.items())]
        path = self.folder / "hosts.toml"
        path.write_text("\n".join(lines) + "\n")
        return load(path)


@contextlib.contextmanager
def shelf(count: int, *, first: int = 2, same_home: bool = False) -> Iterator[Shelf]:
    """Start hosts `pi1`, `pi2`, … and stop them, with every agent they were left with."""
    folder = Path(tempfile.mkdtemp(prefix="shelf-"))
    hosts: list[SshHost] = []
    if os.geteuid() == 0:  # where sshd, as root, locks its unprivileged half in
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    try:
        key = keypair(folder / "client_key")
        for i in range(count):
            place = folder / f"pi{i + 1}"
            home = folder / "home" if same_home else place / "home"
            (place / "bin").mkdir(parents=True)
            home.mkdir(parents=True, exist_ok=True)
            shutil.copy(key.with_suffix(".pub"), place / "authorized_keys")
            keypair(place / "host_key")
            host = SshHost(f"pi{i + 1}", f"127.0.0.{first + i}", place, home, key)
            hosts.append(host)
            host.start()
        yield Shelf(folder, hosts, key)
    finally:
        for host in hosts:
            host.stop()
        for pid in {p for host in hosts for p in host.agents()}:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _children(pid: int) -> list[int]:
    """Return the processes that a process started, and those they did."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [*_children(child), child]
    return found


class Recorder:
    """A TCP port that keeps every byte that comes and never says a word: it hangs at the banner."""

    def __init__(self, address: str = "127.0.0.1", *, banner: bytes = b"") -> None:
        self.listener = socket.create_server((address, 0))
        self.port: int = self.listener.getsockname()[1]
        self.address = address
        self.banner = banner
        self.came = bytearray()
        self.connections = 0
        self._lines: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._lines.append(line)
            with contextlib.suppress(OSError):
                line.sendall(self.banner)
                while body := line.recv(65536):
                    self.came += body

    def close(self) -> None:
        for line in [self.listener, *self._lines]:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self._thread.join(5.0)


class PasswordServer(paramiko.ServerInterface):  # type: ignore[misc]  # it ships no types
    """An SSH server, made of paramiko, that takes one password and runs commands in a home.

    OpenSSH itself would ask this machine's accounts; no test should need one. It records every
    attempt to log in.
    """

    def __init__(self, home: Path, user: str, password: str) -> None:
        self.home, self.user, self.password = home, user, password
        self.attempts: list[tuple[str, str]] = []
        self.commands: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.key = paramiko.Ed25519Key.from_private_key_file(str(keypair(home / "host_key")))
        self._transports: list[Any] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(line)
            transport.add_server_key(self.key)
            self._transports.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                transport.start_server(event=threading.Event(), server=self)

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey,password"

    def check_auth_password(self, username: str, password: str) -> int:
        self.attempts.append(("password", username))
        good = username == self.user and password == self.password
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def check_auth_publickey(self, username: str, key: Any) -> int:
        self.attempts.append(("publickey", username))
        path = self.home / ".ssh" / "authorized_keys"
        good = path.exists() and key.get_base64() in path.read_text()
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        self.commands.append(command.decode())
        threading.Thread(target=self._run, args=(channel, command), daemon=True).start()
        return True

    def _run(self, channel: Any, command: bytes) -> None:
        process = subprocess.Popen(
            ["sh", "-c", command.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
            cwd=self.home,
        )
        with process, contextlib.suppress(OSError, EOFError):
            assert process.stdin is not None
            assert process.stdout is not None
            threading.Thread(target=self._feed, args=(channel, process.stdin), daemon=True).start()
            while body := os.read(process.stdout.fileno(), 65536):
                channel.sendall(body)
        with contextlib.suppress(OSError, EOFError):
            channel.send_exit_status(process.returncode)
            channel.close()

    @staticmethod
    def _feed(channel: Any, stdin: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError), stdin:
            while body := channel.recv(65536):
                stdin.write(body)
                stdin.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for transport in self._transports:
            transport.close()
        self._thread.join(5.0)
