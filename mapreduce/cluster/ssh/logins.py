"""Logging in by key: which keys are offered, in which order, and what a refusal means.

A host that names its own key (`identity` in hosts.toml) is offered that one and no other. Else:
certificates, keys of the configuration that the agent holds or that can be read, then whatever
else the agent holds. A server counts each key it doesn't know and hangs up after a few, so
likely ones go first. Nobody is asked for a passphrase.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from paramiko import AuthStrategy, PublicBlob  # type: ignore[import-untyped]  # it ships no types
from paramiko.agent import AgentSSH  # type: ignore[import-untyped]  # as above
from paramiko.ssh_exception import (  # type: ignore[import-untyped]  # as above
    AuthenticationException,
    BadAuthenticationType,
    SSHException,
)

from mapreduce.cluster.ssh.key_files import KeyFile, certified, identity
from mapreduce.cluster.ssh.ssh_options import SshOptions

AGENT_S: Final = 10.0
SHOWN: Final = 4


class LoginError(AuthenticationException):  # type: ignore[misc]  # it ships no types
    """Nothing that was offered was taken; says why and what to do."""


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A key, and where it is from."""

    key: Any
    shown: str


class SshAgent(AgentSSH):  # type: ignore[misc]  # it ships no types
    """The SSH agent behind a socket; without keys where there is none."""

    def __init__(self, place: str | None) -> None:
        super().__init__()
        self.trouble = ""
        if not place:
            return
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(AGENT_S)
        try:
            line.connect(place)
            self._connect(line)
        except (OSError, SSHException, ValueError, IndexError) as error:
            line.close()
            self._conn = None
            self.trouble = f"the SSH agent at {place} does not answer ({error})"

    def close(self) -> None:
        """End the conversation."""
        self._close()


class ByPassword(AuthStrategy):  # type: ignore[misc]  # it ships no types
    """One password, for `enrol --install-key`."""

    def __init__(self, way: SshOptions, password: str) -> None:
        super().__init__(ssh_config=None)
        self.way, self.password = way, password

    def authenticate(self, transport: Any) -> None:
        """Log in, or raise."""
        try:
            transport.auth_password(self.way.user, self.password)
        except BadAuthenticationType as error:
            raise LoginError(
                f"does not accept passwords ({', '.join(error.allowed_types)}): install the key"
                " by other means"
            ) from None
        except AuthenticationException:
            raise LoginError(
                f"refused this password of {self.way.user}: type it again, or install the key by"
                " other means (its sshd may not accept passwords, or not for root)"
            ) from None


