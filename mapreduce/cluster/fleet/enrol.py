"""Enrolling hosts: fetch their host keys, have a person judge them, pin them.

Fetching stops after the key exchange: no user name, no key, no password is sent. What is new is
pinned when a person or a list of fingerprints says so; what changed is never taken by `--yes`.
`--install-key` then logs in once by password and adds the public key.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from mapreduce.cluster.fleet.parallel import Display, HostDone, HostOutcomes, on_each
from mapreduce.cluster.inventory.inventory import Host, Inventory
from mapreduce.cluster.ssh import command_line
from mapreduce.cluster.ssh.command_line import Beginning
from mapreduce.cluster.ssh.host_error import HostError
from mapreduce.cluster.ssh.host_keys import contradiction, fingerprints, pin
from mapreduce.cluster.ssh.known_hosts import HostKey, Known
from mapreduce.cluster.ssh.logins import nothing_to_offer
from mapreduce.cluster.ssh.no_answer import no_answer
from mapreduce.cluster.ssh.route import (
    Hop,
    close,
    connection_to,
    guard,
    hops,
    key_of,
    keys_known,
    place_of,
    preferring,
    refuse_revoked,
)
from mapreduce.cluster.ssh.ssh import Remote
from mapreduce.cluster.ssh.ssh_config import way_to
from mapreduce.cluster.ssh.unreached import reason
from mapreduce.errors import UsageError

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
    address: str
    key: HostKey
    trust: Trust
    before: str | None = None

    @property
    def fingerprint(self) -> str:
        """As OpenSSH prints it."""
        return self.key.fingerprint

    @property
    def names(self) -> tuple[str, ...]:
        """What a list of fingerprints may call it."""
        return tuple(dict.fromkeys((self.host, self.place, self.address)))


def look(inventory: Inventory, hosts: Sequence[Host], board: Display) -> HostOutcomes[Shown]:
    """Fetch the host keys and compare them with those pinned; log in nowhere."""

    def fetch(host: Host, tell: Callable[[str], None]) -> HostDone[Shown]:
        tell("fetching its key")
        connection = connection_to(host)
        place, known = place_of(connection.way), keys_known(connection.way, inventory)
        key = host_key(connection, inventory, host, known)
        if key in known.keys:
            shown = Shown(host.name, place, connection.host, key, Trust.PINNED)
        elif not known.keys and not known.struck:
            shown = Shown(host.name, place, connection.host, key, Trust.NEW)
        else:
            before = ", ".join(k.fingerprint for k in known.keys or known.struck)
            shown = Shown(host.name, place, connection.host, key, Trust.CHANGED, before)
        was = f", pinned was {shown.before}" if shown.before else ""
        state = f"{shown.trust.value}: {shown.fingerprint}{was}"
        return HostDone(state, shown, doubtful=shown.trust is Trust.CHANGED)

    return on_each(hosts, fetch, board, timeout_s=LOGIN_S)


def host_key(connection: Hop, inventory: Inventory, host: Host, known: Known) -> HostKey:
    """Give the key a host shows in the key exchange, through its jump hosts if it has any.

    Raises HostError where it shows none, or one that is revoked.
    """
    transport = None
    try:
        if len(hops(connection)) > 1:
            guard(connection.gateway, inventory, host.name, jump=True)
        line = connection.open_gateway() if connection.gateway else connection.line()
        transport = preferring(known.kinds)(line)
        transport.banner_timeout = connection.connect_kwargs["banner_timeout"]
        transport.start_client(timeout=connection.connect_timeout)
        key = key_of(transport.get_remote_server_key())
        refuse_revoked(place_of(connection.way), key, known)
    except Exception as error:  # noqa: BLE001 - raised again, as what it means
        raise reason(error, connection, host) from None
    else:
        return key
    finally:
        if transport is not None:
            transport.close()
        close(connection)


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

    With `yes`, keys seen for the first time are trusted without asking, never a changed one. With
    `replace`, changed keys may be taken too: after asking, or where `trusted`, a file of
    fingerprints, lists them. What that file lists is pinned without asking, and nothing else is.
    """
    listed = None if trusted is None else fingerprints(trusted)
    refused = _quarrels(shown.values())
    wanted: list[Shown] = []
    for s in shown.values():
        why = _against(s, listed, trusted, replace=replace)
        if why:
            refused[s.host] = why
        elif s.trust is not Trust.PINNED:
            wanted.append(s)
    wanted = [s for s in wanted if s.host not in refused]
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


