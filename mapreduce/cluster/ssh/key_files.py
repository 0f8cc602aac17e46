"""Private keys in files: read as OpenSSH would, or told why not and what to do about it.

A key that has a passphrase can't be used from its file: nobody is asked for it. Its public half
is found all the same, so that the key is known among those the SSH agent holds.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from paramiko import PKey  # type: ignore[import-untyped]  # it ships no types

from mapreduce.cluster.inventory.inventory import PUBLIC

MOST_BYTES: Final = 1 << 20
MAGIC: Final = b"openssh-key-v1\x00"
CERTIFICATE: Final = "-cert-v01@openssh.com"
LOCKED: Final = "has a passphrase, and the SSH agent does not have it: `ssh-add {}`"
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of a key: the key where it can be used, its public half where that is known.

    `trouble` says why the file alone doesn't do, with the remedy; `there` whether it exists.
    """

    path: Path
    key: Any = None
    public: bytes | None = None
    trouble: str = ""
    there: bool = True


def identity(path: Path) -> KeyFile:
    """Read a private key, or find out what the file is."""
    public = public_half(path)
    try:
        if not path.exists():
            return KeyFile(path, public=public, trouble=f"{path} is not there", there=False)
        with path.open("rb") as file:
            body = file.read(MOST_BYTES)
            status = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return KeyFile(path, public=public, trouble=f"{path} cannot be read ({why})")
    public = public or _inside(body)
    trouble = _trouble(path, body, _exposed(status))
    key = None
    if not trouble:
        try:
            key = PKey.from_path(path)
        except TypeError:  # how cryptography says that it has a passphrase
            trouble = f"{path} {LOCKED.format(path)}"
        except Exception as error:  # noqa: BLE001 - any of them: it is no key
            said = str(error).split("\n")[0][:80] or type(error).__name__
            trouble = f"{path} is not a private key that can be read ({said})"
    if key is None:
        return KeyFile(path, public=public, trouble=trouble)
    key.public_blob = None  # a certificate beside it is offered apart
    return KeyFile(path, key, key.asbytes())


def public_half(path: Path) -> bytes | None:
    """Read the public key beside a private one."""
    try:
        words = path.with_name(path.name + ".pub").read_bytes()[:MOST_BYTES].split()
        return base64.b64decode(words[1], validate=True)
    except (OSError, IndexError, ValueError, binascii.Error):
        return None


def certified(key: bytes, certificate: bytes) -> bool:
    """Tell whether a certificate is one for a key."""
    kind, rest = _string(key)
    cert_kind, cert = _string(certificate)
    _, cert = _string(cert)  # what makes each certificate another
    return cert_kind == kind + CERTIFICATE.encode() and bool(rest) and cert.startswith(rest)


def _exposed(status: os.stat_result) -> str:
    """Give the mode of a key that others may read, which OpenSSH takes for none."""
    if status.st_uid != os.getuid() or not status.st_mode & OTHERS:
        return ""
    return f"{stat.S_IMODE(status.st_mode):04o}"


def _trouble(path: Path, body: bytes, exposed: str) -> str:
    """Name what a file is by how it begins, where that is no key that can be used."""
    text, kind, cipher = body.lstrip(), _kind(body), _string(_container(body))[0]
    token = f"is a key of a security token, which works only through the agent: `ssh-add {path}`"
    cases = (
        (text.startswith(PUBLIC), "is a public key: use the private key, without .pub"),
        (
            text.startswith(b"PuTTY-User-Key-File"),
            f"is a PuTTY key: `puttygen {path} -O private-openssh -o NEW`",
        ),
        (b"PRIVATE KEY" not in text, f"is not a private key: it begins with {bytes(text[:20])!r}"),
        (
            bool(exposed),
            f"is readable by others (mode {exposed}), so it is not used: `chmod 600 {path}`",
        ),
        (
            b"BEGIN DSA PRIVATE KEY" in text or kind == "ssh-dss",
            "is a DSA key, which OpenSSH no longer accepts: `ssh-keygen -t ed25519`",
        ),
        (kind.startswith("sk-"), token),
        (b"ENCRYPTED" in text or cipher not in {b"", b"none"}, LOCKED.format(path)),
    )
    return next((f"{path} {said}" for holds, said in cases if holds), "")


def _container(body: bytes) -> bytes:
    """Give what is inside a key file of OpenSSH's own format."""
    lines = body.strip().splitlines()
    if not lines or b"BEGIN OPENSSH PRIVATE KEY" not in lines[0]:
        return b""
    try:
        raw = base64.b64decode(b"".join(line.strip() for line in lines[1:-1]))
    except binascii.Error:
        return b""
    return raw.removeprefix(MAGIC) if raw.startswith(MAGIC) else b""


def _inside(body: bytes) -> bytes | None:
    """Give the public key that OpenSSH's own format holds unencrypted, or that the file is."""
    rest = _container(body)
    if not rest:
        words = body.split()
        try:
            return base64.b64decode(words[1], validate=True) if body.startswith(PUBLIC) else None
        except (IndexError, binascii.Error):
            return None
    for _ in range(3):  # cipher, key derivation, its options
        _, rest = _string(rest)
    return _string(rest[4:])[0] or None  # after the number of keys


def _kind(body: bytes) -> str:
    return _string(_inside(body) or b"")[0].decode("ascii", "replace")


def _string(body: bytes) -> tuple[bytes, bytes]:
    """Cut off a string of the SSH protocol; give nothing where there is none."""
    if len(body) < 4:  # noqa: PLR2004 - the length's bytes
        return b"", b""
    (length,) = struct.unpack(">I", body[:4])
    return body[4 : 4 + length], body[4 + length :]
