"""Files of OpenSSH's known_hosts format: which keys a name may show, and which no name may.

Names are looked up as OpenSSH does: lists, wildcards, exclusions (`!name`), hashed names, the
markers `@revoked` and `@cert-authority`. A line that is none is kept apart with its number, so
that whoever reads decides: OpenSSH passes over it. Keys are compared by their bytes; what is not
UTF-8 in a comment or a name is kept as it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ENCODING: Final = {"encoding": "utf-8", "errors": "surrogateescape"}
REVOKED: Final = "@revoked"
AUTHORITY: Final = "@cert-authority"
HASHED: Final = re.compile(r"\|1\|([^|]+)\|([^|]+)")
LENGTH_BYTES: Final = 4
KRL: Final = "SSHKRL"


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key: its kind, and its bytes as they go over the line."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As OpenSSH prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return f"SHA256:{digest.rstrip('=')}"


@dataclass(frozen=True, slots=True)
class KnownHost:
    """A line that names hosts and a key; `key` is None where it cannot be read, `wrong` says why.

    `marker` is empty, `@revoked` or `@cert-authority`.
    """

    path: Path
    number: int
    marker: str
    names: str
    key: HostKey | None
    wrong: str = ""

    @property
    def place(self) -> str:
        """File and line, for people."""
        return f"{self.path}:{self.number}"

    def fits(self, name: str) -> bool:
        """Tell whether the line is about a name, as OpenSSH tells it."""
        name = name.lower()
        hashed = HASHED.fullmatch(self.names)
        if hashed:
            return _hash_fits(name, *hashed.groups())
        found = False
        for pattern in self.names.lower().split(","):
            wanted = pattern.removeprefix("!")
            if _glob(wanted).fullmatch(name):
                if wanted != pattern:
                    return False
                found = True
        return found


@dataclass(frozen=True, slots=True)
class Known:
    """What files say about a name: the keys it may show, and lines that allow none.

    `struck` are keys noted for it and revoked since.
    """

    keys: tuple[HostKey, ...] = ()
    authorities: tuple[KnownHost, ...] = ()
    revoked: tuple[KnownHost, ...] = ()
    struck: tuple[HostKey, ...] = ()

    def revocation(self, key: HostKey) -> KnownHost | None:
        """Give the line that revokes a key for this name."""
        return next((line for line in self.revoked if line.key == key), None)

    def joined(self, other: Known) -> Known:
        """Give what both say."""
        return Known(
            self.keys + other.keys,
            self.authorities + other.authorities,
            self.revoked + other.revoked,
            self.struck + other.struck,
        )

    def without(self, revoked: tuple[KnownHost, ...]) -> Known:
        """Give the same, with more revoked."""
        every = self.revoked + revoked
        bad = {line.key for line in every}
        return Known(
            tuple(k for k in self.keys if k not in bad),
            self.authorities,
            every,
            self.struck + tuple(k for k in self.keys if k in bad),
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of key are known, in order."""
        return tuple(dict.fromkeys(key.kind for key in self.keys))


@dataclass(frozen=True)
class KnownHosts:
    """The lines of some files, in order."""

    lines: tuple[KnownHost, ...]

    @cached_property
    def _plain(self) -> frozenset[str]:
        """Every whole name that is known, for a quick no."""
        return frozenset(n for line in self.lines for n in line.names.lower().split(","))

    @cached_property
    def _patterns(self) -> bool:
        return any(c in line.names for line in self.lines for c in "*?!|")

    def of(self, name: str) -> Known:
        """Give what is said about a name; a revoked key is never among those it may show."""
        if not self._patterns and name.lower() not in self._plain:
            return Known()
        fit = [line for line in self.lines if line.fits(name)]
        keys = dict.fromkeys(line.key for line in fit if not line.marker and line.key)
        authorities = tuple(line for line in fit if line.marker == AUTHORITY)
        return Known(tuple(keys), authorities).without(
            tuple(line for line in fit if line.marker == REVOKED and line.key)
        )

    def names(self) -> list[str]:
        """Give all names that are spelt out, in order."""
        listed = [n for line in self.lines if not line.marker for n in line.names.split(",")]
        return list(dict.fromkeys(listed))


