"""The connection to a host and the hosts it goes through, each held to the keys known for it.

The way is OpenSSH's (`ssh_config`), the protocol paramiko's, by way of Fabric. Before anything is
opened every hop is told which keys it may meet: those pinned, and for a jump host also those of
the user's own known_hosts. What a server shows in the key exchange is compared then and there;
one that shows another, or a revoked one, hears nothing more.
"""

from __future__ import annotations

import socket
from typing import Any, Final

import paramiko  # type: ignore[import-untyped]  # it ships no types
from fabric import Config, Connection

from mapreduce.cluster.inventory.inventory import Host, Inventory
from mapreduce.cluster.ssh import known_hosts
from mapreduce.cluster.ssh.host_error import HostError
from mapreduce.cluster.ssh.host_keys import pin_name, pinned
from mapreduce.cluster.ssh.known_hosts import HostKey, Known
from mapreduce.cluster.ssh.logins import ByKey, ByPassword
from mapreduce.cluster.ssh.proxy import Proxy
from mapreduce.cluster.ssh.ssh_config import way_to
from mapreduce.cluster.ssh.ssh_options import SshOptions, parts_of_jump
from mapreduce.errors import UsageError

CONNECT_S: Final = 10
BANNER_S: Final = 10
AUTH_S: Final = 20
CHANNEL_S: Final = 15
MOST_HOPS: Final = 8
SAME_KIND: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


class KeyRefused(paramiko.SSHException):  # type: ignore[misc]  # it ships no types
    """A server showed a key that is not known for it, or a revoked one."""

    def __init__(self, place: str, shown: HostKey, known: Known) -> None:
        line = known.revocation(shown)
        self.revoked = line.place if line else None
        self.shown = shown.fingerprint
        self.known = ", ".join(key.fingerprint for key in known.keys)
        super().__init__(
            f"{place} showed the key {self.shown}, the known key is {self.known or 'none'}"
        )


class Unopened(Exception):  # noqa: N818 - what it wraps is the error
    """A hop could not be opened; why is its cause."""

    def __init__(self, hop: Hop, fault: Exception) -> None:
        super().__init__(str(fault))
        self.hop, self.fault = hop, fault


class KnownKeys(paramiko.RejectPolicy):  # type: ignore[misc]  # it ships no types
    """Accept the keys known for a place, and no other."""

    def __init__(self, place: str, known: Known) -> None:
        self.place, self.known = place, known

    def missing_host_key(self, _client: Any, _name: str, key: Any) -> None:
        """Compare what a server shows; raise where it is not known."""
        shown = key_of(key)
        refuse_revoked(self.place, shown, self.known)
        if shown not in self.known.keys:
            raise KeyRefused(self.place, shown, self.known)


class Hop(Connection):  # type: ignore[misc]  # it ships no types
    """A connection of Fabric's that goes the way given and no other."""

    way: SshOptions = SshOptions("", "", "")
    proxy: Proxy | None = None

    def __init__(self, way: SshOptions, gateway: Hop | None, known: dict[str, Any]) -> None:
        super().__init__(
            way.host,
            user=way.user,
            port=way.port,
            config=Config(ssh_config=paramiko.SSHConfig(), lazy=True),  # `ssh_options` says all
            gateway=gateway,
            connect_timeout=int(way.connect_s or CONNECT_S),
            connect_kwargs=known,
        )
        self.host, self.way = way.host, way

    def open(self) -> Any:
        """Open the connection and those it goes through; `Unopened` names the hop at fault."""
        try:
            if not self.gateway:
                self.connect_kwargs["sock"] = self.line()
            return super().open()
        except Unopened:
            raise
        except Exception as error:
            raise Unopened(self, error) from error

    def line(self) -> Any:
        """Dial, or start the ProxyCommand; this is the hop that nothing leads to but the net."""
        way = self.way
        if way.proxy_command is not None:
            self.proxy = Proxy(way.proxy_command)
            self.proxy.line.settimeout(float(self.connect_timeout))
            return self.proxy.line
        return _dialled(way, float(self.connect_timeout))


def connection_to(host: Host, *, password: str | None = None) -> Hop:
    """Make a connection, not yet opened, as hosts.toml and OpenSSH's configuration say.

    Raises UsageError or HostError where the configuration can't be followed.
    """
    way = way_to(host.address, host.user, host.ssh_port)
    remedy = f"`mapreduce cluster enrol --only {host.name} --install-key`"
    login = ByKey(way, host.identity, remedy)
    strategy = login if password is None else ByPassword(way, password)
    return Hop(way, _gateway(way), {**_patience(), "auth_strategy": strategy})


def hops(connection: Connection) -> list[Hop]:
    """Give a connection and those it goes through, the outermost last."""
    chain = [connection]
    while isinstance(chain[-1].gateway, Connection):
        chain.append(chain[-1].gateway)
    return chain


def close(connection: Connection) -> None:
    """Close a connection and what it went through."""
    for hop in hops(connection):
        hop.client.close()
        if hop.proxy is not None:
            hop.proxy.end()


