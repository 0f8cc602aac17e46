"""The quick way to make one row of those with equal keys: compiled code, for integer keys.

It is an option, and never judges. What it gives is what numpy's way gives, to the last bit. It
gives up where a sum passes int64 on its way; there, and where it was not built (no compiler, a
deployed host), numpy groups. Floats become whole numbers here too. `MAPREDUCE_GROUPING=0` in the
environment leaves it out.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ints: TypeAlias = npt.NDArray[np.int64]

VERSION: Final = 2  # as the compiled code has it: what it takes and gives
SWITCH: Final = "MAPREDUCE_GROUPING"
MAX_COLUMNS: Final = 64  # as the compiled code has it
MOST_PER_UNIT: Final = 2**53  # a double for sure
RULES: Final = {
    name: number
    for number, name in enumerate(("sum", "min", "max", "wide", "wide_hi", "wide_lo", "distinct"))
}

_group: Any
try:
    _group = import_module("mapreduce.tables.grouping._group")
    if _group.VERSION != VERSION or os.environ.get(SWITCH) == "0":  # or left from older sources
        _group = None
except ImportError:
    _group = None


def is_built() -> bool:
    """Tell whether the compiled code is here, and not left out."""
    return _group is not None


def grouped(
    keys: Sequence[npt.NDArray[Any]],
    columns: Sequence[tuple[str, Ints | int]],
    *,
    ascending: bool = False,
) -> tuple[tuple[Ints, ...], tuple[Ints, ...]] | None:
    """Make one row of those with equal keys; None where that is numpy's to do.

    Parameters
    ----------
    keys
        Arrays of one length n; of anything but int64 it is numpy's.
    columns
        A rule, and its values: int64[n], or the one value that all rows have. "wide" gives the two
        limbs of a sum; "wide_hi" and "wide_lo", one behind the other, sum limbs; "distinct" counts
        how often a value is another than the one before it in its group.
    ascending
        Whether the rows are to be in ascending order of their keys; else they are in the order in
        which each key comes first.

    Returns
    -------
    tuple
        Keys and values of each row: int64[groups].
    """
    if _group is None or max(len(keys), len(columns)) > MAX_COLUMNS:
        return None
    if any(k.dtype != np.int64 for k in keys) or not all(rule in RULES for rule, _ in columns):
        return None
    found = _group.group(
        tuple(map(np.ascontiguousarray, keys)),
        tuple((RULES[rule], _values(given)) for rule, given in columns),
        ascending,
    )
    if found is None:
        return None
    arrays = tuple(np.frombuffer(raw, np.int64) for raw in found)
    return arrays[: len(keys)], arrays[len(keys) :]


def scaled(values: npt.NDArray[np.float64], per_unit: int, most: float) -> Ints | None:
    """Give `rint(values * per_unit)`: int64[n]; None where that is numpy's to do, or to refuse.

    Parameters
    ----------
    values
        float64[n].
    most
        They lie between minus this and this; one that does not is refused.
    """
    if _group is None or values.ndim != 1 or per_unit > MOST_PER_UNIT:
        return None
    found = _group.scale(np.ascontiguousarray(values), per_unit, most)
    return None if found is None else np.frombuffer(found, np.int64)


def _values(given: Ints | int) -> Ints | int:
    return given if isinstance(given, int) else np.ascontiguousarray(given)
