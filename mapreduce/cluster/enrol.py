"""Enrolling hosts: fetch their host keys, have a person judge them, pin them.

Fetching stops after the key exchange: no user name, no key, no password is sent. What is new is
pinned when a person or a list of fingerprints says so; what changed is never taken by `--yes`.
`--install-key` then logs in once by password and adds the public key.
"""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import paramiko  # type: ignore[import-untyped]  # it ships no types

from mapreduce.cluster import shell
from mapreduce.cluster.fleet import Done, on_each
from mapreduce.cluster.remote import (
    BANNER_S,
    CONNECT_S,
    HostError,
    Remote,
    connection_to,
    guard,
    hops,
    reason,
)
from mapreduce.cluster.trust import fingerprints, pin, pin_name, pinned
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fabric import Connection

    from mapreduce.cluster.fleet import Board, Table
    from mapreduce.cluster.inventory import Host, Inventory


LOGIN_S: Final = 60.0
USUAL_KEYS: Final = ("id_ed25519", "id_ecdsa", "id_rsa")


class Trust(Enum):
    """What is known of a key that a host showed."""

    PINNED = "pinned"
    NEW = "new"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Shown:
    """The key a host showed; `before` is the fingerprint pinned until now, if it is another."""

    host: str
    place: str
    key: Any
    trust: Trust
    before: str | None = None

    @property
    def fingerprint(self) -> str:
        """As OpenSSH prints it."""
        return str(self.key.fingerprint)


def look(inventory: Inventory, hosts: Sequence[Host], board: Board) -> Table[Shown]:
    """Fetch the host keys and compare them with those pinned; log in nowhere."""
    known = pinned(inventory.known_hosts)

    def fetch(host: Host, tell: Callable[[str], None]) -> Done[Shown]:
        tell("fetches its key")
        connection = connection_to(host)
        place = pin_name(connection.host, connection.port)
        key = host_key(connection, inventory, host)
        ours = known.lookup(place)
        if ours is None:
            shown = Shown(host.name, place, key, Trust.NEW)
        elif any(k == key for k in ours.values()):
            shown = Shown(host.name, place, key, Trust.PINNED)
        else:
            before = ", ".join(k.fingerprint for k in ours.values())
            shown = Shown(host.name, place, key, Trust.CHANGED, before)
        was = f", pinned was {shown.before}" if shown.before else ""
        state = f"{shown.trust.value}: {shown.fingerprint}{was}"
        return Done(state, shown, doubtful=shown.trust is Trust.CHANGED)

    return on_each(hosts, fetch, board, timeout_s=LOGIN_S)


def host_key(connection: Connection, inventory: Inventory, host: Host) -> Any:
    """Give the key a host shows in the key exchange, through its jump hosts if it has any."""
    transport = None
    try:
        if len(hops(connection)) > 1:
            guard(connection.gateway, inventory, host.name, jump=True)
        place = (connection.host, connection.port)
        if connection.gateway:
            line = connection.open_gateway()
        else:
            line = socket.create_connection(place, timeout=CONNECT_S)
        transport = paramiko.Transport(line)
        transport.banner_timeout = BANNER_S
        ours = pinned(inventory.known_hosts).lookup(pin_name(*place))
        if ours:  # ask for the kind that is pinned: a host has a key of several kinds
            options = transport.get_security_options()
            kinds = {*ours, *(("rsa-sha2-512", "rsa-sha2-256") if "ssh-rsa" in ours else ())}
            first = [k for k in options.key_types if k in kinds]
            options.key_types = first + [k for k in options.key_types if k not in first]
        transport.start_client(timeout=CONNECT_S)
        return transport.get_remote_server_key()
    except HostError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again, as what it means
        raise reason(error, connection, host) from None
    finally:
        if transport is not None:
            transport.close()
        for hop in hops(connection):
            hop.client.close()


