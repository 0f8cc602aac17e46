"""How two values of one key become one, and what a key is."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from mapreduce.errors import JobError

MAX_KEY_WIDTH: Final = 1024


class Rule(enum.Enum):
    """How two values of one key become one."""

    SUM = "sum"
    WIDE_SUM = "wide"
    MIN = "min"
    MAX = "max"
    DISTINCT = "distinct"


Sum: Final = Rule.SUM
WideSum: Final = Rule.WIDE_SUM
Min: Final = Rule.MIN
Max: Final = Rule.MAX


def Distinct(*, per: str | Key) -> Rule | Counted:  # noqa: N802 - reads as a rule beside Sum and Min
    """Count the distinct things in which a key occurs: each counts once, however often it does.

    Parameters
    ----------
    per
        "object" counts objects. Any other name, or a `Key` for text, counts the distinct values
        that `fold` is given under it: `Distinct(per="trip")` and `fold(…, trip=r.trip)`. That is
        exact wherever these values lie, also where one is in several objects, and costs a row for
        each pair of key and value.
    """
    if per == "object":
        return Rule.DISTINCT
    if isinstance(per, str) and per:
        per = Key(per)
    if isinstance(per, Key):
        return Counted(per)
    raise JobError(f"Distinct(per=…): expected 'object', a name or a Key, got {per!r}")


class Key(msgspec.Struct, frozen=True):
    """One key column: int64 when `width` is 0, else bytes of at most `width` (no NUL inside)."""

    name: str
    width: int = 0


class Counted(msgspec.Struct, frozen=True):
    """A column that counts the distinct values of a key of its own; see `Distinct`."""

    key: Key