def guard(connection: Hop, inventory: Inventory, name: str, *, jump: bool = False) -> None:
    """Make a connection, and every hop of it, accept the keys known for it alone.

    Hosts one jumps through may also be known to the user's own known_hosts; with `jump` the
    connection itself is one of those. Raises HostError where no key is known: nothing is sent to
    such a host at all.
    """
    for i, hop in enumerate(hops(connection), int(jump)):
        known = keys_known(hop.way, inventory, jump=bool(i))
        if not known.keys:
            raise HostError(_unknown(hop.way, known, name, jump=bool(i)))
        hop.client.set_missing_host_key_policy(KnownKeys(place_of(hop.way), known))
        hop.connect_kwargs["transport_factory"] = preferring(known.kinds)


def place_of(way: SshOptions) -> str:
    """Give the name under which a place's keys are known."""
    return way.key_name or pin_name(way.host, way.port)


def keys_known(way: SshOptions, inventory: Inventory, *, jump: bool = False) -> Known:
    """Give the keys a place may show; what any file revokes is in none of them.

    Raises UsageError where a file is damaged or can't be read.
    """
    place = place_of(way)
    ours = pinned(inventory.known_hosts).of(place)
    try:
        theirs = known_hosts.read(way.known_hosts)
        banned = known_hosts.banned(way.revoked)
    except (OSError, ValueError) as error:
        raise UsageError(f"known host keys of {way.name}: {error}") from None
    own = theirs.of(place)
    if jump and not own.keys and not ours.keys and way.key_name is None:
        own = own.joined(theirs.of(way.host))  # as ssh does: any port of that host
    if jump and not ours.keys:
        ours = own
    return ours.without(own.revoked + banned)


def refuse_revoked(place: str, shown: HostKey, known: Known) -> None:
    """Raise `KeyRefused` for a key that a file revokes."""
    if known.revocation(shown):
        raise KeyRefused(place, shown, known)


def preferring(kinds: tuple[str, ...]) -> Any:
    """Make transports that ask for these kinds of host key first: a host has several."""

    def made(*args: Any, **kwargs: Any) -> Any:
        transport = paramiko.Transport(*args, **kwargs)
        options = transport.get_security_options()
        wanted = [k for kind in kinds for k in SAME_KIND.get(kind, (kind,))]
        first = [k for k in wanted if k in options.key_types]
        options.key_types = first + [k for k in options.key_types if k not in first]
        return transport

    return made


def key_of(shown: Any) -> HostKey:
    """Give a key of paramiko's as one to compare."""
    return HostKey(shown.get_name(), shown.asbytes())


def _gateway(way: SshOptions, seen: tuple[str, ...] = ()) -> Hop | None:
    """Make the hops before a place: its own jumps, and those that the first of them has."""
    gateway: Hop | None = None
    for i, text in enumerate(way.jumps):
        here = (*seen, *way.jumps[: i + 1])
        if len(here) > MOST_HOPS:
            raise UsageError(
                f"ProxyJump leads to {way.name} through {' > '.join(here)}: a cycle, or more than"
                f" {MOST_HOPS} hops"
            )
        hop = way_to(*parts_of_jump(text))
        if i == 0:
            gateway = _gateway(hop, here)
        remedy = (
            f"install your key there (`ssh-copy-id {hop.name}`), and test it by `ssh {hop.name}`"
        )
        strategy = ByKey(hop, None, remedy)
        gateway = Hop(hop, gateway, {**_patience(), "auth_strategy": strategy})
    return gateway


def _patience() -> dict[str, Any]:
    return {"banner_timeout": BANNER_S, "auth_timeout": AUTH_S, "channel_timeout": CHANNEL_S}


def _unknown(way: SshOptions, known: Known, name: str, *, jump: bool) -> str:
    place = place_of(way)
    where = f"the jump host {place}" if jump else place
    if known.revoked:
        line = known.revoked[0]
        return f"the host key of {where} is revoked by {line.place}: nothing is sent to it"
    if known.authorities:
        line = known.authorities[0]
        said = f"{line.place} identifies {where} only by @cert-authority, which is not supported"
    else:
        said = f"no host key is pinned for {where}"
    if jump:
        return f"{said}: `ssh {way.name}` once, which records its key"
    return f"{said}: `mapreduce cluster enrol --only {name}`"


def _dialled(way: SshOptions, timeout_s: float) -> socket.socket:
    """Dial a place, by its addresses in turn; the last fault is told."""
    places = socket.getaddrinfo(way.host, way.port, way.family, socket.SOCK_STREAM)
    fault: OSError = OSError("no address")
    for family, kind, protocol, _, place in places:
        line = socket.socket(family, kind, protocol)
        try:
            line.settimeout(timeout_s)
            if way.bind is not None:
                line.bind(socket.getaddrinfo(way.bind, 0, family, kind)[0][4])
            line.connect(place)
        except OSError as error:
            line.close()
            fault = error
        else:
            return line
    raise fault