def accept(
    inventory: Inventory,
    shown: Mapping[str, Shown],
    *,
    ask: Callable[[str], bool],
    yes: bool = False,
    replace: bool = False,
    trusted: Path | None = None,
) -> dict[str, str]:
    """Pin what may be trusted; give, by host, why the rest was not.

    Parameters
    ----------
    ask
        Puts a question to a person.
    yes
        Trust keys seen for the first time without asking. Never a changed one.
    replace
        Changed keys may be taken too: after asking, or where `trusted` lists them.
    trusted
        A file of fingerprints: what it lists is pinned without asking, what it does not is refused.
    """
    listed = None if trusted is None else fingerprints(trusted)
    wanted: list[Shown] = []
    refused: dict[str, str] = {}
    for s in shown.values():
        if s.trust is Trust.PINNED:
            continue
        if s.trust is Trust.CHANGED and not replace:
            refused[s.host] = (
                f"its host key changed: pinned {s.before}, found {s.fingerprint}. If the system"
                f" was installed anew: `mapreduce cluster enrol --only {s.host} --replace`"
            )
        elif listed is not None and not _listed(s, listed):
            refused[s.host] = f"{s.fingerprint} is not listed for it in {trusted}"
        else:
            wanted.append(s)
    if listed is None:
        new = [s for s in wanted if s.trust is Trust.NEW]
        if new and not yes and not ask(f"Trust these {len(new)} new host keys?"):
            refused |= {s.host: "not trusted" for s in new}
        for s in wanted:
            question = f"{s.host}: replace {s.before} by {s.fingerprint}?"
            if s.trust is Trust.CHANGED and not ask(question):
                refused[s.host] = "the changed key was not trusted"
    taken = {s.place: s.key for s in wanted if s.host not in refused}
    if taken:
        pin(inventory.known_hosts, taken)
    return refused


def _listed(shown: Shown, listed: Mapping[str, set[str]]) -> bool:
    address = shown.place.removeprefix("[").partition("]")[0]
    return any(shown.fingerprint in listed.get(n, ()) for n in (shown.host, shown.place, address))


def log_in(
    inventory: Inventory,
    hosts: Sequence[Host],
    board: Board,
    passwords: Mapping[str, str] | None = None,
) -> Table[None]:
    """Log in by key; where a password is given and the key does not work, install the key."""

    def enter(host: Host, tell: Callable[[str], None]) -> Done[None]:
        tell("logs in")
        password = (passwords or {}).get(host.name)
        try:
            with Remote(host, inventory):
                return Done("enrolled; the key works", None)
        except HostError:
            if password is None:
                raise
        tell("installs the key")
        public = public_key(host)
        with Remote(host, inventory, password=password) as remote:
            answer = remote.call(shell.INSTALL_KEY, public.encode() + b"\n")
        if answer.status:
            raise HostError(f"the key could not be installed: {answer.err.strip()}")
        tell("logs in")
        with Remote(host, inventory):
            return Done("enrolled; the key was installed and works", None)

    return on_each(hosts, enter, board, timeout_s=LOGIN_S)


def public_key(host: Host) -> str:
    """Read the public half of the identity that a host is to know: its own, or the usual one.

    Raises
    ------
    UsageError
        Where there is none.
    """
    usual = [Path.home() / ".ssh" / name for name in USUAL_KEYS]
    identities = [host.identity] if host.identity is not None else usual
    paths = [i.with_name(i.name + ".pub") for i in identities]
    path = next((p for p in paths if p.exists()), paths[0])
    if not path.exists():
        raise UsageError(f"{path} is not there: ssh-keygen -t ed25519 -f {identities[0]}")
    lines = [s for s in path.read_text().splitlines() if s.strip()]
    if len(lines) != 1 or not lines[0].startswith(("ssh-", "ecdsa-", "sk-")):
        raise UsageError(f"{path}: expected one public key, found something else")
    return lines[0]


def ask_passwords(hosts: Sequence[Host]) -> dict[str, str]:
    """Ask for each host's password once; an empty answer takes the one before."""
    given: dict[str, str] = {}
    last = ""
    for host in hosts:
        hint = " (empty: as before)" if last else ""
        user = host.user or getpass.getuser()
        last = getpass.getpass(f"Password of {user} on {host.name}{hint}: ") or last
        given[host.name] = last
    return given
