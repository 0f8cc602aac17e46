"""The first hosts.toml, commented, and its fabfile: what `mapreduce cluster init` writes."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mapreduce.atomic_file import whole
from mapreduce.cluster.inventory.host_range import bracketed, expand
from mapreduce.cluster.inventory.inventory import ADDRESS, NAME, parsed
from mapreduce.errors import UsageError

FABFILE: Final = '''\
"""Tasks for the hosts of hosts.toml: `fab --list` lists them; `mapreduce cluster` does the same."""

from mapreduce.cluster.fab import *  # noqa: F403 - every task; those of your own go below
'''

CLUSTER: Final = """\
# The hosts that run jobs, and how to reach them. After a change run: mapreduce cluster doctor
# Settings that are missing here come from ~/.ssh/config (aliases, ProxyJump, User, IdentityFile).

[cluster]
name = {name}
# Workers connect to this address of this machine; no other address is opened.
# "ssh": they connect through SSH instead (NAT, VPN).
address = {address}
listen_port = 0                 # 0: any free port; otherwise open it in this machine's firewall
user = {user}                   # login name; the login uses a key
# identity = "~/.ssh/id_ed25519"  # if left out: keys of the SSH agent and ~/.ssh/id_*
known_hosts = "known_hosts"     # pinned host keys, written by `enrol`; beside this file
root = ".mapreduce"             # our folder on each host, in the user's home; `remove` deletes it
python = "python3"              # on each host: 3.11 or newer; no packages are needed

# S3-compatible storage that the hosts read. Credentials stay on this machine, in AWS_… variables.
# [store]
# endpoints = ["http://192.168.10.66:9000"]   # nodes of one store; they share the load
# region = "us-east-1"
# max_requests = 64             # concurrent requests to the store, of the whole cluster
# shared = ["/mnt/trips"]       # folders at the same path on this machine and every host
"""

HOSTS: Final = """\

[[hosts]]
name = {name}
address = {address}             # ranges in name and address expand together
# slots = 4                     # attempts in parallel; default: what cores and memory allow
# tags = ["pi4"]                # for --tag
# Each may have its own user, ssh_port, identity, python and endpoint.
"""


def hosts_toml(spans: Sequence[str], *, user: str, name: str, address: str) -> str:
    """Give the text of a hosts.toml for addresses, spans of them, or names."""
    text = CLUSTER.format(name=json.dumps(name), address=json.dumps(address), user=json.dumps(user))
    taken = 0
    for span in spans:
        span_in_brackets = meant(span)
        count = len(expand(span_in_brackets))
        named = any(c.isalpha() for c in span)
        names = span_in_brackets if named else _names(taken + 1, count)
        taken += 0 if named else count
        text += HOSTS.format(name=json.dumps(names), address=json.dumps(span_in_brackets))
    return _aligned(text)


def init(
    folder: Path, spans: Sequence[str], *, user: str, name: str, address: str | None = None
) -> list[Path]:
    """Write hosts.toml and fabfile.py into a folder; a fabfile that is there stays.

    Raises UsageError where there is a hosts.toml already, or the hosts cannot be meant.
    """
    path = folder / NAME
    if path.exists():
        raise UsageError(f"{path} already exists: edit it, or move it away first")
    first = expand(meant(spans[0]))[0]
    text = hosts_toml(spans, user=user, name=name, address=address or own_address(first))
    parsed(text, path)  # a file that `load` would refuse is not written
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
    written = [path]
    fabfile = folder / "fabfile.py"
    if not fabfile.exists():
        with whole(fabfile) as partial:
            partial.write_text(FABFILE)
        written.append(fabfile)
    return written


def meant(span: str) -> str:
    """Give what was typed as one range, in brackets; a UsageError for what can be no host."""
    typed = span.strip()
    if "@" in typed:
        raise UsageError(f"{typed}: set the login name with --user, and type only the host here")
    if "/" in typed or "," in re.sub(r"\[[^\]]*\]", "", typed):
        raise UsageError(
            f"{typed}: expected names or addresses, separated by blanks, or spans such as"
            " 192.168.10.101-116"
        )
    span_in_brackets = bracketed(typed)
    wrong = next((h for h in expand(span_in_brackets) if not ADDRESS.fullmatch(h)), None)
    if wrong is not None:
        raise UsageError(
            f"{span!r}: expected an address, a span such as 192.168.10.101-116, or a name;"
            f" {wrong!r} is not valid"
        )
    return span_in_brackets


def own_address(towards: str) -> str:
    """Give the address of this machine on the way to another; nothing is sent."""
    try:
        place = socket.getaddrinfo(towards, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(place[0], socket.SOCK_DGRAM) as line:
            line.connect(place[4])
            return str(line.getsockname()[0])
    except (OSError, UnicodeError):  # no name at all: `enrol` will say so
        return "127.0.0.1"


def _names(first: int, count: int) -> str:
    width = max(2, len(str(first + count - 1)))
    if count == 1:
        return f"pi{first:0{width}}"
    return f"pi[{first:0{width}}-{first + count - 1:0{width}}]"


def _aligned(text: str) -> str:
    """Put trailing comments in one column, whatever the values' lengths."""
    lines = []
    for line in text.splitlines():
        value, sign, comment = line.partition(" # ")
        lines.append(f"{value.rstrip():<31} # {comment}" if sign and value.strip() else line)
    return "\n".join(lines) + "\n"
