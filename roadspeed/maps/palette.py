"""The one palette of an animation: what every pixel of every frame is painted in.

It holds the ground, the grey of little data and the steps of the ramp, each mixed with the ground
by quarters for smooth edges, and shades from ground to ink for text. A colour is the same in every
frame, so nothing flickers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from roadspeed.maps.id_buffer import COVERS

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.maps.colour import Ground
    from roadspeed.maps.strokes import Floats, Ints

    Bytes = npt.NDArray[np.uint8]

STEPS: Final = 45
INKS: Final = 40
LITTLE: Final = 1  # index of the grey; its quarters follow, as those of each step do
RAMP: Final = LITTLE + COVERS
TEXT: Final = RAMP + STEPS * COVERS
LENGTH: Final = TEXT + INKS  # below 256: writers of GIF use a spare one for "as before"


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours, uint8[LENGTH, 3]."""

    colours: Bytes

    def indices(self, pixels: Bytes) -> Bytes:
        """Return the nearest colour of each pixel: uint8[h, w] of uint8[h, w, 3] or 4 (opaque)."""
        red, green, blue = (pixels[:, :, channel].astype(np.uint32) for channel in range(3))
        packed = red << 16 | green << 8 | blue
        unique, inverse = np.unique(packed, return_inverse=True)
        rgb = np.column_stack([(unique >> shift) & 255 for shift in (16, 8, 0)]).astype(np.int32)
        nearest = np.empty(len(rgb), np.uint8)
        mine = self.colours.astype(np.int32)
        for start in range(0, len(rgb), 4096):
            apart = ((rgb[start : start + 4096, None] - mine[None]) ** 2).sum(axis=2)
            nearest[start : start + 4096] = apart.argmin(axis=1)
        return nearest[inverse].reshape(pixels.shape[:2])


def palette_of(ground: Ground, ramp: Floats) -> Palette:
    """Return the palette for a ground and a ramp, float64[`STEPS`, 3] in 0..1."""
    paper, ink, little = (_rgb(text) for text in (ground.paper, ground.ink, ground.little))
    shares = np.arange(1, COVERS + 1)[:, None] / COVERS
    full = [little, *(ramp * 255.0)]
    mixed = [paper + shares * (colour - paper) for colour in full]
    inks = paper + np.linspace(1 / INKS, 1, INKS)[:, None] * (ink - paper)
    return Palette(np.rint(np.concatenate([paper[None], *mixed, inks])).astype(np.uint8))


def steps_index(shade: Floats, little: npt.NDArray[np.bool_]) -> Ints:
    """Return where the quarters of each link's colour begin: int64[n + 1]; -1 for little data.

    The first entry is that of no link.
    """
    step = np.minimum((np.nan_to_num(shade) * STEPS).astype(np.int64), STEPS - 1)
    found = np.where(little, -1, RAMP + step * COVERS)
    return np.concatenate([[-1], found])


def _rgb(text: str | None) -> Floats:
    if text is None:
        raise ValueError("a palette needs a ground that is not transparent")
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float64)
