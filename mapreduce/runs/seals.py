"""What a journal says of a run, and the seals by which damage to it is found.

A seal is a hash of all that a row says; a commit's covers the seals of its splits, and that of the
head all commits. It finds damage, not a forger. Nothing here reads a file.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING: Final = bytes(16)  # what seals are joined to


class Listing(msgspec.Struct, frozen=True):
    """What listing the source gave, once it is complete."""

    objects: int = 0
    object_bytes: int = 0
    ignored: int = 0
    splits: int = 0
    seconds: float = 0.0
    at: str = ""  # when it was complete: UTC, as ISO 8601 has it


class Head(msgspec.Struct, frozen=True):
    """The row of `run`.

    `id` names the run as its receipt will; `commits` counts them and `total` joins their seals;
    `chain` joins those of all splits, once the listing is complete.
    """

    id: str
    identity: str
    listing: Listing | None = None
    commits: int = 0
    total: bytes = NOTHING
    chain: bytes = NOTHING

    def with_commit(self, seal: bytes, *, taken: int = 1) -> Head:
        """Give it with one commit more, or with `taken` -1 without that commit."""
        return msgspec.structs.replace(
            self, commits=self.commits + taken, total=joined(self.total, seal)
        )


class Row(msgspec.Struct, frozen=True):
    """A commit, without its partial."""

    id: int
    splits: bytes
    ledger: bytes
    cost: bytes
    content: bytes  # hash of the partial

    def seal(self, seals: Sequence[bytes]) -> bytes:
        """Give its seal, over those of its splits."""
        parts = (self.splits, *seals, self.ledger, self.cost, self.content)
        return sealed("commit", number_bytes(self.id), *parts)


def sealed(kind: str, *parts: bytes | bytearray) -> bytes:
    """Hash parts, each with its length, so that none can pass for a piece of its neighbour."""
    made = hashlib.blake2b(kind.encode(), digest_size=16)
    for part in parts:
        made.update(number_bytes(len(part)))
        made.update(part)
    return made.digest()


def split_seal(number: int, raw: bytes) -> bytes:
    """Give the seal of a split."""
    return sealed("split", number_bytes(number), raw)


def chained(chain: bytes, seal: bytes) -> bytes:
    """Go on with the chain of all splits by the next one's seal."""
    return sealed("chain", chain, seal)


def joined(total: bytes, seal: bytes) -> bytes:
    """Put a seal to others, or take it away: in any order."""
    return bytes(a ^ b for a, b in zip(total, seal, strict=True))


def number_bytes(number: int) -> bytes:
    """Give an int64 as a part of a seal."""
    return number.to_bytes(8, "big", signed=True)
