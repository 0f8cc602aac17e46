"""A document's own structure, followed even where some record in it is not JSON.

The first reading is msgspec's and strict. Only a document it refuses comes here: brackets outside
strings are counted (numpy, a piece at a time, so neither time nor memory swell), the record list
is found by its path, and the rest of the document, with the list emptied, must still be strict
JSON. So one bad record costs one record, where strings end and brackets balance. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from mapreduce.errors import ObjectError
from mapreduce.formats.field_path import keys_of, path_of
from mapreduce.formats.nan_tokens import (
    EMPTY,
    MARKED,
    TAKEN_BY,
    UNMARKED,
    first,
    masked,
    without_escapes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 128
MAX_RECORDS: Final = 1 << 21  # of one document: each costs about 200 bytes while it is read
MAX_BESIDE: Final = 1 << 16  # lists and objects beside the record list
PIECE_BYTES: Final = 1 << 20
COUNTED_BYTES: Final = 1 << 16
FEW_LISTS: Final = 64
OPENERS: Final = (0x7B, 0x5B)  # { [
CLOSERS: Final = (0x7D, 0x5D)  # } ]
QUOTE, COMMA, LIST = 0x22, 0x2C, 0x5B
LAST_ASCII: Final = 0x7F
SMALL_BYTES: Final = 4096

_BYTE: Final = re.compile(r"byte (\d+)")
_STEP: Final = np.zeros(256, dtype=np.int8)
_STEP[list(OPENERS)] = 1
_STEP[list(CLOSERS)] = -1
_STRUCTURAL: Final = _STEP != 0
_STRUCTURAL[[QUOTE, COMMA]] = True
_OTHERS: Final = bytes(i for i in range(256) if i != QUOTE and _STEP[i] == 0)

Positions = npt.NDArray[np.int64]


def is_ascii(document: bytes) -> bool:
    """Tell whether all bytes are ASCII; for large ones quicker than `bytes.isascii`."""
    if len(document) < SMALL_BYTES:
        return document.isascii()
    return int(np.frombuffer(document, dtype=np.uint8).max()) <= LAST_ASCII


def is_utf8(raw: bytes) -> bool:
    """Tell whether bytes are UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def refuse_wide(document: bytes) -> None:
    """Refuse text of more than a byte a character: by its mark, or the NULs of its first letter."""
    if document.startswith(bytes(4)):
        raise ObjectError("bad_encoding", "it begins with zeros, not with text: was it written?")
    if document[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in document[:2]:
        raise ObjectError("bad_encoding", "expected UTF-8, got UTF-16 or UTF-32")


def openers(document: bytes) -> int:
    """Count the brackets that open, also those inside strings: no document nests deeper."""
    if len(document) < SMALL_BYTES:
        return document.count(b"{") + document.count(b"[")
    return _count(document, OPENERS[0], 0) + _lists(document)


def _lists(document: bytes) -> int:
    """Count the lists: found one by one while they are few, as in most documents."""
    at, found = document.find(b"["), 0
    while at >= 0 and found < FEW_LISTS:
        at, found = document.find(b"[", at + 1), found + 1
    return found if at < 0 else found + _count(document, OPENERS[1], at)


def _count(document: bytes, code: int, start: int) -> int:
    """Count a byte from `start` on, in pieces that stay in the processor's cache."""
    raw = np.frombuffer(document, np.uint8, offset=start)
    same = np.empty(min(COUNTED_BYTES, len(raw)), np.bool_)
    total = 0
    for at in range(0, len(raw), COUNTED_BYTES):
        piece = raw[at : at + COUNTED_BYTES]
        total += int(np.count_nonzero(np.equal(piece, code, out=same[: len(piece)])))
    return total


def too_deep(document: bytes) -> bool:
    """Tell whether the document nests deeper than `MAX_DEPTH`, whatever the caller's stack."""
    if openers(document) <= MAX_DEPTH:
        return False
    brackets = without_escapes(document).translate(None, _OTHERS)
    try:
        return any(
            int(seen.depths.max()) > MAX_DEPTH for seen in _scanned(brackets) if len(seen.depths)
        )
    except ObjectError:
        return False  # not JSON, which its reader will find out before it gets deep


class Elements:
    """The elements of a document's record list, as raw bytes, one after another.

    `beside` is the document with that list emptied.
    """

    def __init__(
        self, document: bytes, start: int, stop: int, commas: Positions, beside: bytes
    ) -> None:
        self.beside = beside
        self._document = document
        self._bounds = np.concatenate(([start], commas, [stop - 1]))
        self._empty = len(commas) == 0 and not document[start + 1 : stop - 1].strip()

    def __len__(self) -> int:
        return 0 if self._empty else len(self._bounds) - 1

    def __iter__(self) -> Iterator[bytes]:
        if self._empty:
            return
        left = int(self._bounds[0])
        for bound in self._bounds[1:]:
            right = int(bound)
            element = self._document[left + 1 : right]
            if not element or element.isspace():
                raise ObjectError("not_json", f"byte {right}: a comma without a record next to it")
            yield element
            left = right


def elements(document: bytes, at: str, *, allow_nan: bool = False) -> Elements:
    """Find the elements of the list at the dotted path `at`.

    With `allow_nan` the document may hold NaN, Infinity and -Infinity outside the list too.

    Raises
    ------
    ObjectError
        `not_json` where the structure cannot be followed, `wrong_shape` where there is no list at
        `at`, `bad_encoding` where the bytes are not UTF-8 outside the list, `too_large` for more
        than `MAX_RECORDS`.
    """
    path = keys_of(at, "records at") if at else []
    plain = without_escapes(document)
    starts, stops = _containers(plain, len(path) + 1)
    found = _at_path(document, path, starts, stops)
    if found is None:
        check_json(document, allow_nan=allow_nan)
        where = f"'{at}'" if at else "the root"
        seen = _seen(masked(document, MARKED), path)
        raise ObjectError("wrong_shape", f"expected a list at {where}, got {seen}")
    start, stop = found
    beside = document[:start] + b"[]" + document[stop:]
    check_json(beside, allow_nan=allow_nan, start=start, left_out=stop - start - len(b"[]"))
    return Elements(document, start, stop, commas(plain[start:stop]) + start, beside)


class _Scanned:
    """Part of a document: where its structural bytes outside strings are, and how deep."""

    __slots__ = ("codes", "depths", "positions")

    def __init__(self, positions: Positions, codes: Any, depths: Any) -> None:
        self.positions = positions
        self.codes = codes
        self.depths = depths  # after the byte


def _scanned(plain: bytes) -> Iterator[_Scanned]:
    """Follow brackets, commas and strings.

    Raises
    ------
    ObjectError
        `not_json` where more closes than is open, or the document ends inside something.
    """
    inside, depth = 0, 0
    for at in range(0, len(plain), PIECE_BYTES):
        raw = np.frombuffer(plain, np.uint8, min(PIECE_BYTES, len(plain) - at), at)
        positions = np.flatnonzero(_STRUCTURAL[raw])
        codes = raw[positions]
        quoted = np.cumsum(codes == QUOTE, dtype=np.uint8)  # wraps at 256: parity is what counts
        quoted = np.bitwise_and(quoted + np.uint8(inside), 1)
        step = _STEP[codes]
        step[quoted == 1] = 0
        depths = np.cumsum(step, dtype=np.int32) + np.int32(depth)
        if len(codes):
            inside, depth = int(quoted[-1]), int(depths[-1])
            if int(depths.min()) < 0:
                first = at + int(positions[np.argmax(depths < 0)])
                raise ObjectError("not_json", f"byte {first}: an unmatched closing bracket")
            out = quoted == 0
            yield _Scanned(positions[out] + at, codes[out], depths[out])
    if inside or depth:
        what = "a text" if inside else f"{depth} open brackets"
        raise ObjectError("not_json", f"ends inside {what}: truncated?")


def _containers(plain: bytes, depth: int) -> tuple[list[int], list[int]]:
    """Where the lists and objects at `depth` start and stop."""
    starts: list[int] = []
    stops: list[int] = []
    for seen in _scanned(plain):
        step = _STEP[seen.codes]
        starts += seen.positions[(step > 0) & (seen.depths == depth)].tolist()
        stops += (seen.positions[(step < 0) & (seen.depths == depth - 1)] + 1).tolist()
        if len(starts) > MAX_BESIDE:
            raise ObjectError("wrong_shape", f"over {MAX_BESIDE:,} lists beside it")
    return starts, stops


def _at_path(
    document: bytes, path: list[str], starts: list[int], stops: list[int]
) -> tuple[int, int] | None:
    """Give the span of the list at the path; of a key given twice the last counts.

    Each container at the list's depth becomes a short mark, which msgspec then finds by its keys:
    escapes in keys and keys given twice are its business.
    """
    shadow, behind = [], 0
    for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        mark = b"[%d]" % number if document[start] == LIST else b"{}"
        shadow += [document[behind:start], mark]
        behind = stop
    shadow.append(document[behind:])
    raw = _value_at(masked(b"".join(shadow)), path)
    if raw is None or not raw.startswith(b"["):
        return None
    (number,) = msgspec.json.decode(raw)
    return starts[number], stops[number]


def _value_at(document: bytes, path: list[str]) -> bytes | None:
    """Give the raw value at a path; None where there is none, or no JSON."""
    value = msgspec.Raw(document)
    try:
        value = msgspec.json.decode(document, type=msgspec.Raw)
        for part in path:
            one: Any = msgspec.defstruct("One", [("value", msgspec.Raw)], rename={"value": part})
            value = msgspec.json.decode(value, type=one).value
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return bytes(value).strip()


def commas(listed: bytes) -> Positions:
    """Where the commas between a list's elements are."""
    found = [np.zeros(0, dtype=np.int64)]
    count = 0
    for seen in _scanned(listed):
        found.append(seen.positions[(seen.codes == COMMA) & (seen.depths == 1)])
        count += len(found[-1])
        if count >= MAX_RECORDS:
            raise ObjectError(
                "too_large", f"more than {MAX_RECORDS:,} records in one document: use JSON Lines"
            )
    return np.concatenate(found)


def check_json(
    document: bytes, *, allow_nan: bool, start: int | None = None, left_out: int = 0
) -> None:
    """Refuse what is no JSON; behind `start` the document is longer by what was left out of it."""

    def place(byte: int) -> int:
        return byte if start is None or byte <= start else byte + left_out

    readable = masked(document, EMPTY)
    if fault := _fault_of(readable if allow_nan else document):
        if readable is not document and not allow_nan and not _fault_of(readable):
            byte, word = first(document) or (0, "")
            fault = f"byte {place(byte)}: {word} is not JSON; {TAKEN_BY}"
        else:
            fault = _BYTE.sub(lambda m: f"byte {place(int(m[1]))}", fault)
            if "trailing characters" in fault:
                fault += (
                    "; more than one document, or JSON Lines? Only one document per object is read"
                )
        raise ObjectError("not_json", fault)
    try:
        document.decode()
    except UnicodeDecodeError as error:
        raise ObjectError("bad_encoding", f"byte {place(error.start)} is not UTF-8") from None


def _fault_of(document: bytes) -> str:
    try:
        msgspec.json.decode(document, type=msgspec.Raw)
    except msgspec.MsgspecError as error:
        return str(error)
    return ""


def keys_at(document: bytes, at: str) -> list[str]:
    """Give the keys of the object at the dotted path `at`; none where there is no object."""
    raw = _value_at(document, keys_of(at, "records at") if at else [])
    try:
        return list(msgspec.json.decode(raw or b"{}", type=dict[str, msgspec.Raw]))
    except msgspec.MsgspecError:
        return []


def _seen(document: bytes, path: list[str]) -> str:
    """Say what a document holds where the list was expected."""
    for depth, part in enumerate(path):
        value = _value_at(document, path[: depth + 1])
        if value is None:
            above = kind_of(_value_at(document, path[:depth]) or b"")
            place = path_of(path[:depth])
            at = f"at '{place}'" if place else "at the root"
            return f"no {part!r}" if above == "an object" else f"{above} {at}"
    return kind_of(_value_at(document, path) or b"")


def kind_of(value: bytes) -> str:
    """Say what a raw value is, for people."""
    if word := UNMARKED.get(value.decode(errors="replace")):
        return word
    kinds = {b"{": "an object", b"[": "a list", b'"': "text", b"n": "null"}
    return kinds.get(value[:1], "a boolean" if value[:1] in (b"t", b"f") else "a number")
