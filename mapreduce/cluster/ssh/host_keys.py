"""Pinned host keys: a file of OpenSSH's known_hosts format that `enrol` writes.

A host is known by the address and port it is dialled at, or by its HostKeyAlias. A key that is not
in the file is not trusted, whatever the user's own known_hosts says; a line that is no key is
refused, so that a damaged file never passes for a shorter one. It is written whole, and of lines
of other names nothing is lost. It asks nobody.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from mapreduce.atomic_file import whole
from mapreduce.cluster.ssh.known_hosts import (
    ENCODING,
    HostKey,
    KnownHost,
    KnownHosts,
    fields,
    read,
    split,
)
from mapreduce.cluster.ssh.ssh_options import SSH_PORT
from mapreduce.errors import UsageError

HEADER: Final = "# Host keys pinned by `mapreduce cluster enrol`. OpenSSH reads this file too.\n"
BOM: Final = "\ufeff"


def pin_name(address: str, port: int) -> str:
    """Name a place as known_hosts does."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


def pinned(path: Path) -> KnownHosts:
    """Read the pinned keys; none where there is no file.

    Raises UsageError where it cannot be read, or a line of it is no key.
    """
    try:
        known = read([path])
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from None
    for line in known.lines:
        wrong = _wrong(line)
        if wrong:
            raise UsageError(f"{line.place}: expected lines of known_hosts, found {wrong}")
    return known


def _wrong(line: KnownHost) -> str:
    """Say what keeps a line from counting, though whoever wrote it may think that it does."""
    if line.names.startswith(BOM) or line.marker.startswith(BOM):
        return "a byte order mark: save the file without one"
    if line.key is None:
        return f"{line.wrong}: delete the line, then `mapreduce cluster enrol` for its host"
    odd = next((n for n in line.names.split(",") if n.endswith(f"]:{SSH_PORT}")), "")
    return f"{odd}, which is not a valid name: write {odd[1 : odd.rindex(']')]}" if odd else ""


def pin(path: Path, new: Mapping[str, HostKey]) -> None:
    """Put keys by their names into the file, each in the place of all others of that name.

    What else a line says stays: its other names keep their key, and what is revoked is revoked.
    Raises UsageError where a wildcard would go on allowing an old key.
    """
    lines = [HEADER]
    if path.exists():
        texts = split(path.read_text(**ENCODING))
        about = {line.number: line for line in pinned(path).lines if not line.marker}
        lines = [_without(s, about.get(number), new) for number, s in enumerate(texts, 1)]
    lines += [
        f"{name} {key.kind} {base64.b64encode(key.blob).decode()}\n"
        for name, key in sorted(new.items())
    ]
    with whole(path) as partial:
        partial.write_text("".join(lines), **ENCODING)


def _without(text: str, line: KnownHost | None, names: Mapping[str, HostKey]) -> str:
    """Take names out of a line of the file; give nothing where none is left of it."""
    fitting = [name for name in names if line is not None and line.fits(name)]
    if line is None or not fitting:
        return text.rstrip("\r") + "\n"
    gone = {name.lower() for name in fitting}
    left = [] if line.names.startswith("|") else line.names.split(",")
    left = [name for name in left if name.lower() not in gone]
    rest = replace(line, names=",".join(left))
    wide = next((name for name in fitting if left and rest.fits(name)), None)
    if wide is not None and line.key != names[wide]:
        raise UsageError(
            f"{line.place}: its pattern {rest.names!r} still allows {wide} the key"
            f" {line.key.fingerprint if line.key else ''}: remove that line first"
        )
    return f"{rest.names} {fields(text)[2]}\n" if left else ""


def contradiction(
    shown: HostKey, names: Iterable[str], listed: Mapping[str, set[str]]
) -> str | None:
    """Give what a list of fingerprints says of a host, where one of its names lacks this key."""
    for name in names:
        prints = listed[name.lower()]
        if shown.fingerprint not in prints:
            return " or ".join(sorted(prints))
    return None


def fingerprints(path: Path) -> dict[str, set[str]]:
    """Read a list of fingerprints one trusts: a host's name or address and `SHA256:…` a line.

    Raises UsageError for a line without a fingerprint, or a file that is none.
    """
    try:
        text = path.read_text(**ENCODING).removeprefix(BOM)
    except OSError as error:
        raise UsageError(f"--fingerprints {path}: {error.strerror or error}") from None
    found: dict[str, set[str]] = {}
    for number, line in enumerate(split(text), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        prints = {w.rstrip("=") for w in words if w.startswith("SHA256:")}
        names = [w for w in words if not w.startswith("SHA256:") and not _is_detail(w)]
        if not prints or not names:
            raise UsageError(f"{path}:{number}: expected NAME SHA256:…, found {line.strip()!r}")
        for name in names:
            found.setdefault(name.lower(), set()).update(prints)
    if not found:
        raise UsageError(f"{path}: expected lines of NAME SHA256:…, found none")
    return found


def _is_detail(text: str) -> bool:
    """Tell the number of bits and the kind apart, in what `ssh-keygen -lf` prints."""
    return text.isdigit() or (text.startswith("(") and text.endswith(")"))
