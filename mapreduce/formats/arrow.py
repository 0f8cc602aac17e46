"""pyarrow, which reads Parquet and makes CSV fast: optional, loaded when it is first used.

A worker needs none to start. Arrays of numbers become numpy's by their buffers: pyarrow's own ways
import pandas first, where that is installed, which takes longer than reading some million values.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mapreduce.errors import JobError

if TYPE_CHECKING:
    import numpy.typing as npt

    from mapreduce.formats.field_column import Mask
    from mapreduce.tables.arrays import Array

OFFSETS: Final = {"string": "<i4", "binary": "<i4", "large_string": "<i8", "large_binary": "<i8"}
MAX_ASCII: Final = 0x7F
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


def texts_in(array: Any, absent: Mask | None, width: int) -> Array | None:
    """Give an array of texts as `S{width}`, b"" where it is null.

    None where one is longer, has a NUL, or is not ASCII, and for kinds of text that lie otherwise.
    """
    wide = OFFSETS.get(str(array.type))
    if wide is None or not len(array):
        return None
    _, held, chars = array.buffers()
    offsets = np.frombuffer(held, wide)[array.offset : array.offset + len(array) + 1]
    raw = np.frombuffer(chars or b"", np.uint8)
    used = raw[offsets[0] : offsets[-1]]
    if len(used) and (used - np.uint8(1)).max() >= MAX_ASCII:  # a NUL is 255 then
        return None
    lengths = np.diff(offsets)
    if absent is not None:
        lengths[absent] = 0
    found = np.zeros((len(array), width), np.uint8)
    for length in np.flatnonzero(np.bincount(lengths)).tolist():
        if length > width:
            return None
        if not length:
            continue
        rows = np.flatnonzero(lengths == length)
        if len(rows) == len(array):
            found[:, :length] = used.reshape(len(array), length)
        else:
            found[rows, :length] = sliding_window_view(raw, length)[offsets[rows]]
    return found.view(f"S{width}").ravel()


def _values(array: Any, kind: Any, absent: Mask | None, filler: float) -> Array:
    if not len(array):
        return np.zeros(0, kind)
    raw: Array = np.frombuffer(array.buffers()[1], kind)
    values = raw[array.offset : array.offset + len(array)]
    return values if absent is None else np.where(absent, kind.type(filler), values)
