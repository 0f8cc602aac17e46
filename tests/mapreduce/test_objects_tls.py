"""TLS where none is spoken, and none where it is: told as that, in listing and in reading."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mapreduce.errors import StoreError
from mapreduce.objects import Entry, Location
from mapreduce.objects.patience import Patience, RetryPolicy
from mapreduce.objects.reader import Reader
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from tests.services.stores import Strange, page, strange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASTY = RetryPolicy(first_s=0.01, longest_s=0.05, deadline_s=5.0)
HANDSHAKE = b"\x16"
ALERT = b"\x15\x03\x01\0\x02\x02\x46"  # "protocol version", as OpenSSL answers
BROKEN = b"\x15\x03\x03\0\x02\x02\x50"  # "internal error": of one connection, not of all
ENTRY = Entry("k", 2, "e")


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a key and a certificate that nobody trusts, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "store.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(identity: Path) -> Iterator[str]:
    """Give the port of a server that speaks TLS alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    line, _ = listener.accept()
                    line.settimeout(5)
                    with line, contextlib.suppress(OSError):
                        if line.recv(1, socket.MSG_PEEK) == HANDSHAKE:
                            context.wrap_socket(line, server_side=True).close()
                        else:  # all is read first: a reset would overtake the alert
                            line.recv(65536)
                            line.sendall(ALERT)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        stopped.set()
        thread.join(10)


@pytest.fixture
def plain() -> Iterator[Strange]:
    with strange(lambda _: page()) as server:
        yield server


def listed(endpoint: str) -> None:
    list(S3("trips", settings=Settings(endpoint, keys=Keys("a", "b"))).entries())


def read(endpoint: str) -> None:
    with Reader(Patience(retry=HASTY)) as reader:
        reader.open(ENTRY, Location(url=f"{endpoint}/trips/k")).close()


@pytest.mark.parametrize("what", [listed, read])
def test_https_to_a_plain_port(what: object, plain: Strange) -> None:
    assert callable(what)
    with pytest.raises(StoreError, match="does not use TLS: begin the endpoint with http://"):
        what(plain.endpoint.replace("http:", "https:"))


@pytest.mark.parametrize("what", [listed, read])
def test_http_to_a_port_of_tls(what: object, secure: str) -> None:
    assert callable(what)
    with pytest.raises(StoreError, match="it uses TLS: begin the endpoint with https://"):
        what(f"http://{secure}")


@pytest.mark.parametrize("what", [listed, read])
def test_a_certificate_that_nobody_trusts(what: object, secure: str) -> None:
    assert callable(what)
    with pytest.raises(StoreError, match="its certificate is not trusted: set SSL_CERT_FILE"):
        what(f"https://{secure}")


def test_a_handshake_that_breaks_is_tried_again() -> None:
    asked = []
    retry = RetryPolicy(first_s=0.01, longest_s=0.05, deadline_s=1.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):  # the listener is closed
                while True:
                    line, _ = listener.accept()
                    with line:
                        asked.append(line.recv(65536)[:1])
                        line.sendall(BROKEN)

        threading.Thread(target=serve, daemon=True).start()
        where = Location(url=f"https://127.0.0.1:{listener.getsockname()[1]}/t/k")
        said = r"TLS failed .* this was retried for 1 s"
        with Reader(Patience(retry=retry)) as reader, pytest.raises(StoreError, match=said):
            reader.open(ENTRY, where)
        listener.shutdown(socket.SHUT_RDWR)
    assert len(asked) > 1
    assert {*asked} == {HANDSHAKE}