def _against(
    s: Shown, listed: Mapping[str, set[str]] | None, trusted: Path | None, *, replace: bool
) -> str | None:
    """Say what speaks against a key before anybody is asked."""
    named = [name for name in s.names if name.lower() in (listed or {})]
    other = contradiction(s.key, named, listed) if listed is not None and named else None
    if other:
        pin_too = f"{s.fingerprint} is pinned and shown" if s.trust is Trust.PINNED else None
        found = pin_too or f"it shows {s.fingerprint}"
        was = f", {s.before} is pinned" if s.before else ""
        return (
            f"{found}{was}, but {trusted} lists {other} for {' and '.join(named)}: check on the"
            " host itself (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), then correct"
            " the one that is wrong, the list or the pinned key (`enrol --only HOST --replace`)"
        )
    if s.trust is Trust.CHANGED and not replace:
        return (
            f"its host key changed: pinned {s.before}, found {s.fingerprint}. If the system was"
            f" reinstalled: `mapreduce cluster enrol --only {s.host} --replace`"
        )
    if listed is not None and not named and s.trust is not Trust.PINNED:
        return f"{s.fingerprint} is not listed for it in {trusted}"
    return None


def _quarrels(shown: Iterable[Shown]) -> dict[str, str]:
    """Find hosts that are one place by name and show different keys: one would undo the other."""
    first: dict[str, Shown] = {}
    refused: dict[str, str] = {}
    for s in shown:
        one = first.setdefault(s.place, s)
        if one.key != s.key:
            refused[s.host] = refused[one.host] = (
                f"{one.host} and {s.host} are both known as {s.place} and show different keys,"
                f" {one.fingerprint} and {s.fingerprint}: give each a HostKeyAlias in ~/.ssh/config"
            )
    return refused


def log_in(
    inventory: Inventory,
    hosts: Sequence[Host],
    board: Display,
    passwords: Mapping[str, str] | None = None,
) -> HostOutcomes[None]:
    """Log in by key; where a password is given and the key does not work, install the key."""

    def enter(host: Host, tell: Callable[[str], None]) -> HostDone[None]:
        tell("logs in")
        password = (passwords or {}).get(host.name)
        try:
            with Remote(host, inventory):
                return HostDone("enrolled; the key works", None)
        except HostError:
            if password is None:
                raise
        tell("installing the key")
        public = public_key(host)
        with Remote(host, inventory, password=password) as remote:
            begin, key = Beginning(), public.encode() + b"\n"
            answer = remote.call(command_line.install_key(begin), key, beginning=begin)
        if answer.status or not begin.begun:
            said = no_answer(begin, answer.out, answer.err, answer.status, "sh")
            raise HostError(f"the key could not be installed: {said}")
        tell("logs in")
        with Remote(host, inventory):
            return HostDone("enrolled; the key was installed and works", None)

    return on_each(hosts, enter, board, timeout_s=LOGIN_S)


def public_key(host: Host) -> str:
    """Read the public half of the identity that a host is to know: its own, or the first there is.

    Raises UsageError where there is none, or no key could be offered afterwards.
    """
    way = way_to(host.address, host.user, host.ssh_port)
    identities = [host.identity] if host.identity is not None else _likely(way.identities)
    paths = [i.with_name(i.name + ".pub") for i in identities]
    path = next((p for p in paths if p.exists()), paths[0])
    if not path.exists():
        raise UsageError(f"{path} is not there: ssh-keygen -t ed25519 -f {identities[0]}")
    lacks = nothing_to_offer(way, host.identity)
    if lacks:
        raise UsageError(f"no key could log in to {host.name} afterwards: {lacks}")
    lines = [s for s in path.read_text().splitlines() if s.strip()]
    if len(lines) != 1 or not lines[0].startswith(("ssh-", "ecdsa-", "sk-")):
        raise UsageError(f"{path}: expected one public key, found something else")
    return lines[0]


def _likely(identities: Sequence[Path]) -> list[Path]:
    """Put the usual kinds first where nobody chose; what was chosen keeps its order."""
    usual = [Path.home() / ".ssh" / name for name in USUAL_KEYS]
    kept = [i for i in identities if i not in usual and not i.name.endswith("_sk")]
    return [i for i in usual if i in identities] + kept or usual


def ask_passwords(hosts: Sequence[Host]) -> dict[str, str]:
    """Ask for each host's password once; an empty answer takes the one before."""
    given: dict[str, str] = {}
    last = ""
    for host in hosts:
        hint = " (empty: same as before)" if last else ""
        user = host.user or getpass.getuser()
        last = getpass.getpass(f"Password of {user} on {host.name}{hint}: ") or last
        given[host.name] = last
    return given
