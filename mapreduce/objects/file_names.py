r"""Names of files as text, and back: bytes that are not UTF-8 are written as `\xNN`.

Two names never become one text: where a name itself holds what looks like such an escape, its
backslash is written as one (`\x5c`).
"""

from __future__ import annotations

import os
import re

_LIKE_ESCAPE = re.compile(rb"\\(?=x(?:[89a-f][0-9a-f]|5c))")
_ESCAPE = re.compile(rb"\\x([89a-f][0-9a-f]|5c)")


def text_of(name: str) -> str:
    """Write a name, as the system gave it, as text that can be stored and sent."""
    if name.isascii() and "\\x" not in name:
        return name
    raw = _LIKE_ESCAPE.sub(rb"\\x5c", os.fsencode(name))
    return raw.decode("utf-8", "backslashreplace")


def name_of(text: str) -> bytes:
    """Give the name that `text_of` wrote so."""
    raw = text.encode("utf-8", "surrogatepass")
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), raw)
