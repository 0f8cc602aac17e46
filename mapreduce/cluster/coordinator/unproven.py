"""Where peers wait until they have proven who they are: few, and not for long.

A peer takes little while it waits. When too many wait, the one that has waited longest goes, from
the address of which most do: so that one stranger with many connections keeps nobody else out.
"""

from __future__ import annotations

from collections import Counter
from typing import Generic, Protocol, TypeVar

MOST = 512


class Peer(Protocol):
    """Somebody who waits."""

    @property
    def address(self) -> str:
        """Where it comes from."""


P = TypeVar("P", bound=Peer)


class Unproven(Generic[P]):
    """The peers that wait, in the order in which they came."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._peers: dict[P, None] = {}
        self._from: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._peers)

    @property
    def peers(self) -> tuple[P, ...]:
        """All of them."""
        return tuple(self._peers)

    def enter(self, peer: P) -> P | None:
        """Let a peer wait; give the one that has to go for it, if one has to."""
        gone = None
        if len(self._peers) >= self._most:
            ((address, _),) = self._from.most_common(1)
            gone = next(p for p in self._peers if p.address == address)
            self.leave(gone)
        self._peers[peer] = None
        self._from[peer.address] += 1
        return gone

    def leave(self, peer: P) -> None:
        """Forget a peer: it has come in, or has gone."""
        if peer in self._peers:
            del self._peers[peer]
            self._from[peer.address] -= 1
            if not self._from[peer.address]:
                del self._from[peer.address]
