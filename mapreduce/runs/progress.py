"""How far a run is, as it tells whoever asked to hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

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
