"""Certificates of a run, over real sockets on loopback."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from traceback import TracebackException
from typing import Any

import msgspec
import pytest

from mapreduce import tls
from mapreduce.cluster.onhost.agents import CHACHA_FIRST
from mapreduce.tls import Authority, Identity, WrongNameError

ADDRESS = "127.0.0.1"
TIMEOUT_S = 10.0


def meet(
    server: ssl.SSLContext, client: ssl.SSLContext, address: str = ADDRESS
) -> tuple[Any, Exception | None, Exception | None]:
    """Shake hands and say a byte each way: the worker's certificate, and each side's error."""
    with socket.create_server((ADDRESS, 0)) as listener:
        listener.settimeout(TIMEOUT_S)

        def serve() -> Any:
            plain, _ = listener.accept()
            plain.settimeout(TIMEOUT_S)
            with plain, server.wrap_socket(plain, server_side=True) as peer:
                peer.sendall(peer.recv(1))
                return peer.getpeercert(), peer.cipher(), peer.version()

        with ThreadPoolExecutor(1) as pool:
            serving = pool.submit(serve)
            theirs = None
            try:
                with (
                    socket.create_connection(listener.getsockname(), TIMEOUT_S) as plain,
                    client.wrap_socket(plain, server_hostname=address) as peer,
                ):
                    peer.sendall(b"x")
                    assert peer.recv(1) == b"x"
            except (OSError, AssertionError) as error:
                theirs = error
            try:
                return serving.result(TIMEOUT_S), None, theirs
            except OSError as error:
                return None, error, theirs


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("run-1")


@pytest.fixture(scope="module")
def server(authority: Authority) -> ssl.SSLContext:
    return tls.server_context(authority.coordinator(ADDRESS))


def test_a_worker_of_this_run_is_let_in_and_named(
    authority: Authority, server: ssl.SSLContext
) -> None:
    seen, ours, theirs = meet(server, tls.client_context(authority.worker("pi07")))
    assert (ours, theirs) == (None, None)
    certificate, _, version = seen
    assert version == "TLSv1.3"
    assert tls.peer_name(certificate) == "pi07"
    tls.check_worker(certificate, "pi07")


def test_a_worker_that_claims_another_id_is_noticed(
    authority: Authority, server: ssl.SSLContext
) -> None:
    seen, _, _ = meet(server, tls.client_context(authority.worker("pi07")))
    with pytest.raises(WrongNameError, match=r"is for 'pi07', the hello says 'pi08'"):
        tls.check_worker(seen[0], "pi08")
    with pytest.raises(WrongNameError, match="one name, got 0"):
        tls.check_worker(None, "pi08")


def test_a_peer_without_a_certificate_is_refused(server: ssl.SSLContext) -> None:
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname = False
    stranger.verify_mode = ssl.CERT_NONE
    seen, ours, theirs = meet(server, stranger)
    assert seen is None
    assert isinstance(ours, ssl.SSLError)
    assert theirs is not None


def test_another_runs_worker_is_refused(server: ssl.SSLContext) -> None:
    other = Authority("run-1").worker("pi07")  # the same names, another key
    blind = tls.client_context(other)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    seen, ours, _ = meet(server, blind)
    assert seen is None
    assert isinstance(ours, ssl.SSLError)


def test_another_runs_coordinator_is_refused(authority: Authority) -> None:
    impostor = tls.server_context(Authority("run-1").coordinator(ADDRESS))
    seen, _, theirs = meet(impostor, tls.client_context(authority.worker("pi07")))
    assert seen is None
    assert isinstance(theirs, ssl.SSLCertVerificationError)


def test_a_coordinator_at_another_address_is_refused(authority: Authority) -> None:
    elsewhere = tls.server_context(authority.coordinator("10.1.2.3"))
    _, _, theirs = meet(elsewhere, tls.client_context(authority.worker("pi07")))
    assert isinstance(theirs, ssl.SSLCertVerificationError)
    assert "address" in str(theirs).lower()


def test_a_worker_cannot_play_the_coordinator(authority: Authority) -> None:
    worker = authority.worker("pi08")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls._load(context, worker)
    client = tls.client_context(authority.worker("pi07"))
    client.check_hostname = False  # even one that did not look at names
    _, _, theirs = meet(context, client)
    assert isinstance(theirs, ssl.SSLCertVerificationError)


def test_older_tls_is_refused(authority: Authority, server: ssl.SSLContext) -> None:
    old = tls.client_context(authority.worker("pi07"))
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    seen, ours, _ = meet(server, old)
    assert seen is None
    assert isinstance(ours, ssl.SSLError)


@pytest.mark.parametrize("off_days", [-500, 500])
def test_an_agent_whose_clock_is_a_year_off_is_let_in(off_days: int) -> None:
    then = dt.datetime.now(dt.UTC) + dt.timedelta(days=off_days)
    authority = Authority("run-2", then)  # to the agent, the coordinator lives at another date
    coordinator = tls.server_context(authority.coordinator(ADDRESS))
    coordinator.verify_flags |= tls.NO_CHECK_TIME  # its own clock agrees with its certificates
    client = tls.client_context(authority.worker("pi07"))
    seen, ours, theirs = meet(coordinator, client)
    assert (ours, theirs) == (None, None)
    assert tls.peer_name(seen[0]) == "pi07"
    strict = tls.client_context(authority.worker("pi07"))
    strict.verify_flags &= ~tls.NO_CHECK_TIME  # and the dates are what would have hindered it
    _, _, theirs = meet(coordinator, strict)
    assert isinstance(theirs, ssl.SSLCertVerificationError)


def test_the_workers_order_of_ciphers_decides(authority: Authority, tmp_path: Path) -> None:
    settings = tmp_path / "openssl.cnf"
    settings.write_text(CHACHA_FIRST)
    identity, server = authority.worker("pi03"), tls.server_context(authority.coordinator(ADDRESS))
    program = (
        "import json, socket, ssl, sys\nfrom mapreduce import tls\n"
        "port, *parts = json.load(sys.stdin)\n"
        "context = tls.client_context(tls.Identity(*parts))\n"
        "assert 'cryptography' not in sys.modules\n"
        f"plain = socket.create_connection(({ADDRESS!r}, port), 10)\n"
        f"peer = context.wrap_socket(plain, server_hostname={ADDRESS!r})\n"
        "print(peer.cipher()[0])\npeer.close()\n"
    )
    with socket.create_server((ADDRESS, 0)) as listener:
        listener.settimeout(TIMEOUT_S)

        def serve() -> None:
            plain, _ = listener.accept()
            plain.settimeout(TIMEOUT_S)
            with plain, server.wrap_socket(plain, server_side=True) as peer:
                assert peer.recv(1) == b""

        thread = threading.Thread(target=serve)
        thread.start()
        parts = (identity.name, identity.authority, identity.certificate, identity.key)
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps([listener.getsockname()[1], *parts]),
            capture_output=True,
            text=True,
            env={**os.environ, "OPENSSL_CONF": str(settings)},
            timeout=60,
            check=False,
        )
        thread.join()
    assert done.stdout.strip() == "TLS_CHACHA20_POLY1305_SHA256", done.stderr


def test_keys_show_in_no_representation_and_no_traceback(authority: Authority) -> None:
    identity = authority.worker("pi07")
    secret = identity.key.splitlines()[1]
    shown = repr(identity) + str(identity) + repr(authority) + repr(vars(authority)["_key"])
    assert secret not in shown
    broken = Identity(identity.name, identity.authority, "no certificate", identity.key)
    with pytest.raises(ssl.SSLError) as caught:
        tls.client_context(broken)
    told = TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [str(f.locals) for f in told.stack if f.filename == tls.__file__]
    assert ours
    assert secret not in "".join(ours) + str(caught.value)


LOADS_AND_DIES = """
import json, os, pathlib, signal, ssl, sys
from mapreduce import tls
load = ssl.SSLContext.load_cert_chain
def dies(self, certificate, key):
    print(json.dumps([str(certificate), str(key)]), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
ssl.SSLContext.load_cert_chain = dies
tls.client_context(tls.Identity(*json.load(sys.stdin)))
"""


def test_a_process_killed_while_it_loads_its_key_leaves_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    identity = authority.worker("pi07")
    parts = (identity.name, identity.authority, identity.certificate, identity.key)
    before = _ours_in_memory()
    done = subprocess.run(
        [sys.executable, "-c", LOADS_AND_DIES],
        input=json.dumps(parts),
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    places = json.loads(done.stdout)
    assert all(place.startswith("/dev/fd/") for place in places)
    assert not list(tmp_path.iterdir())
    assert _ours_in_memory() <= before


def _ours_in_memory() -> set[Path]:
    """Give what is in shared memory; others' own comes and goes there too, not under our name."""
    memory = Path("/dev/shm")
    return set(memory.glob("mapreduce-*")) if memory.is_dir() else set()


def test_no_pipe_stays_open_once_a_key_is_loaded(authority: Authority) -> None:
    identity = authority.worker("pi07")
    before = len([*Path("/dev/fd").iterdir()])
    contexts = [tls.client_context(identity) for _ in range(5)]
    with pytest.raises(ssl.SSLError):
        tls.client_context(msgspec.structs.replace(identity, certificate="no certificate"))
    assert len(contexts) == 5
    assert len([*Path("/dev/fd").iterdir()]) == before


@pytest.mark.parametrize("worker", ["", "x" * 65])
def test_a_worker_id_that_does_not_fit_is_refused(authority: Authority, worker: str) -> None:
    with pytest.raises(WrongNameError, match="1 to 64 bytes"):
        authority.worker(worker)


def test_a_worker_id_may_be_any_text(authority: Authority, server: ssl.SSLContext) -> None:
    seen, ours, theirs = meet(server, tls.client_context(authority.worker("π-07 ;$(x)\n")))
    assert (ours, theirs) == (None, None)
    tls.check_worker(seen[0], "π-07 ;$(x)\n")
