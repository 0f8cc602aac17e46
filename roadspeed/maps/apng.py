"""Animated PNG with one palette, written frame by frame.

Source: Portable Network Graphics (Third Edition), W3C 2025, with the chunks acTL, fcTL and fdAT.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.maps.deltas import AS_BEFORE, deltas_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from roadspeed.maps.palette import Bytes, Palette

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PALETTED: Final = 3
KEEP, OVER = 0, 1  # a frame stays for the next, which is drawn over it
LEVEL: Final = 6


def write_apng(
    path: Path, frames: Iterable[Bytes], palette: Palette, seconds: float, *, count: int
) -> None:
    """Write `count` frames, uint8[h, w] of positions in the palette; they repeat forever."""
    sequence = 0
    with path.open("wb") as file:

        def chunk(kind: bytes, data: bytes) -> None:
            crc = zlib.crc32(data, zlib.crc32(kind))
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc))

        for number, delta in enumerate(deltas_of(frames)):
            height, width = delta.pixels.shape
            if number == 0:
                file.write(SIGNATURE)
                chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, PALETTED, 0, 0, 0))
                chunk(b"acTL", struct.pack(">II", count, 0))
                chunk(b"PLTE", palette.colours.tobytes().ljust(3 * 256, b"\0"))
                chunk(b"tRNS", b"\xff" * AS_BEFORE + b"\0")
            place: tuple[Any, ...] = (sequence, width, height, delta.left, delta.top)
            chunk(b"fcTL", struct.pack(">IIIIIHHBB", *place, *_delay(seconds), KEEP, OVER))
            data = zlib.compress(np.insert(delta.pixels, 0, 0, axis=1).tobytes(), LEVEL)
            sequence += 1
            if number == 0:
                chunk(b"IDAT", data)
            else:
                chunk(b"fdAT", struct.pack(">I", sequence) + data)
                sequence += 1
        chunk(b"IEND", b"")


def _delay(seconds: float) -> tuple[int, int]:
    """Return seconds as a fraction of two 16-bit numbers."""
    return round(1000 * seconds), 1000
