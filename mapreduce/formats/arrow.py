"""pyarrow, which reads Parquet and makes CSV fast: optional, loaded when it is first used.

A worker needs none to start. Arrays of numbers become numpy's by their buffers: pyarrow's own ways
import pandas first, where that is installed, which takes longer than reading some million values.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mapreduce.errors import JobError

if TYPE_CHECKING:
    import numpy.typing as npt

    from mapreduce.formats.field_column import Mask
    from mapreduce.tables.table import Array

NUMPY: Final = {"halffloat": "float16", "float": "float32", "double": "float64"}  # other names


@cache
def arrow_csv() -> Any | None:
    """Give `pyarrow.csv`, or None where it is not installed."""
    try:
        return importlib.import_module("pyarrow.csv")
    except ImportError:
        return None


@cache
def arrow_parquet() -> Any:
    """Give `pyarrow.parquet`.

    Raises
    ------
    JobError
        It is not installed.
    """
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise JobError(
            "Parquet needs pyarrow, which is not installed here: pip install pyarrow"
            " (for hosts: --with pyarrow)"
        ) from None


def pyarrow() -> Any:
    """Give `pyarrow`, where one of the above has been given."""
    return importlib.import_module("pyarrow")


def absent_in(array: Any) -> Mask | None:
    """Give where an array is null: bool[n]; None where it is nowhere."""
    if not array.null_count:
        return None
    bits = array.buffers()[0]
    if bits is None:  # of an array of nothing but nulls
        return np.ones(len(array), np.bool_)
    raw = np.frombuffer(bits, np.uint8)
    known = np.unpackbits(raw, count=array.offset + len(array), bitorder="little")
    return np.equal(known[array.offset :], 0)


def numbers_in(array: Any, absent: Mask | None, filler: float = 0) -> Array:
    """Give the values of an array of integers or floats: `filler` where it is null.

    Parameters
    ----------
    array
        Of a type that numpy has; it is not copied where nothing is null.
    absent
        As `absent_in` gives it.
    """
    kind = str(array.type)
    return _values(array, np.dtype(NUMPY.get(kind, kind)), absent, filler)


def microseconds_in(array: Any, absent: Mask | None) -> npt.NDArray[np.int64]:
    """Give the values of an array of timestamps in microseconds: 0 where it is null."""
    return _values(array, np.dtype(np.int64), absent, 0)


def _values(array: Any, kind: Any, absent: Mask | None, filler: float) -> Array:
    if not len(array):
        return np.zeros(0, kind)
    raw: Array = np.frombuffer(array.buffers()[1], kind)
    values = raw[array.offset : array.offset + len(array)]
    return values if absent is None else np.where(absent, kind.type(filler), values)
