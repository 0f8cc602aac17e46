"""Pinned host keys: a file of OpenSSH's known_hosts format that `enrol` writes.

A host is known by the address and port it is dialled at. A key that is not in the file is not
trusted, whatever the user's own known_hosts says; the file is written whole. It asks nobody.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from paramiko import HostKeys  # type: ignore[import-untyped]  # it ships no types
from paramiko.hostkeys import InvalidHostKey  # type: ignore[import-untyped]  # as above

from mapreduce.errors import UsageError
from mapreduce.whole import whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from paramiko import PKey

SSH_PORT: Final = 22
HEADER: Final = "# Host keys pinned by `mapreduce cluster enrol`. OpenSSH reads this file too.\n"


def pin_name(address: str, port: int) -> str:
    """Name a place as known_hosts does."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


def pinned(path: Path) -> HostKeys:
    """Read the pinned keys; none where there is no file.

    Raises
    ------
    UsageError
        Where a line of the file is no key: a damaged file must not pass for an empty one.
    """
    keys = HostKeys()
    if not path.exists():
        return keys
    try:
        keys.load(os.fspath(path))
    except (InvalidHostKey, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: expected lines of known_hosts, found {error}") from None
    lines = [s for s in path.read_text().splitlines() if s.strip() and not s.startswith("#")]
    if len(keys.keys()) == 0 and lines:
        raise UsageError(f"{path}: expected lines of known_hosts, found none that is one")
    return keys


def pin(path: Path, new: Mapping[str, PKey]) -> None:
    """Put keys by their names into the file, each in the place of all others of that name."""
    lines = [] if path.exists() else [HEADER]
    if path.exists():
        lines = [s for s in path.read_text().splitlines(keepends=True) if not _names(s) & {*new}]
        lines = [s if s.endswith("\n") else s + "\n" for s in lines]
    lines += [f"{name} {key.get_name()} {key.get_base64()}\n" for name, key in sorted(new.items())]
    with whole(path) as partial:
        partial.write_text("".join(lines))


def fingerprints(path: Path) -> dict[str, set[str]]:
    """Read a list of fingerprints one trusts: a host's name or address and `SHA256:…` a line.

    Raises
    ------
    UsageError
        For a line without a fingerprint.
    """
    found: dict[str, set[str]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        prints = {w for w in words if w.startswith("SHA256:")}
        names = [w for w in words if w not in prints and not _is_detail(w)]
        if not prints or not names:
            raise UsageError(f"{path}:{number}: expected NAME SHA256:…, found {line.strip()!r}")
        for name in names:
            found.setdefault(name, set()).update(prints)
    return found


def _is_detail(text: str) -> bool:
    """Tell the number of bits and the kind apart, in what `ssh-keygen -lf` prints."""
    return text.isdigit() or (text.startswith("(") and text.endswith(")"))


def _names(line: str) -> set[str]:
    words: Iterable[str] = line.split(maxsplit=1)[:1] if not line.startswith("#") else ()
    return {name for word in words for name in word.split(",")}
