"""Ranges in names and addresses: `pi[01-16]`, `192.168.10.[101-116]`, `rack[1,3,7-9]`.

A bracket holds numbers and spans, in order; a zero in front keeps its width (`[01-16]`). Several
brackets in one text give every combination, the last one fastest. Where one types a single span
the brackets may be left out: `192.168.10.101-116`, `pi01-pi16`.
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
_WHOLE = re.compile(r"(\d+\.\d+\.\d+\.)(\d{1,3})-(\d+\.\d+\.\d+\.)(\d{1,3})", re.ASCII)
_NAMES = re.compile(r"([A-Za-z][A-Za-z0-9._-]*?)(\d+)-([A-Za-z][A-Za-z0-9._-]*?)(\d+)", re.ASCII)


def expand(text: str) -> list[str]:
    """Give every text that a range stands for; a text without brackets stands for itself.

    Raises UsageError for a bracket that is not closed, empty, backwards, or of more than `MOST`
    texts.
    """
    parts = _BRACKET.split(text)
    if any(c in plain for plain in parts[::2] for c in "[]"):
        raise UsageError(f"expected brackets in pairs, as in pi[01-16], got {text!r}")
    choices = [[part] if i % 2 == 0 else _numbers(part, text) for i, part in enumerate(parts)]
    count = 1
    for options in choices:
        count *= len(options)
    if count > MOST:
        raise UsageError(f"{text!r} stands for {count:,} hosts; the maximum is {MOST:,}")
    return ["".join(combination) for combination in itertools.product(*choices)]


def bracketed(text: str) -> str:
    """Put the brackets around a span typed without: `10.0.0.1-9`, `10.0.0.1-10.0.0.9`, `pi1-pi9`.

    Raises UsageError for a span of addresses whose ends differ in more than their last number.
    """
    bare = _BARE.fullmatch(text)
    if bare:
        return f"{bare[1]}[{bare[2]}]"
    whole = _WHOLE.fullmatch(text)
    if whole and whole[1] != whole[3]:
        raise UsageError(
            f"{text} spans more than the last number: use several spans, such as"
            f" {whole[1]}{whole[2]}-254 {whole[3]}1-{whole[4]}"
        )
    span = whole or _NAMES.fullmatch(text)
    return f"{span[1]}[{span[2]}-{span[4]}]" if span and span[1] == span[3] else text


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
            raise UsageError(
                f"{first}-{last} in {text!r} is in reverse order: write {last}-{first}"
            )
        if int(last) - int(first) >= MOST:
            raise UsageError(f"{first}-{last} in {text!r} is more than {MOST:,} hosts")
        width = len(first) if first[0] == "0" else 0
        out += [str(n).zfill(width) for n in range(int(first), int(last) + 1)]
    return out
