"""Text for people's terminals: nothing that stands in data, a key or a name may steer them.

What is printed from data, keys, file and host names, answers of stores or output of jobs passes
`printable`: control characters, marks that turn the direction of writing, and what is no text at
all are shown as escapes. Values of a document are shown as JSON writes them, and shortened.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

VALUE_CHARACTERS: Final = 60
UTF8_BYTES: Final = 4  # most of a character

# All controls but tab and line end, marks of direction, line separators, halves of pairs.
STEERING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_LAID_OUT: Final = re.compile("[\t\n]")
_LAST_OF_TWO_DIGITS: Final = 0xFF


def printable(text: str) -> str:
    """Give a text that can be printed: with escapes for what would steer a terminal.

    Line ends and tabs stay, since our own messages have some.
    """
    return STEERING.sub(_escape, text)


def in_line(text: str) -> str:
    """Give a text from data for a line of our own: without line ends and tabs too."""
    return _LAID_OUT.sub(_escape, printable(text))


def shown_value(value: Any) -> str:
    """Give a decoded value as JSON has it, no longer than a line's part."""
    if isinstance(value, str):
        return shortened(json.dumps(value[: VALUE_CHARACTERS + 1], ensure_ascii=False))
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return shortened(json.dumps(value))


def shown_raw(raw: bytes) -> str:
    """Give the beginning of a document's own bytes."""
    most = UTF8_BYTES * (VALUE_CHARACTERS + 1)
    return shortened(raw.lstrip()[:most].decode(errors="backslashreplace"))


def shortened(text: str) -> str:
    """Give the beginning of a text from data, printable; dots where there was more."""
    cut = text[:VALUE_CHARACTERS]
    return in_line(cut) + ("…" if len(text) > VALUE_CHARACTERS else "")


class PrintedOut:
    """A stream for people that a job prints to: what it prints may be data."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text with escapes for what would steer a terminal."""
        self._stream.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= _LAST_OF_TWO_DIGITS else f"\\u{code:04x}"
