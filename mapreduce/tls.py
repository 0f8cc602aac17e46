"""Certificates for one run, and the TLS settings that use them.

An authority and P-256 keys are made in memory when a run begins and die with it. Both sides prove
themselves, by TLS 1.3 alone; there is no way to turn that off. A certificate's name is a worker's
id, or the coordinator's address. An agent looks at authority and name and not at dates, since a Pi
without a clock battery may be months out. Keys are in no representation, message, log or file:
`ssl`, which takes nothing but paths, reads them from a pipe. Only the coordinator needs
`cryptography`; it opens no socket.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import ssl
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, GeneralName

NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which `ssl` does not name
CLOCK_SKEW: Final = dt.timedelta(days=1)  # the coordinator does look at dates: its own
LIFE: Final = dt.timedelta(days=90)
MAX_NAME_BYTES: Final = 64  # of a common name, by X.509


class WrongNameError(MapReduceError):
    """A peer's certificate is for another name than the one it claims."""


class Identity(msgspec.Struct, frozen=True):
    """What one side proves itself with: the authority, its certificate and its key, in PEM.

    For a worker it travels by SSH standard input. It shows none of itself.
    """

    name: str
    authority: str
    certificate: str
    key: str

    def __repr__(self) -> str:
        return f"Identity({self.name!r}, …)"


class Authority:
    """The authority of one run, in memory.

    Parameters
    ----------
    run
        The run's id: the authority's name.
    now
        When it begins; None for the present. Certificates are good from a day before, for 90 days.
    """

    def __init__(self, run: str, now: dt.datetime | None = None) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - not on workers

        self._now = dt.datetime.now(dt.UTC) if now is None else now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = f"run {run}"[:MAX_NAME_BYTES]
        self._certificate = self._signed(self._name, self._key, authority=True)

    def __repr__(self) -> str:
        return f"Authority({self._name!r})"

    def coordinator(self, address: str) -> Identity:
        """Make the coordinator's identity for the address that workers dial (an IP or a name)."""
        return self._identity(address[:MAX_NAME_BYTES], address, server=True)

    def worker(self, worker: str) -> Identity:
        """Make a worker's identity, for its id.

        Raises
        ------
        WrongNameError
            Where the id does not fit into a certificate.
        """
        if not 0 < len(worker.encode()) <= MAX_NAME_BYTES:
            raise WrongNameError(f"a worker's id has 1 to {MAX_NAME_BYTES} bytes, got {worker!r}")
        return self._identity(worker, None, server=False)

    def _identity(self, name: str, address: str | None, *, server: bool) -> Identity:
        from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key, address=address, server=server)
        pem = key.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        ).decode()
        return Identity(name, _pem(self._certificate), _pem(certificate), pem)

    def _signed(
        self,
        name: str,
        key: EllipticCurvePrivateKey,
        *,
        authority: bool = False,
        address: str | None = None,
        server: bool = False,
    ) -> Certificate:
        from cryptography import x509  # noqa: PLC0415 - not on workers
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - CLOCK_SKEW)
            .not_valid_after(self._now + LIFE)
            .add_extension(x509.BasicConstraints(authority, 0 if authority else None), True)
            .add_extension(_usage(authority=authority), True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        if not authority:
            use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), True)
        if address is not None:
            names = x509.SubjectAlternativeName([_general_name(address)])
            builder = builder.add_extension(names, False)
        return builder.sign(self._key, hashes.SHA256())


def server_context(identity: Identity) -> ssl.SSLContext:
    """Give the coordinator's settings: workers of this run alone, TLS 1.3 alone.

    The worker's order of ciphers decides, so that one without AES instructions gets ChaCha20.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = ssl.CERT_REQUIRED
    _load(context, identity)
    return context


def client_context(identity: Identity) -> ssl.SSLContext:
    """Give a worker's settings: this run's coordinator alone, by its address, whatever the date."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= NO_CHECK_TIME
    _load(context, identity)
    return context


def peer_name(certificate: Mapping[str, Any] | None) -> str:
    """Give the name that a verified peer's certificate is for (from `getpeercert()`).

    Raises
    ------
    WrongNameError
        Where there is none, or not exactly one.
    """
    subject = (certificate or {}).get("subject", ())
    names = [value for part in subject for kind, value in part if kind == "commonName"]
    if len(names) != 1:
        raise WrongNameError(f"expected a certificate with one name, got {len(names)}")
    return str(names[0])


def check_worker(certificate: Mapping[str, Any] | None, worker: str) -> None:
    """Check that a verified peer is the worker that its hello claims.

    Raises
    ------
    WrongNameError
        Where it is another.
    """
    name = peer_name(certificate)
    if name != worker:
        raise WrongNameError(f"the certificate is for {name!r}, the hello says {worker!r}: refused")


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=identity.authority)
    with _readable(identity.certificate) as certificate, _readable(identity.key) as key:
        context.load_cert_chain(certificate, key)


@contextlib.contextmanager
def _readable(text: str) -> Iterator[str]:
    """Give a path from which `ssl` reads a text once, though it is in no file: a pipe of ours.

    A process that is killed at any moment leaves nothing, since a pipe goes with its last holder.
    """
    source, sink = os.pipe()  # not inherited; a few KiB fit in without a reader
    try:
        with os.fdopen(sink, "w", encoding="ascii") as out:
            out.write(text)
        yield f"/dev/fd/{source}"
    finally:
        os.close(source)


def _pem(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return certificate.public_bytes(Encoding.PEM).decode()


def _usage(*, authority: bool) -> Any:
    from cryptography.x509 import KeyUsage  # noqa: PLC0415 - not on workers

    return KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(address: str) -> GeneralName:
    from cryptography import x509  # noqa: PLC0415 - not on workers

    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
