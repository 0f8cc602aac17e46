"""Where input lives: one small protocol, three stores.

A store lists entries and tells where a worker that holds no credentials may read one
(`Location`). Reading itself is `reader.Reader`, which knows nothing of stores. Nothing here
decodes what it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Entry(msgspec.Struct, frozen=True):
    """One listed object: its key, its size in bytes, and the etag that names this version of it."""

    key: str
    size_bytes: int
    etag: str


class Location(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one version of an object can be read without credentials.

    Exactly one is set: `url` (presigned, a secret), `path` (a file), or `body` (the bytes
    themselves, for stores in memory). `others` are URLs of the same object at other nodes of its
    store, for when `url` gives no answer. `elsewhere` says that a path was listed by another
    machine than may read it, `check` that what comes over a plain connection is held against what
    the store knows of it; `part` is a URL that tells (to HEAD) the size of its first part.
    `member`: it is where the archive is that the object is a member of (`members`).
    """

    url: str | None = None
    path: str | None = None
    body: bytes | None = None
    others: tuple[str, ...] = ()
    elsewhere: bool = False
    check: bool = True
    part: str | None = None
    member: bool = False

    def afar(self) -> Location:
        """Give the same for another machine."""
        return self if self.path is None else msgspec.structs.replace(self, elsewhere=True)

    def __repr__(self) -> str:
        """Name the kind alone: a traceback with locals must not print a signed URL."""
        kind = "url" if self.url is not None else "path" if self.path is not None else "body"
        return f"Location({kind}=…)"


class Awaited(msgspec.Struct, frozen=True, tag=True):
    """A node of a store (`host:port`) that is waited for, silent for so long; "" for none."""

    node: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"no data from {self.node} for {self.seconds:.0f} s" if self.node else ""


class Store(Protocol):
    """Where input lives."""

    @property
    def name(self) -> str:
        """What a receipt calls this store: no secret in it."""

    def entries(self) -> Iterator[Entry]:
        """Every object once, streamed in the store's own listing order; directory markers too."""

    def locate(self, entry: Entry) -> Location:
        """Where a worker reads this version of the object, for the next hour at least."""


@runtime_checkable
class Prefixed(Protocol):
    """A store whose keys all begin with what its user typed; None: each was typed as a whole."""

    prefix: str | None


@runtime_checkable
class Based(Protocol):
    """A store whose keys with this before them name an object whatever part of it was listed."""

    @property
    def base(self) -> str:
        """It: `/data/trips/` or `s3://bucket/`."""


@runtime_checkable
class Networked(Protocol):
    """A store that is asked over a network."""

    @property
    def awaited(self) -> Awaited | None:
        """The node whose answer the listing waits for, where it has been silent for long."""


@runtime_checkable
class Spread(Protocol):
    """A store that can be reached at several nodes, each with URLs of its own."""

    endpoints: tuple[str, ...]

    def locate_at(self, entry: Entry, endpoints: Sequence[str]) -> Location:
        """Where a worker reads it: at the first of these, or where that is silent, at another."""
