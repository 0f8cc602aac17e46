"""The one way in which this program's words reach standard output and error.

Data, keys, names, answers of stores and hosts' words stand in them; so all passes `printable`, and
what the stream's encoding lacks is written as an escape. Nobody else prints: a test looks.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mapreduce.safe_text import STEERING, printable

if TYPE_CHECKING:
    import re


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Write a text to standard output, or error; to nobody where that is closed."""
    _write(printable(text) + end, err=err)


def say_json(text: str) -> None:
    """Write JSON to standard output: what is escaped is so as JSON has it."""
    _write(STEERING.sub(_json_escape, text), err=False)


def _write(text: str, *, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # closed, as under some schedulers
        return
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
