"""What merging must not change: of each column its sum, or its least or greatest value.

Sums are taken modulo 2**64, the two limbs of a wide sum as one; the least and greatest key come
with them. They are noted of every partial that is gathered and compared with those of the result,
so that a merge that loses a partial, or takes one twice, is found before anything is written. A
pass over the columns costs a hundredth of merging them. Arrays in; it merges nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from mapreduce.errors import MapReduceError
from mapreduce.tables.runs import LIMB_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.tables.arrays import Array, Ints
    from mapreduce.tables.partial import Partial, TablePartial

Value: TypeAlias = "int | bytes"
MODULUS: Final = 1 << 64


class Conserved:
    """What the partials of one job that were gathered hold together."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], Value] = {}

    def add(self, part: Partial) -> None:
        """Note one more."""
        _note(self._noted, part)

    def check(self, whole: Partial) -> None:
        """Compare them with their merged result.

        Raises
        ------
        MapReduceError
            Where they differ: a fault of this program, or of this machine's memory.
        """
        found: dict[tuple[str, str], Value] = {}
        _note(found, whole)
        for place in self._noted.keys() | found.keys():
            had, has = self._noted.get(place), found.get(place)
            if had != has:
                raise MapReduceError(
                    f"the merged sums do not equal the sums of the merged parts: {place[1]} of"
                    " table"
                    f" {place[0]!r} was {had!r} in total, now it is {has!r}. Nothing was written."
                    " Type the same command again; if the message appears again, please report it."
                )


def _note(noted: dict[tuple[str, str], Value], part: Partial) -> None:
    for table in part.tables:
        if not len(table):
            continue
        for name, rule, value in _values(table):
            place = (table.schema.name, name)
            before = noted.get(place)
            noted[place] = value if before is None else _joined(rule, before, value)


def _joined(rule: str, a: Value, b: Value) -> Value:
    if rule == "min":
        return min(a, b)
    if rule == "max":
        return max(a, b)
    assert isinstance(a, int)  # noqa: S101 - for mypy: only keys are bytes
    assert isinstance(b, int)  # noqa: S101 - as above
    return (a + b) % MODULUS


def _values(table: TablePartial) -> Iterator[tuple[str, str, Value]]:
    """Give each column's name, rule and value over all rows; rows ascend by the first key."""
    first: Array = table.keys[0]
    yield "the least key", "min", first[0].item()
    yield "the greatest key", "max", first[-1].item()
    for number, (column, values) in enumerate(zip(table.schema.columns, table.values, strict=True)):
        if column.rule in {"min", "max"}:
            yield column.name, column.rule, int(getattr(values, column.rule)())
        elif column.rule == "sum":
            yield column.name, "sum", _total(values)
        elif column.rule == "wide_lo":  # its high limb is the column before
            high = _total(table.values[number - 1]) << LIMB_BITS
            name = column.name.removesuffix(".lo")
            yield name, "sum", (high + _total(values)) % MODULUS


def _total(values: Ints) -> int:
    """Sum modulo 2**64: unsigned numbers wrap, and that is meant."""
    return int(values.view(np.uint64).sum(dtype=np.uint64))
