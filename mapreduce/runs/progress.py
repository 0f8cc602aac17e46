"""How far a run is, and how far it was when it is gone on with.

A listing that was complete is kept, so that what is committed stays true of it; whoever goes on
with a run is told so, since objects may have come or gone since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress(msgspec.Struct, frozen=True):
    """How far a phase is: `done` of `total` (None while unknown) in `unit`; `note` for people."""

    phase: str
    done: int
    total: int | None
    unit: str
    note: str = ""


OnProgress: TypeAlias = "Callable[[Progress], None]"


class Resumed(msgspec.Struct, frozen=True):
    """How far a run was before: splits done, and planned where the listing was complete.

    `listed_at` is when that listing was complete, in UTC as ISO 8601 has it.
    """

    done: int
    splits: int | None = None
    listed_at: str = ""

    def __str__(self) -> str:
        if self.splits is None:
            return (
                f"resuming a run whose listing was not complete: {self.done:,} splits are"
                " done; the source is listed again, and changed objects are read again"
            )
        when = self.listed_at.replace("T", " ").removesuffix("Z")
        return (
            f"resuming the run of {when} UTC: {self.done:,} of {self.splits:,} splits are done."
            " It uses the listing made then: objects added or removed since are not noticed"
            " (--anew lists and reads everything again)"
        )

    def noted(self, read_bytes: int) -> dict[str, Any]:
        """Give it for the receipt, with the bytes that were mapped since."""
        return {
            "splits_done": self.done,
            "splits": self.splits,
            "listed_at": self.listed_at or None,
            "bytes_since": read_bytes,
        }


OnBegun: TypeAlias = "Callable[[Resumed | None], None]"
