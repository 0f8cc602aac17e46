"""A field's values as an array, with masks of what was absent, bad or out of range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mapreduce.tables.arrays import Array

Mask: TypeAlias = npt.NDArray[np.bool_]
BLANKS: Final = {"f": np.nan, "S": b"", "O": b""}  # what stands where a value is absent; else 0
SCANNED_ABSENT, SCANNED_BAD = 1, 2  # the state of a value, as the `scanner` has it; 0: present


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """A field's values as an array of length n, and masks; a mask is None where nothing is so.

    Where a `Scanner` found it, `places` says of each bad value where in the document it begins;
    of those that are text of the field's length, `texts` has it, and b"" of the others.
    """

    values: Array
    absent: Mask | None = None
    bad: Mask | None = None
    outside: Mask | None = None
    places: npt.NDArray[np.int64] | None = None
    texts: Array | None = None

    def at(self, rows: npt.NDArray[np.int64], missing: Mask | None) -> FieldColumn:
        """Give the values at some rows, again and again if need be; absent where they are missing.

        For a column of which each distinct value was read once.
        """

        def taken(mask: Mask | None) -> Mask | None:
            return (
                None if mask is None else some(mask[rows] & (True if missing is None else ~missing))
            )

        absent = None if self.absent is None else self.absent[rows]
        values = self.values[rows]
        if missing is not None:
            absent = missing if absent is None else absent | missing
            values[missing] = BLANKS.get(values.dtype.kind, 0)
        return FieldColumn(values, some(absent), taken(self.bad), taken(self.outside))


def some(mask: Mask | None) -> Mask | None:
    """Give a mask, or None where nothing is so."""
    return mask if mask is not None and mask.any() else None


def union(*masks: Mask | None) -> Mask | None:
    """Give where any of some masks is true, or None where nothing is so."""
    found: Mask | None = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else found | mask
    return some(found)


def masks_of(states: bytes, seen: int) -> tuple[Mask | None, Mask | None]:
    """Where values are absent, and where bad; None where `seen`, all states or'ed, has none."""
    if not seen:
        return None, None
    codes = np.frombuffer(states, np.uint8)
    return (
        codes == SCANNED_ABSENT if seen & SCANNED_ABSENT else None,
        codes == SCANNED_BAD if seen & SCANNED_BAD else None,
    )
