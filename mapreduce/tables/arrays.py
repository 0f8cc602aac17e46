"""Arrays of integers: what columns are made of, and how floats become them."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mapreduce.errors import JobError
from mapreduce.tables import grouping

Ints: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = npt.NDArray[Any]

INT64_MAX: Final = 2**63 - 1
SCALED_LIMIT: Final = 2.0**62


def scaled(values: npt.NDArray[np.float64], per_unit: int) -> Ints:
    """Whole numbers of 1/`per_unit`: `rint(values * per_unit)` as int64, floats masked before.

    Raises
    ------
    JobError
        Where a value is NaN, infinite, or does not fit (the cast differs between processors), and
        where `per_unit` is below 1.
    """
    if per_unit < 1:
        raise JobError(f"scaled: expected at least 1 part of a unit, got {per_unit}")
    values = np.asarray(values, dtype=np.float64)
    most = SCALED_LIMIT / per_unit
    if (quick := grouping.scaled(values, per_unit, most)) is not None:
        return quick
    if len(values) and not (-most < values.min() and values.max() < most):  # false for NaN too
        raise JobError(
            f"scaled: a value is NaN, infinite, or above 2**62 / {per_unit}; mask it first"
        )
    return np.rint(values * per_unit).astype(np.int64)


def integers(values: Any, what: str) -> Ints:
    """Give an int64 array; refuse floats and what does not fit."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise JobError(f"{what}: expected one dimension, got {array.ndim}")
    if array.dtype == np.int64:
        return array
    if array.dtype.kind in "biu" and np.can_cast(array.dtype, np.int64):
        return array.astype(np.int64)
    if len(array) == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind == "u" and int(array.max()) <= INT64_MAX:
        return array.astype(np.int64)
    hint = " Scale it first: mapreduce.scaled(x, 1_000_000)." if array.dtype.kind == "f" else ""
    raise JobError(f"{what}: expected integers that fit int64, got {array.dtype}.{hint}")
