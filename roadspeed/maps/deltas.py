"""What changes from frame to frame: the box around it, and "as before" for the rest within it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from roadspeed.maps.palette import Bytes

AS_BEFORE: Final = 255  # an index that no palette uses


@dataclass(frozen=True, slots=True)
class Delta:
    """Pixels of a box, uint8[h, w], and where its left upper corner is on the page."""

    left: int
    top: int
    pixels: Bytes


def deltas_of(frames: Iterable[Bytes]) -> Iterator[Delta]:
    """Give the first frame whole, and of each other one what it changes; one pixel at least."""
    before: Bytes | None = None
    for frame in frames:
        if before is None:
            yield Delta(0, 0, frame)
        else:
            changed = frame != before
            rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 1)
            left, right = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 1)
            box = np.s_[top:bottom, left:right]
            pixels = np.where(changed[box], frame[box], AS_BEFORE).astype(np.uint8)
            yield Delta(left, top, pixels)
        before = frame
