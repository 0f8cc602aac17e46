"""The tables of hosts.toml: which keys there are, of which types, and what is taken without them.

What a value must be beyond its type, `inventory` checks. A key that is not here is refused.
"""

from __future__ import annotations

import msgspec


class ClusterTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[cluster]`: what holds for all hosts."""

    name: str = "cluster"
    address: str | None = None
    listen_port: int = 0
    user: str | None = None
    ssh_port: int | None = None
    identity: str | None = None
    known_hosts: str = "known_hosts"
    root: str = ".mapreduce"
    python: str = "python3"


class StoreTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]`: S3-compatible storage that the hosts read, and folders that all of them see.

    Credentials are found elsewhere.
    """

    endpoints: tuple[str, ...] = ()
    region: str | None = None
    max_requests: int = 64
    shared: tuple[str, ...] = ()


class HostTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[hosts]]`: a host, or a range of them."""

    name: str
    address: str | None = None
    user: str | None = None
    ssh_port: int | None = None
    identity: str | None = None
    python: str | None = None
    slots: int | None = None
    endpoint: str | None = None
    tags: tuple[str, ...] = ()


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    cluster: ClusterTable
    hosts: tuple[HostTable, ...]
    store: StoreTable = StoreTable()
