"""Ranges in names and addresses: `pi[01-16]`, `192.168.10.[101-116]`, `rack[1,3,7-9]`.

A bracket holds numbers and spans, in order; a zero in front keeps its width (`[01-16]`). Several
brackets in one text give every combination, the last one fastest. Short addresses of a span may
leave out the brackets: `192.168.10.101-116`. Nothing here knows what is being named.
"""

from __future__ import annotations

import itertools
import re
from typing import Final

from mapreduce.errors import UsageError

MOST: Final = 4096
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_SPAN = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_BARE = re.compile(r"(\d+\.\d+\.\d+\.)(\d{1,3}-\d{1,3})", re.ASCII)


def expand(text: str) -> list[str]:
    """Give every text that a range stands for; a text without brackets stands for itself.

    Raises
    ------
    UsageError
        For a bracket that is not closed, empty, backwards, or of more than `MOST` texts.
    """
    parts = _BRACKET.split(text)
    if any(c in plain for plain in parts[::2] for c in "[]"):
        raise UsageError(f"expected brackets in pairs, as in pi[01-16], got {text!r}")
    choices = [[part] if i % 2 == 0 else _numbers(part, text) for i, part in enumerate(parts)]
    count = 1
    for options in choices:
        count *= len(options)
    if count > MOST:
        raise UsageError(f"{text!r} stands for {count:,} hosts; the most is {MOST:,}")
    return ["".join(combination) for combination in itertools.product(*choices)]


def bracketed(address: str) -> str:
    """Put the brackets around the span of an address typed without: `10.0.0.1-9`."""
    bare = _BARE.fullmatch(address)
    return f"{bare[1]}[{bare[2]}]" if bare else address


def _numbers(inside: str, text: str) -> list[str]:
    out: list[str] = []
    for item in inside.split(","):
        span = _SPAN.fullmatch(item.strip())
        if span is None:
            raise UsageError(f"expected numbers like 01-16 or 1,3,7-9 in brackets, got {text!r}")
        first, last = span[1], span[2] or span[1]
        if len(first) > 1 and first[0] == "0" and len(last) != len(first):
            raise UsageError(f"{first}-{last} in {text!r}: both ends need the same width")
        if int(first) > int(last):
            raise UsageError(f"{first}-{last} in {text!r} runs backwards: write {last}-{first}")
        if int(last) - int(first) >= MOST:
            raise UsageError(f"{first}-{last} in {text!r} is more than {MOST:,} hosts")
        width = len(first) if first[0] == "0" else 0
        out += [str(n).zfill(width) for n in range(int(first), int(last) + 1)]
    return out
