"""How a place is reached over SSH: the values of OpenSSH's options, with their tokens put in.

Options come as `ssh -G` prints them. What would lead to another host, user or key and is not done
here is refused, never passed over.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mapreduce.cluster.inventory.inventory import MAX_PORT
from mapreduce.errors import UsageError

SSH_PORT: Final = 22
NONE: Final = "none"
FAMILIES: Final = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
NOT_DONE: Final = {
    "bindinterface": "set an address by BindAddress instead",
    "proxyusefdpass": "use a ProxyCommand that transfers the bytes itself",
    "knownhostscommand": "list files by UserKnownHostsFile instead",
    "pkcs11provider": "load that key into the SSH agent (ssh-add -s) and remove the option",
}
UNSAFE: Final = re.compile(r"""^-|[\s'`"$\\;&<>|(){}\x00-\x1f]""")  # as OpenSSH has it
_TOKEN = re.compile(r"%(.)|\$\{(\w+)\}", re.DOTALL)
_JUMP = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How a place is reached and logged in to. `name` is what was asked for.

    `key_name` is its HostKeyAlias; `agent` the agent's socket, None for no agent; `bind` the
    address of this machine to dial from; `connect_s` its ConnectTimeout in seconds.
    """

    name: str
    host: str
    user: str
    port: int = SSH_PORT
    identities: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    identities_only: bool = False
    agent: str | None = None
    jumps: tuple[str, ...] = ()
    proxy_command: str | None = None
    key_name: str | None = None
    known_hosts: tuple[Path, ...] = ()
    revoked: tuple[Path, ...] = ()
    family: int = socket.AF_UNSPEC
    bind: str | None = None
    connect_s: float | None = None


def way_of(
    name: str, options: Mapping[str, Sequence[str]], at: Callable[[str], Path]
) -> SshOptions:
    """Make a way of what `ssh -G NAME` prints; `at` gives the path that a text stands for.

    Raises UsageError for what is not done here, or means nothing.
    """
    refuse_what_is_not_done(name, options)
    values = {key: [v for v in said if v.lower() != NONE] for key, said in options.items()}

    def one(key: str) -> str:
        return next(iter(values.get(key, ())), "")

    host, user = one("hostname") or name, one("user")
    port = int(one("port") or SSH_PORT)
    tokens = _tokens(name, host, user, port)
    alias = expanded(one("hostkeyalias"), tokens, "HostKeyAlias")
    tokens["k"] = alias or host

    def paths(key: str, texts: Sequence[str]) -> tuple[Path, ...]:
        return tuple(at(expanded(text, tokens, key)) for text in texts)

    return SshOptions(
        name=name,
        host=host,
        user=user,
        port=port,
        identities=paths("IdentityFile", values.get("identityfile", ())),
        certificates=paths("CertificateFile", values.get("certificatefile", ())),
        identities_only=one("identitiesonly") == "yes",
        agent=_agent(options.get("identityagent", ()), tokens, at),
        jumps=tuple(
            expanded(j, tokens, "ProxyJump") for j in re.split(r"[,\s]+", one("proxyjump")) if j
        ),
        proxy_command=_command(one("proxycommand"), tokens) or None,
        key_name=alias or None,
        known_hosts=paths("UserKnownHostsFile", _files(one("userknownhostsfile")))
        + paths("GlobalKnownHostsFile", _files(one("globalknownhostsfile"))),
        revoked=paths("RevokedHostKeys", values.get("revokedhostkeys", ())),
        family=FAMILIES.get(one("addressfamily"), socket.AF_UNSPEC),
        bind=one("bindaddress") or None,
        connect_s=float(one("connecttimeout") or 0) or None,
    )


def refuse_what_is_not_done(name: str, options: Mapping[str, Sequence[str]]) -> None:
    """Raise for an option without which a connection would go another way than `ssh`'s."""
    for key, instead in NOT_DONE.items():
        value = next(iter(options.get(key, ())), NONE)
        if value.lower() not in {NONE, "no"}:
            raise UsageError(
                f"the SSH configuration says {key} {value} for {name} (`ssh -G {name}` shows"
                f" it), which is not supported: {instead}"
            )


def expanded(text: str, tokens: Mapping[str, str], what: str) -> str:
    """Put in what `%h` and `${NAME}` stand for; a UsageError where one stands for nothing here."""

    def put(found: re.Match[str]) -> str:
        value = os.environ.get(found[2]) if found[2] else tokens.get(found[1])
        if value is None:
            known = " ".join(f"%{c}" for c in tokens)
            raise UsageError(
                f"the SSH configuration says {what} {text}: {found[0]} is not supported."
                f" Supported are {known} and ${{NAME}} of variables that are set"
            )
        return value

    return _TOKEN.sub(put, text)


def parts_of_jump(text: str) -> tuple[str, str | None, int | None]:
    """Give host, user and port of a ProxyJump: `[user@]host[:port]` or `ssh://…`."""
    rest = text.removeprefix("ssh://").rstrip("/") if text.startswith("ssh://") else text
    user, at, place = rest.rpartition("@")
    found = _JUMP.fullmatch(place)
    host = (found[1] or found[2]) if found else ""
    port = int(found[3]) if found and found[3] else None
    if not host or host.startswith("-") or (at and not user) or port == 0 or (port or 1) > MAX_PORT:
        raise UsageError(
            f"the SSH configuration says ProxyJump {text}: expected [user@]host[:port], or none"
        )
    return host, user or None, port


def _tokens(name: str, host: str, user: str, port: int) -> dict[str, str]:
    here = socket.gethostname()
    return {
        "%": "%",
        "d": os.path.expanduser("~"),  # noqa: PTH111 - a text, as the others
        "h": host,
        "i": str(os.getuid()),
        "k": host,
        "L": here.partition(".")[0],
        "l": here,
        "n": name,
        "p": str(port),
        "r": user,
        "u": os.environ.get("USER") or os.environ.get("LOGNAME") or user,
    }


def _agent(said: Sequence[str], tokens: Mapping[str, str], at: Callable[[str], Path]) -> str | None:
    """Give the agent's socket: IdentityAgent's, or that of the environment."""
    usual = os.environ.get("SSH_AUTH_SOCK") or None
    text = next(iter(said), "SSH_AUTH_SOCK")
    if text == "SSH_AUTH_SOCK":
        return usual
    if text.lower() == NONE:
        return None
    if text.startswith("$") and not text.startswith("${"):
        return os.environ.get(text[1:]) or None
    return str(at(expanded(text, tokens, "IdentityAgent")))


def _command(text: str, tokens: Mapping[str, str]) -> str:
    """Put in what the tokens of a ProxyCommand stand for: a shell reads the whole of it."""
    for token in "hnkr":
        if f"%{token}" in text and UNSAFE.search(tokens[token]):
            raise UsageError(
                f"the SSH configuration puts %{token} into a ProxyCommand, and a shell would"
                f" interpret more than a name in {tokens[token]!r}: rename it"
            )
    return expanded(text, tokens, "ProxyCommand")


def _files(text: str) -> list[str]:
    """Cut a list of files; `ssh -G` puts blanks between them and none around a blank in a name."""
    files: list[str] = []
    for word in text.split(" "):
        if files and not word.startswith(("/", "~", "%", "$")):
            files[-1] += f" {word}"
        else:
            files.append(word)
    return [f for f in files if f]
