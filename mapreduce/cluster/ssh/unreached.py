"""What went wrong while connecting, by hop, turned into what it means and what to do about it."""

from __future__ import annotations

import socket
from typing import Final

from paramiko.ssh_exception import (  # type: ignore[import-untyped]  # it ships no types
    AuthenticationException,
    ChannelException,
    SSHException,
)

from mapreduce.cluster.inventory.inventory import Host
from mapreduce.cluster.ssh import route
from mapreduce.cluster.ssh.host_error import HostError
from mapreduce.cluster.ssh.host_keys import pin_name
from mapreduce.cluster.ssh.logins import LoginError
from mapreduce.cluster.ssh.route import Hop, KeyRefused, Unopened
from mapreduce.errors import MapReduceError

REFUSED: Final = (
    "refused the connection: is SSH running? On the host: sudo systemctl enable --now ssh"
)


def reason(error: Exception, connection: Hop, host: Host) -> Exception:
    """Say what an error of connecting means, and what to do; what is unknown stays as it is."""
    hop = error.hop if isinstance(error, Unopened) else connection
    fault = error.fault if isinstance(error, Unopened) else error
    if isinstance(fault, MapReduceError):
        return fault
    place = pin_name(hop.host, hop.port)
    if hop is not connection:
        place = f"the jump host {place}"
    if isinstance(fault, KeyRefused):
        return HostError(_key(fault, place, host, jump=hop is not connection))
    if isinstance(fault, LoginError | AuthenticationException):
        return HostError(f"{place} {fault}")
    said = _line(fault, hop, place)
    return HostError(said) if said else fault


def _key(fault: KeyRefused, place: str, host: Host, *, jump: bool) -> str:
    if fault.revoked:
        return (
            f"the host key it shows, {fault.shown}, is revoked by {fault.revoked}: nothing was"
            " sent. Ask who revoked it; give the host a new key, then enrol it"
        )
    if jump:
        return (
            f"the host key of {place} changed: known {fault.known}, found {fault.shown}; nothing"
            " was sent. Check it by `ssh` first"
        )
    return (
        f"its host key changed: pinned {fault.known}, found {fault.shown}; nothing was sent. If"
        f" the system was reinstalled: `mapreduce cluster enrol --only {host.name} --replace`"
    )


def _line(fault: Exception, hop: Hop, place: str) -> str:
    """Tell of a line that could not be made or broke; nothing where it is something else."""
    proxy = hop.way.proxy_command
    ended = hop.proxy.words() if hop.proxy else ""
    through = f" by ProxyCommand `{proxy}`{f' ({ended})' if ended else ''}" if proxy else ""
    before = hop.gateway.host if hop.gateway else "its jump host"
    waited = f"{place} did not answer within {hop.connect_timeout} s{through}"
    reasons: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
        # the second is a label that is empty or too long
        (
            (socket.gaierror, UnicodeError),
            f"{hop.host} is not a known host name: check address in hosts.toml",
        ),
        (TimeoutError, f"{waited}: is it switched on, and connected?"),
        (ConnectionRefusedError, f"{place} {REFUSED}"),
        (
            ChannelException,
            f"{place} cannot be reached from {before} ({fault}): check that it runs, and its port",
        ),
        ((SSHException, EOFError, OSError), f"{place}: {_said(fault)}{through}"),
    )
    return next((said for kinds, said in reasons if isinstance(fault, kinds)), "")


def _said(fault: Exception) -> str:
    said = str(fault) or type(fault).__name__
    if isinstance(fault, EOFError):
        return "the connection was closed"
    if "No existing session" in said or "banner" in said:
        return f"no SSH server answered within {route.BANNER_S} s"
    return said
