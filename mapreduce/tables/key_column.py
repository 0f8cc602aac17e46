"""A key's column: integers, or bytes of a width that are never cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mapreduce.errors import JobError
from mapreduce.tables.arrays import integers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mapreduce.tables.arrays import Array
    from mapreduce.tables.rules import Key


def key_column(key: Key, values: Any) -> tuple[Array, npt.NDArray[np.bool_] | None]:
    """Give the key's column and, where some value is too long or holds a NUL, which are good."""
    if not key.width:
        return integers(values, key.name), None
    array = values if isinstance(values, np.ndarray) else _objects(values)
    if array.ndim != 1 or array.dtype.kind not in "SO":
        raise JobError(
            f"key {key.name!r}: expected bytes in one dimension, got {array.dtype} in {array.ndim};"
            " encode text first"
        )
    if array.dtype.kind == "S":
        return _fixed_width(key, np.ascontiguousarray(array))
    items = array.tolist()
    if not all(type(v) is bytes for v in items):
        raise JobError(f"key {key.name!r}: expected bytes, got {array.dtype}; encode text first")
    if not items or (b"\x00" not in b"".join(items) and max(map(len, items)) <= key.width):
        return np.array(items, dtype=f"S{key.width}"), None
    good = np.array([len(v) <= key.width and b"\x00" not in v for v in items])
    whole = [v if g else b"" for v, g in zip(items, good.tolist(), strict=True)]
    return np.array(whole, dtype=f"S{key.width}"), good


def _fixed_width(key: Key, array: Array) -> tuple[Array, npt.NDArray[np.bool_] | None]:
    """Do the same for numpy's own bytes, whose NULs at the end mean that there is no more."""
    wide = np.dtype(f"S{key.width}")
    if not array.dtype.itemsize:
        return array.astype(wide), None
    raw = array.view(np.uint8).reshape(len(array), array.dtype.itemsize)
    length = np.char.str_len(array)
    good = (length <= key.width) & (np.count_nonzero(raw, axis=1) == length)
    if good.all():
        return array.astype(wide), None
    return np.where(good, array, b"").astype(wide), good


def _objects(values: Sequence[Any]) -> Array:
    """Give a list as an array of its very objects: as numpy's bytes they would lose NULs."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
