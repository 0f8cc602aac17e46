r"""Dotted paths: where a value stands in a document, as its keys one within the other.

`a.b` is the key `b` of the object at the key `a`. A dot that belongs to a key has a backslash
before it: `obd\.speed` is one key, `obd.speed`; so has a pair of brackets: `a\[]`. A step that ends
in `[]` is a list, within each item of which the rest of the path lies: `trips[].points`. Every
place that takes a path reads it here, and every place that shows one writes it here, so that what
is shown can be typed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mapreduce.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterable

LIST_STEP: Final = "[]"
_BETWEEN: Final = re.compile(r"(?<!\\)\.")
_LIST: Final = re.compile(r"(?<!\\)\[\](?=\.|\Z)")
_UNNAMEABLE: Final = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')  # in msgspec's names of fields


def keys_of(path: str, whose: str) -> list[str]:
    r"""Split a dotted path into keys that a decoder can name; `whose` it is, for the message.

    Raises
    ------
    JobError
        On a key that is empty, holds a quote, a backslash or a control character, or is no UTF-8.

    Examples
    --------
    >>> keys_of(r"can.obd\.speed", "field 'speed'")
    ['can', 'obd.speed']
    """
    if _LIST.search(path):
        raise JobError(
            f"{whose}: path {path!r} leads into a list. Only the path of the records does that, and"
            " a Head's of what is beside them: name the list there, and fields from its items on"
        )
    keys = [part.replace("\\.", ".").replace("\\[", "[") for part in _BETWEEN.split(path)]
    if not all(keys):
        raise JobError(
            f"{whose}: expected a path such as 'db.linkID', got {path!r}: an empty key. A dot"
            r" within a key is written \."
        )
    if not all(map(is_nameable, keys)):
        raise JobError(
            f"{whose}: path {path!r} contains a quote, a backslash or a control character, or is"
            r" not UTF-8: such keys are not supported. A backslash may only stand before a dot that"
            r" is part of the key: obd\.speed"
        )
    return keys


def path_of(keys: Iterable[str]) -> str:
    """Give the path of keys: what `keys_of` splits into them again, if each can be named."""
    return ".".join(key.replace(".", "\\.").replace("[]", "\\[]") for key in keys)


def parts_at_list(path: str) -> tuple[str, str] | None:
    """Split a path at its first step that ends in `[]`: what is before it, and behind it.

    Examples
    --------
    >>> parts_at_list("trips[].points")
    ('trips', 'points')
    """
    found = _LIST.search(path)
    if found is None:
        return None
    return path[: found.start()], path[found.end() :].removeprefix(".")


def is_nameable(key: str) -> bool:
    """Tell whether a path can name a key."""
    return bool(key) and not _UNNAMEABLE.search(key)