class ByKey(AuthStrategy):  # type: ignore[misc]  # it ships no types
    """The keys of a way, or `only` one; `remedy` is what to do where no key is taken."""

    def __init__(self, way: SshOptions, only: Path | None, remedy: str) -> None:
        super().__init__(ssh_config=None)
        self.way, self.only, self.remedy = way, only, remedy

    def authenticate(self, transport: Any) -> None:
        """Offer keys until one is taken; raise where none is."""
        agent = SshAgent(self.way.agent)
        with contextlib.closing(agent):
            identities = self.identities()
            offers = list(self.offers(identities, agent))
            troubles = _troubles(identities, offers, agent, named=self.only is not None)
            refused: list[str] = []
            for offer in offers:
                said = self._try(transport, offer, len(offers), refused)
                if said is None:
                    return
                refused.append(said)
        raise LoginError(self._words(refused, troubles))

    def identities(self) -> list[KeyFile]:
        """Read the files that may be used."""
        paths = self.way.identities if self.only is None else (self.only,)
        return [identity(path) for path in dict.fromkeys(paths)]

    def offers(self, identities: Sequence[KeyFile], agent: SshAgent) -> Iterator[OfferedKey]:
        """Give the keys to offer, likely ones first."""
        held = {key.blob: key for key in agent.get_keys()}
        readable = [one for one in identities if one.key is not None]
        beside = [one.path.with_name(f"{one.path.name}-cert.pub") for one in readable]
        for path in dict.fromkeys([*self.way.certificates, *beside]):
            yield from _with_certificate(path, readable)
        for one in identities:
            if one.public in held:
                yield OfferedKey(held.pop(one.public), f"{one.path} (of the agent)")
            elif one.key is not None:
                yield OfferedKey(one.key, str(one.path))
        nameless = any(one.public is None and one.there for one in identities)
        if (self.only is None and not self.way.identities_only) or nameless:
            for key in held.values():
                yield OfferedKey(key, f"{key.comment or key.get_name()} (of the agent)")

    def _try(
        self, transport: Any, offer: OfferedKey, of: int, refused: Sequence[str]
    ) -> str | None:
        """Offer a key; give None where it lets us in, else how it is called."""
        user = self.way.user
        try:
            more = transport.auth_publickey(user, offer.key)
        except BadAuthenticationType as error:
            kinds = ", ".join(error.allowed_types)
            raise LoginError(
                f"accepts no keys from {user}, but {kinds}: enable public keys on the host"
            ) from None
        except (AuthenticationException, SSHException, EOFError) as error:
            if not transport.is_active():
                raise LoginError(self._hung_up(len(refused) + 1, of)) from None
            ours = not isinstance(error, AuthenticationException)  # it never came to the server
            return f"{offer.shown}: {error}" if ours else offer.shown
        if more:
            raise LoginError(
                f"takes {offer.shown} and wants {' or '.join(more)} in addition: two-factor"
                " logins are not supported"
            )
        return None

    def _hung_up(self, tried: int, of: int) -> str:
        which = (
            "identity = … in hosts.toml, or IdentityFile and IdentitiesOnly yes in ~/.ssh/config"
        )
        if of == 1:
            return (
                f"closed the connection during the login of {self.way.user}: its log says why"
                " (there: sudo journalctl -u ssh)"
            )
        return (
            f"closed the connection after {tried} of {of} keys were offered (too many"
            " authentication failures;"
            f" its MaxAuthTries): select the key that it accepts, by {which}"
        )

    def _words(self, refused: Sequence[str], troubles: Sequence[str]) -> str:
        shown = ", ".join(refused[:SHOWN]) + (", …" if len(refused) > SHOWN else "")
        tried = f"refused the login of {self.way.user} by {shown}"
        if not refused:
            tried = f"was offered no key for {self.way.user}"
        if troubles:
            return f"{tried}; {'; '.join(troubles)}" + (
                "" if not refused else f". Else: {self.remedy}"
            )
        none = "" if refused else " there is none: type `ssh-keygen -t ed25519`, then"
        return f"{tried}:{none} {self.remedy}"


def nothing_to_offer(way: SshOptions, only: Path | None) -> str:
    """Say why no key at all could be offered; nothing where one could."""
    login = ByKey(way, only, "")
    with contextlib.closing(SshAgent(way.agent)) as agent:
        identities = login.identities()
        offers = list(login.offers(identities, agent))
        troubles = _troubles(identities, offers, agent, named=only is not None)
    return "" if offers else "; ".join(troubles) or "there is none"


def _with_certificate(path: Path, readable: Sequence[KeyFile]) -> Iterator[OfferedKey]:
    try:
        blob = PublicBlob.from_file(str(path))
    except (OSError, ValueError, IndexError):
        return
    for one in readable:
        if one.public and certified(one.public, blob.key_blob):
            key = identity(one.path).key  # one of its own, since the plain key is offered too
            key.load_certificate(str(path))
            yield OfferedKey(key, str(path))


def _troubles(
    identities: Sequence[KeyFile], offers: Sequence[OfferedKey], agent: SshAgent, *, named: bool
) -> list[str]:
    """Say why files were not offered; usual ones that are not there are no trouble."""
    offered = {offer.key.asbytes() for offer in offers}
    found = [agent.trouble] if agent.trouble else []
    return found + [
        one.trouble
        for one in identities
        if one.trouble and one.public not in offered and (one.there or named)
    ]