def read(paths: Iterable[Path]) -> KnownHosts:
    """Read files; one that is not there has no lines. An OSError where it cannot be read."""
    lines: list[KnownHost] = []
    for path in paths:
        try:
            text = path.read_text(**ENCODING)
        except (FileNotFoundError, NotADirectoryError):
            continue
        numbered = ((number, _line(path, number, s)) for number, s in enumerate(split(text), 1))
        lines += [line for _, line in numbered if line is not None]
    return KnownHosts(tuple(lines))


def banned(paths: Iterable[Path]) -> tuple[KnownHost, ...]:
    """Read files of RevokedHostKeys: public keys, one a line, that no host may show.

    Raises OSError where a file can't be read (then ssh trusts no host either), ValueError where it
    is a list of `ssh-keygen -k`, or not of keys.
    """
    lines: list[KnownHost] = []
    for path in paths:
        text = path.read_text(**ENCODING)
        if text.startswith(KRL):
            raise ValueError(
                f"{path} is a revocation list of `ssh-keygen -k`, which is not supported"
            )
        for number, said in enumerate(split(text), 1):
            line = _line(path, number, f"{REVOKED} * {said}") if fields(said)[1] else None
            if line is not None and line.key is None:
                raise ValueError(f"{line.place}: expected a public key, found {line.wrong}")
            lines += [line] if line is not None else []
    return tuple(lines)


def split(text: str) -> list[str]:
    """Give a text's lines as OpenSSH counts them: at line feeds alone."""
    return text.removesuffix("\n").split("\n") if text else []


def fields(text: str) -> tuple[str, str, str]:
    """Give a line's marker, its names, and the rest; all empty for a comment."""
    text = text.strip(" \t\r")
    marker = ""
    if not text or text.startswith("#"):
        return "", "", ""
    if text.startswith("@"):
        marker, text = _cut(text)
    names, rest = _cut(text)
    return marker, names, rest


def _line(path: Path, number: int, text: str) -> KnownHost | None:
    marker, names, rest = fields(text)
    if not marker and not names:
        return None
    if marker not in {"", REVOKED, AUTHORITY} or names.startswith("@"):
        return KnownHost(path, number, marker, "", None, f"the markers {text.split()[:2]}")
    words = rest.split(None, 2)
    if not names or len(words) < 2 or words[0].startswith("#"):  # noqa: PLR2004 - kind and key
        return KnownHost(path, number, marker, names, None, "no key type and key after the names")
    try:
        blob = base64.b64decode(words[1], validate=True)
        (length,) = struct.unpack(">I", blob[:LENGTH_BYTES])
        inside = blob[LENGTH_BYTES : LENGTH_BYTES + length].decode("ascii")
    except (binascii.Error, struct.error, ValueError):
        return KnownHost(path, number, marker, names, None, f"no base64 key after {words[0]}")
    if inside != words[0]:
        return KnownHost(
            path, number, marker, names, None, f"a key of {inside!r} declared as {words[0]!r}"
        )
    return KnownHost(path, number, marker, names, HostKey(words[0], blob))


def _cut(text: str) -> tuple[str, str]:
    """Cut at the first blanks."""
    parts = re.split(r"[ \t]+", text, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def _glob(pattern: str) -> re.Pattern[str]:
    """Give OpenSSH's wildcards as an expression: `*` and `?`, and no brackets."""
    parts = re.split(r"([*?])", pattern)
    return re.compile("".join({"*": ".*", "?": "."}.get(p, re.escape(p)) for p in parts), re.DOTALL)


def _hash_fits(name: str, salt: str, digest: str) -> bool:
    try:
        key, wanted = (base64.b64decode(text, validate=True) for text in (salt, digest))
    except binascii.Error:
        return False
    raw = name.encode(**ENCODING)
    return hmac.compare_digest(hmac.new(key, raw, hashlib.sha1).digest(), wanted)
