"""Bombs: much of one byte in little."""

from __future__ import annotations

import zlib
from functools import cache


@cache
def bomb(byte: bytes, mebibytes: int = 256) -> bytes:
    """Give so much of a byte in a thousandth of it, as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = byte * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(mebibytes)) + packer.flush()
