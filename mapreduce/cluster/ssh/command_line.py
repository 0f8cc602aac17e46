"""Command lines for hosts, built by pure functions: whatever enters one is one word to any shell.

A command is one of our scripts with one JSON argument, both packed into letters that mean nothing
to sh, bash, zsh, fish or csh: those disagree about quotes, backslashes, `!` and ends of lines. A
login shell may say things of its own first (`~/.bashrc`), so a script can be told to begin by a
line that nobody knows beforehand, and what comes before it is not ours. No secret is ever part of a
command: secrets and payload go to standard input. Nothing here connects.
"""

from __future__ import annotations

import binascii
import json
import secrets
import shlex
import string
import zlib
from collections.abc import Mapping
from typing import Any, Final

from mapreduce.cluster import onhost

UNPACK: Final = (
    "import binascii,sys,zlib;v=sys.argv;"
    "script,line=zlib.decompress(binascii.a2b_base64(v[1])),v[3:];"
    "v[1:]=[binascii.a2b_qp(v[2][1:]).decode()];"
    "line and sys.stdout.write(chr(10)+line[0][::-1]+chr(10));"
    "sys.stdout.flush();"
    "exec(script)"
)
"""What unpacks a script on a host, and begins by saying its line: it came backwards, so that a
shell which repeats the command doesn't say it."""

HARMLESS: Final = frozenset(f"{string.ascii_letters}{string.digits}/._-,:".encode())

INSTALL_KEY: Final = (
    'umask 077 && mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys && read -r key && test -n "$key"'
    ' && { grep -qxF -e "$key" ~/.ssh/authorized_keys'
    ' || { echo; echo "$key"; } >> ~/.ssh/authorized_keys; }'
)
"""Adds the public key that comes on standard input, once."""


class Beginning:
    """The line that a command's answer begins with; what came `before` it, or instead."""

    def __init__(self) -> None:
        self.letters = secrets.token_hex(8)
        self.line = f"\n{self.letters}\n".encode()
        self.before = bytearray()
        self.begun = False

    def ours(self, body: bytes) -> bytes:
        """Give what of the bytes that came belongs to the answer."""
        if self.begun:
            return body
        known = max(0, len(self.before) - len(self.line))  # no line is there before it
        self.before += body
        found = self.before.find(self.line, known)
        if found < 0:
            return b""
        self.begun = True
        rest = bytes(self.before[found + len(self.line) :])
        del self.before[found:]
        return rest


def word(program: str) -> str:
    """Quote a program's name or path; `~/` in front stays the home folder of the host."""
    if program.startswith("~/"):
        return f'"$HOME"/{shlex.quote(program[2:])}'
    return shlex.quote(program)


def python_script(
    python: str, name: str, asked: Mapping[str, Any], beginning: Beginning | None = None
) -> str:
    """Give the command that runs one of our scripts with what it is asked.

    `-I` keeps the host's own PYTHONPATH and user packages out. A `-` in front of a program's
    name is refused by the inventory.
    """
    packed = binascii.b2a_base64(zlib.compress(onhost.script(name).encode(), 9), newline=False)
    words = [packed.decode(), plain(json.dumps(dict(asked)))]
    words += [beginning.letters[::-1]] if beginning is not None else []
    return f"exec {word(python)} -I -c {shlex.quote(UNPACK)} {' '.join(words)}"


def plain(text: str) -> str:
    """Write a text in letters that no shell minds; `binascii.a2b_qp` reads it after the first."""
    bare = text.encode()
    return "j" + "".join(chr(b) if b in HARMLESS else f"={b:02X}" for b in bare)


def install_key(beginning: Beginning) -> str:
    """Give the command that adds a key; any shell hands it to sh."""
    letters = beginning.letters
    said = f'echo; echo {letters[:8]}""{letters[8:]}'  # in two, as it is not to be repeated
    return f"exec sh -c {shlex.quote(f'{said}; {INSTALL_KEY}')}"
