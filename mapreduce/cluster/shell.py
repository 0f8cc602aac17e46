"""Command lines for hosts, built by pure functions: all that enters one is quoted here.

A command is one of our scripts with one JSON argument. No secret is ever part of one: secrets
and payload go to standard input. Nothing here connects.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from mapreduce.cluster import onhost

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTALL_KEY: Final = (
    "umask 077 && mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys && read -r key"
    ' && { grep -qxF -e "$key" ~/.ssh/authorized_keys'
    ' || printf "\\n%s\\n" "$key" >> ~/.ssh/authorized_keys; }'
)
"""Adds the public key that comes on standard input, once."""


def word(program: str) -> str:
    """Quote a program's name or path; `~/` in front stays the home folder of the host."""
    if program.startswith("~/"):
        return f'"$HOME"/{shlex.quote(program[2:])}'
    return shlex.quote(program)


def python_script(python: str, name: str, asked: Mapping[str, Any]) -> str:
    """Give the command that runs one of our scripts with what it is asked.

    `-I` keeps the host's own PYTHONPATH and user packages out. A `-` in front of a program's
    name is refused by the inventory.
    """
    argument = json.dumps(dict(asked))  # ASCII: control characters leave as \\u00XX
    script = onhost.script(name)
    return f"exec {word(python)} -I -c {shlex.quote(script)} {shlex.quote(argument)}"
