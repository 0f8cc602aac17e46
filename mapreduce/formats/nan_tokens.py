"""NaN, Infinity and -Infinity where JSON has no such value: found, and put out of the way.

Python's `json.dump` writes these three words for floats that JSON has no form for, and strict JSON
refuses them. Here they are found outside texts, and replaced by what no field takes, so that one
strict reader judges all else. Quotes and backslashes stay as they are; so what is JSON then has the
words only where values stand, and what was no JSON for another reason stays none. Pure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mapreduce.formats.field_path import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAN, INFINITY, MINUS = b"NaN", b"Infinity", b"-Infinity"
WORDS: Final = (NAN, INFINITY, MINUS)
REFUSED: Final[Mapping[bytes, bytes]] = dict.fromkeys(WORDS, b"true")
"""What stands for each in a document: no field, no object and no list takes it."""
MARKED: Final[Mapping[bytes, bytes]] = {word: b'[\t"%b"\t]' % word for word in WORDS}
"""The same in a record, where it can be told from what the document has itself."""
EMPTY: Final[Mapping[bytes, bytes]] = {word: b"[]".ljust(len(word)) for word in WORDS}
"""The same, as long as the word: to see whether all else is JSON, and where it is not."""
UNMARKED: Final = {mark.decode(): word.decode() for word, mark in MARKED.items()}
TAKEN_BY: Final = "--allow-nan accepts it in fields that are not used"


class Word(str):
    """One of the three words, where it stood as a value."""

    __slots__ = ()


def holds(document: bytes) -> bool:
    """Tell whether any of the words is in a document, also in a text: most have none."""
    return NAN in document or INFINITY in document


def masked(document: bytes, by: Mapping[bytes, bytes] = REFUSED) -> bytes:
    """Replace the words outside texts; the same object where there is none."""
    if not holds(document):
        return document
    made, behind = bytearray(), 0
    for start, stop in _spans(document):
        made += document[behind:start]
        made += by[document[start:stop]]
        behind = stop
    if not behind:
        return document
    made += document[behind:]
    return bytes(made)


def without_escapes(document: bytes) -> bytes:
    """Give a document of the same length without escaped quotes: then quotes come in pairs."""
    if b"\\" not in document:
        return document
    return document.replace(b"\\\\", b"__").replace(b'\\"', b"__")


def first(document: bytes) -> tuple[int, str] | None:
    """Give the place and the word of the first outside texts."""
    for start, stop in _spans(document):
        return start, document[start:stop].decode()
    return None


def word_at(document: bytes, start: int) -> str:
    """Give the word that begins there; empty where none does."""
    return next((w.decode() for w in WORDS if document.startswith(w, start)), "")


def told(record: bytes) -> str | None:
    """Say of a record which word it holds first, and at which path: `NaN at a.b`.

    None where there is none, or where that cannot be told, since more is wrong with the record.
    """
    if not holds(record):
        return None
    try:
        value = json.loads(record, parse_constant=Word, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    for word, path in _words(value, ""):
        return f"{word} at {path}" if path else str(word)
    return None


def _words(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Word):
        yield value, path
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _words(below, f"{path}.{path_of([key])}" if path else path_of([key]))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _words(below, f"{path}[{number}]")


def _spans(document: bytes) -> Iterator[tuple[int, int]]:
    """Where the words begin and end outside texts."""
    plain = without_escapes(document)
    quotes = counted = 0
    for start, stop in _found(plain):
        quotes += plain.count(b'"', counted, start)
        counted = start
        if quotes % 2 == 0:
            yield start, stop


def _found(plain: bytes) -> Iterator[tuple[int, int]]:
    """Where the words begin and end, wherever that is."""
    nan, infinity = plain.find(NAN), plain.find(INFINITY)
    while nan >= 0 or infinity >= 0:
        if infinity < 0 or 0 <= nan < infinity:
            yield nan, nan + len(NAN)
            nan = plain.find(NAN, nan + len(NAN))
        else:
            minus = plain[infinity - 1 : infinity] == b"-" if infinity else False
            yield infinity - minus, infinity + len(INFINITY)
            infinity = plain.find(INFINITY, infinity + len(INFINITY))
