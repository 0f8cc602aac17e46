"""Values as a decoder gives them, one by one: text, numbers, or what a field does not take.

Text is an integer only where it reads `-?[0-9]+` in ASCII and fits; an integral float, or a number
as text, counts only where a field says so.
"""

from __future__ import annotations

import re
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mapreduce.formats.nan_tokens import UNMARKED
from mapreduce.safe_text import shortened, shown_value
from mapreduce.tables.arrays import INT64_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapreduce.tables.arrays import Array

# The two lowest int64 values mark what is absent and what is bad, so as ids they do not fit.
ABSENT_INT: Final = -(2**63)
BAD_INT: Final = ABSENT_INT + 1
NUMBERS: Final = frozenset((float, int, NoneType))
INTEGER: Final = re.compile(r"(-?)0*([0-9]{1,19})", re.ASCII)
NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
INTEGRAL: Final = re.compile(r"(-?)0*([0-9]{1,16})\.0*", re.ASCII)
EXACT: Final = 2.0**53  # a float of this size may stand for another integer too
MAX_REMEMBERED: Final = 1 << 16
MAX_REMEMBERED_TEXT: Final = 24  # characters: a long text is no id, and would be held for nothing
WRONG_BYTES: Final = 64


class Wrong(bytes):
    """A value of a type the field does not take (an object, a list, a boolean): how it begins."""

    __slots__ = ()

    @classmethod
    def of(cls, raw: bytes | memoryview) -> Wrong:
        """Hold the beginning: as many are held as there are records."""
        return cls(raw[:WRONG_BYTES])


def shown_leaf(value: Any) -> str:
    """Give a decoded leaf as the document had it, for people."""
    if isinstance(value, Wrong):
        text = value.decode(errors="backslashreplace").strip()
        return shortened(UNMARKED.get(text, text))
    return "" if value is None else shown_value(value)


def nan_word(value: Any) -> str | None:
    """Give NaN, Infinity or -Infinity where a decoded leaf is one of them."""
    if not isinstance(value, Wrong):
        return None
    return UNMARKED.get(value.decode(errors="backslashreplace").strip())


class KnownIntegers(dict[Any, int]):
    """Remembers what each text or number is as an integer: ids repeat by the thousand."""

    floats = False

    def __missing__(self, value: Any) -> int:
        number = integer_of(value, floats=self.floats)
        kind = type(value)
        if kind is not Wrong and (kind is not str or len(value) <= MAX_REMEMBERED_TEXT):
            self[value] = number
        return number


def integer_of(value: Any, *, floats: bool) -> int:
    """Give a value as an integer; `ABSENT_INT` for none, `BAD_INT` for what is no integer."""
    if value is None:
        return ABSENT_INT
    if type(value) is str and (text := INTEGER.fullmatch(value)):
        value = int(text[1] + text[2])
    elif floats and type(value) is str and (text := INTEGRAL.fullmatch(value)):
        value = float(text[1] + text[2])
    if floats and type(value) is float and value.is_integer() and abs(value) < EXACT:
        value = int(value)
    if type(value) is int and BAD_INT < value <= INT64_MAX:
        return value
    return BAD_INT


def untexted(value: Any) -> Any:
    """Give a number that is there as text as a number, and anything else as it is."""
    return float(value) if type(value) is str and NUMBER.fullmatch(value) else value


def float_of(value: Any) -> float:
    """Give a value as a float; infinity or NaN for what is no finite number."""
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return np.inf
    return np.nan


def plain_texts(values: Sequence[Any], width: int | None) -> Array | None:
    """Give texts as bytes at once; None where one is no ASCII text of this width without NUL."""
    if width is None or set(map(type, values)) != {str}:
        return None
    text = "".join(values)
    if not text.isascii() or "\0" in text or max(map(len, values)) > width:
        return None
    return np.array(values, dtype=f"S{width}")


def utf8_of(value: Any, *, integers: bool) -> bytes | None:
    """Give a text as UTF-8, None for anything else; with `integers` an integer as its digits."""
    if integers and type(value) is int:
        value = str(value)
    if type(value) is not str:
        return None
    try:
        return value.encode()
    except UnicodeEncodeError:  # a lone surrogate, written as an escape
        return None
