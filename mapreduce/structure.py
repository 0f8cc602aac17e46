"""A document's own structure, followed even where some record in it is not JSON.

The first reading is msgspec's and strict. Only a document it refuses comes here: brackets and
strings are followed, the record list is found by its path, and the rest of the document, with the
list emptied, must still be strict JSON. So one bad record costs one record. Pure, and linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from mapreduce.errors import ObjectError

MAX_DEPTH: Final = 128
OPENERS: Final = (0x7B, 0x5B)  # { [
CLOSERS: Final = (0x7D, 0x5D)  # } ]
TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\],:]', re.DOTALL)
PAIRS: Final = {b"}": b"{", b"]": b"["}
QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def openers(document: bytes) -> int:
    """Count the brackets that open, also those inside strings: no document nests deeper."""
    raw = np.frombuffer(document, dtype=np.uint8)
    return sum(int(np.count_nonzero(raw == code)) for code in OPENERS)


def too_deep(document: bytes) -> bool:
    """Tell whether the document nests deeper than `MAX_DEPTH`, whatever the caller's stack."""
    if openers(document) <= MAX_DEPTH:
        return False
    raw = np.frombuffer(QUOTED.sub(b"", document), dtype=np.uint8)
    up = (raw == OPENERS[0]) | (raw == OPENERS[1])
    down = (raw == CLOSERS[0]) | (raw == CLOSERS[1])
    depth = np.cumsum(up.astype(np.int32) - down.astype(np.int32))
    return bool(len(depth)) and int(depth.max()) > MAX_DEPTH


def elements(document: bytes, at: str) -> list[bytes]:
    """Give the raw bytes of each element of the list at the dotted path `at`.

    Raises
    ------
    ObjectError
        `not_json` where the structure cannot be followed, `wrong_shape` where there is no list at
        `at`, `bad_encoding` where the bytes are not UTF-8 outside the list.
    """
    path = [msgspec.json.encode(part) for part in at.split(".")] if at else []
    found = _Follower(document, path).follow()
    skeleton = (
        document if found is None else document[: found.start] + b"[]" + document[found.stop :]
    )
    try:
        whole = msgspec.json.decode(skeleton)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ObjectError("not_json", str(error)) from None
    except UnicodeDecodeError as error:
        raise ObjectError("bad_encoding", f"byte {error.start} is not UTF-8") from None
    if found is None:
        where = repr(at) if at else "the root"
        raise ObjectError("wrong_shape", f"expected a list at {where}, got {_seen(whole, at)}")
    return [document[start:stop] for start, stop in found.spans]


@dataclass(slots=True)
class _List:
    """Where a list begins, its present element begins, it stops; the spans of its elements."""

    start: int
    element: int
    stop: int = -1
    spans: list[tuple[int, int]] = field(default_factory=list)

    def end_element(self, at: int) -> None:
        """Note that the present element ends at `at` and the next begins behind it."""
        self.spans.append((self.element, at))
        self.element = at + 1


class _Follower:
    """Walks brackets and strings once, remembering where the list at the path stands."""

    def __init__(self, document: bytes, path: list[bytes]) -> None:
        self.document = document
        self.path = path
        self.stack: list[bytes] = []
        self.keys: list[bytes | None] = []  # the last key seen in each open object
        self.found: _List | None = None  # the last one wins, as with any key given twice
        self.inside: _List | None = None

    def follow(self) -> _List | None:
        last = b""
        for match in TOKEN.finditer(self.document):
            token = match.group()
            if token in (b"{", b"["):
                self._open(token, match.start())
            elif token in PAIRS:
                self._close(token, match.start())
            elif token == b"," and self.inside and len(self.stack) == self._list_depth:
                self.inside.end_element(match.start())
            elif token == b":" and self.keys:
                self.keys[-1] = _plain(last)
            last = token
        if self.stack:
            raise ObjectError(
                "not_json", f"ends inside {len(self.stack)} open brackets: cut short?"
            )
        return self.found

    @property
    def _list_depth(self) -> int:
        return len(self.path) + 1

    def _open(self, token: bytes, at: int) -> None:
        here = (
            token == b"["
            and self.inside is None
            and len(self.stack) == len(self.path)
            and all(s == b"{" for s in self.stack)
            and self.keys == self.path
        )
        self.stack.append(token)
        self.keys.append(None)
        if here:
            self.inside = _List(at, at + 1)
        if len(self.stack) > MAX_DEPTH:
            raise ObjectError("too_deep", f"byte {at}: nested deeper than {MAX_DEPTH}")

    def _close(self, token: bytes, at: int) -> None:
        if not self.stack or self.stack[-1] != PAIRS[token]:
            raise ObjectError(
                "not_json", f"byte {at}: {token.decode()} closes nothing that is open"
            )
        if self.inside and len(self.stack) == self._list_depth:
            found = self.inside
            if found.spans or self.document[found.element : at].strip():
                found.end_element(at)
            if any(not self.document[a:b].strip() for a, b in found.spans):
                raise ObjectError("not_json", f"byte {at}: a comma with no record beside it")
            found.stop = at + 1
            self.found, self.inside = found, None
        self.stack.pop()
        self.keys.pop()


def _plain(key: bytes) -> bytes:
    """Give a key as msgspec would write it, whatever escapes it was written with."""
    if b"\\" not in key:
        return key
    try:
        return msgspec.json.encode(msgspec.json.decode(key))
    except msgspec.MsgspecError:
        return key


def _seen(document: Any, at: str) -> str:
    """Say what a decoded document holds where the list was expected."""
    value = document
    for part in at.split(".") if at else []:
        if not isinstance(value, dict) or part not in value:
            return f"no {part!r}" if isinstance(value, dict) else _kind(value)
        value = value[part]
    return _kind(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
