"""Bombs: much of one byte in little."""

from __future__ import annotations

import zlib
from functools import cache


@cache
def bomb(byte: bytes, mebibytes: int = 256, begin: bytes = b"") -> bytes:
    """Give so much of a byte, behind a beginning, in a thousandth of it, as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = byte * (1 << 20)
    parts = [packer.compress(begin), *(packer.compress(block) for _ in range(mebibytes))]
    return b"".join(parts) + packer.flush()
