"""A private PostgreSQL with PostGIS: a cluster of its own in a temporary folder, loopback only.

Rule: whoever asks gets a server that no one else uses, on a free port of 127.0.0.1, trusting
everyone, careless of power cuts (fsync off), and gone at the end, folder and all. Each xdist
worker has its own. It never touches a cluster of this machine, and when the programs are
missing it fails and says how to install them: a skipped join is an untested join.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

READY = "database system is ready to accept connections"
START_TIMEOUT_S = 60.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "40",
    "shared_buffers": "64MB",
    "lc_messages": "C",
}


class MissingPrograms(Exception):  # noqa: N818 - it names what is the matter
    """PostgreSQL's server programs or the PostGIS extension are not installed."""


@dataclass(frozen=True, slots=True)
class Postgis:
    """Where a running private server answers. The superuser `postgres` needs no password."""

    port: int
    folder: Path
    host: str = "127.0.0.1"
    user: str = "postgres"
    database: str = "postgres"

    def connect(self, **changes: Any) -> Any:
        """Return a psycopg2 connection that commits by itself."""
        settings = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "dbname": self.database,
            **changes,
        }
        connection = psycopg2.connect(**settings)
        connection.autocommit = True
        return connection

    def url(self, query: str = "", *, port: int | None = None) -> str:
        """Return the address of the database as `--roads` takes it, with a query string."""
        address = f"{self.user}@{self.host}:{port or self.port}"
        return f"postgresql://{address}/{self.database}" + (f"?{query}" if query else "")


def programs() -> Path:
    """Return the folder that holds `initdb` and `postgres`: on PATH or where Debian puts them."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    for place in [*places, *([Path(found).parent] if found else [])]:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise MissingPrograms(
        "expected PostgreSQL's programs initdb and postgres on PATH or under "
        "/usr/lib/postgresql/*/bin and found none: `make services` installs PostgreSQL and PostGIS"
    )


@contextlib.contextmanager
def private_postgis() -> Iterator[Postgis]:
    """Start a server of its own, make PostGIS ready in it, and stop it at the end."""
    bin_folder = programs()
    folder = Path(tempfile.mkdtemp(prefix="postgis-"))
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    try:
        init = [str(bin_folder / "initdb"), "-D", str(folder / "cluster")]
        init += ["-U", "postgres", "-A", "trust"]
        init += ["-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder, **owner)
        with _server(bin_folder, folder, owner) as port:
            server = Postgis(port=port, folder=folder)
            _create_extension(server)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _create_extension(server: Postgis) -> None:
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        try:
            cursor.execute("CREATE EXTENSION postgis")
        except psycopg2.Error as error:
            raise MissingPrograms(
                f"PostgreSQL runs but has no PostGIS ({str(error).strip()}): "
                "`make services` installs it"
            ) from error


@contextlib.contextmanager
def _server(bin_folder: Path, folder: Path, owner: dict[str, Any]) -> Iterator[int]:
    told = ""
    for _ in range(3):  # another process may take a port between its choice and its use
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        with _running(bin_folder, folder, owner, port) as said:
            if any(READY in line for line in said):
                yield port
                return
            told = "".join(said)
    raise RuntimeError(f"PostgreSQL did not start:\n{told}")


@contextlib.contextmanager
def _running(
    bin_folder: Path, folder: Path, owner: dict[str, Any], port: int
) -> Iterator[list[str]]:
    """Give what it said until it was ready, or ended."""
    command = [str(bin_folder / "postgres"), "-D", str(folder / "cluster"), "-p", str(port)]
    for name, value in {**SETTINGS, "unix_socket_directories": str(folder)}.items():
        command += ["-c", f"{name}={value}"]
    if shutil.which("setpriv"):  # a killed test run takes its server along
        command = ["setpriv", "--pdeathsig", "QUIT", *command]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=folder, **owner
    )
    ready, lines = threading.Event(), []

    def drain() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if READY in line:
                ready.set()
        ready.set()

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    try:
        ready.wait(START_TIMEOUT_S)
        yield lines
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
        process.wait(START_TIMEOUT_S)
        reader.join(START_TIMEOUT_S)
        if process.stderr is not None:
            process.stderr.close()


@pytest.fixture(scope="session")
def postgis() -> Iterator[Postgis]:
    """Return a private PostGIS for this session (one for each xdist worker)."""
    try:
        context = private_postgis()
        server = context.__enter__()
    except MissingPrograms as error:
        pytest.fail(str(error))
    try:
        yield server
    finally:
        context.__exit__(None, None, None)
