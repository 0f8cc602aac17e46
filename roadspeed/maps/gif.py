"""GIF with one palette for all frames, written frame by frame.

Pillow packs the pixels of each frame; the file around them is ours, since Pillow gives each frame a
palette of its own and holds all frames until the last. Source: Graphics Interchange Format,
Version 89a (CompuServe, 1990); Netscape's application extension for repeating.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Final

from roadspeed.maps.deltas import AS_BEFORE, deltas_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from roadspeed.maps.palette import Bytes, Palette

FOREVER: Final = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
GLOBAL_OF_256: Final = 0xF7  # a palette for all frames, of 256 colours with 8 bits each
KEEP_TRANSPARENT: Final = 0x05  # leave a frame in place for the next; one index is transparent
TRAILER: Final = b"\x3b"


def write_gif(path: Path, frames: Iterable[Bytes], palette: Palette, seconds: float) -> None:
    """Write frames, uint8[h, w] of positions in the palette, as a GIF that repeats forever."""
    delay = max(2, round(100 * seconds))
    with path.open("wb") as file:
        for number, delta in enumerate(deltas_of(frames)):
            height, width = delta.pixels.shape
            if number == 0:
                file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, GLOBAL_OF_256, 0, 0))
                file.write(palette.colours.tobytes().ljust(3 * 256, b"\0") + FOREVER)
            file.write(b"\x21\xf9\x04")
            file.write(struct.pack("<BHBB", KEEP_TRANSPARENT, delay, AS_BEFORE, 0))
            file.write(b"\x2c" + struct.pack("<HHHHB", delta.left, delta.top, width, height, 0))
            file.write(packed(delta.pixels))
        file.write(TRAILER)


def packed(pixels: Bytes) -> bytes:
    """Return pixels as GIF packs them (LZW): the code size, blocks, and their end."""
    from PIL import Image  # noqa: PLC0415 - heavy: only for those who draw

    said = io.BytesIO()
    image = Image.frombytes("L", pixels.shape[::-1], pixels.tobytes())
    image.save(said, format="GIF", optimize=False, interlace=0)
    data = said.getvalue()
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[at] == 0x21:  # noqa: PLR2004 - an extension: a kind, then blocks
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    local = data[at + 9]
    at += 10 + (3 << ((local & 7) + 1) if local & 0x80 else 0)
    return data[at:-1]
