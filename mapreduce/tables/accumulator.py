"""Partials that wait to be merged, by size: few merges a row, and little memory.

A partial waits for others of like size, eight of which become one, so that each row is merged a few
times however many partials come. What waits beside the largest one stays within `room_bytes`, or a
quarter of the largest where that is more: above it, all become one. Merging itself takes the size
of its result once more. The order in which partials come never shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mapreduce.tables import partial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mapreduce.tables.partial import Partial
    from mapreduce.tables.table import Schema

TIER: Final = 8  # partials of one tier that are merged into one
TIER_BITS: Final = 3  # a tier's partials are up to 2**3 times as large as those of the one below
ROOM_BYTES: Final = 64 << 20
QUARTER: Final = 4


class Accumulator:
    """Partials of one job, merged as they come.

    Parameters
    ----------
    schemas
        The job's tables.
    check
        Called with every partial that was merged.
    room_bytes
        What may wait beside the largest.
    """

    def __init__(
        self,
        schemas: Sequence[Schema],
        check: Callable[[Partial], None] = lambda _: None,
        room_bytes: int = ROOM_BYTES,
    ) -> None:
        self._schemas = tuple(schemas)
        self._check = check
        self._room_bytes = room_bytes
        self._tiers: dict[int, list[Partial]] = {}
        self.held_bytes = 0

    def add(self, part: Partial) -> None:
        """Take one more.

        Raises
        ------
        JobError
            Where a sum passes int64, or `check` says so.
        """
        self._keep(part)
        tier = _tier_of(part)
        while len(self._tiers.get(tier, ())) >= TIER:
            tier = self._merge([tier])
        if self.held_bytes <= self._room_bytes:
            return
        largest = max(p.size_bytes for p in self._tiers[max(self._tiers)])
        if self.held_bytes - largest > max(self._room_bytes, largest // QUARTER):
            self._merge(list(self._tiers))

    def result(self) -> Partial:
        """Give all that was added as one partial, and hold it alone."""
        if self._tiers:
            self._merge(list(self._tiers))
            ((whole,),) = self._tiers.values()
            return whole
        return partial.empty(self._schemas)

    def _merge(self, tiers: Sequence[int]) -> int:
        """Make one partial of some tiers; give the tier it is in."""
        parts = [p for tier in tiers for p in self._tiers.pop(tier)]
        self.held_bytes -= sum(p.size_bytes for p in parts)
        whole = partial.merge(parts)
        del parts
        self._check(whole)
        self._keep(whole)
        return _tier_of(whole)

    def _keep(self, part: Partial) -> None:
        self._tiers.setdefault(_tier_of(part), []).append(part)
        self.held_bytes += part.size_bytes


def _tier_of(part: Partial) -> int:
    return part.size_bytes.bit_length() // TIER_BITS
