"""What the cells of an Arrow column hold: ids (integers, or any text), and road classes.

Rule: a column of any Arrow type is looked at (dictionaries, views, runs, extensions, lists, bytes
that hold text), and what is no id is marked, never an exception. A text is an id if it is
`-?[0-9]+` in ASCII and fits int64: the same rule that reads trips; `12.0` is 12, as tables write
integers that stood beside an empty cell. A float that may be a rounded integer is no id. Nothing
here reads a file.
"""

from __future__ import annotations

import ast
import contextlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roadspeed.roads.rows.answer import Ids, Objects

SAFE_DIGITS = r"^-?0*[0-9]{1,18}$"
ANY_DIGITS = r"^-?[0-9]+(\.0+)?$"
INT64 = np.iinfo(np.int64)
FLOAT_EXACT = 2.0**53  # itself may be 2**53 + 1, rounded
MAX_ID_BYTES = 1024
LONGEST = 40  # digits, without leading zeros, that are worth turning into an integer


def plain(column: Any) -> Any:
    """Return a column as an array of an ordinary type: no chunks, codes, runs, views or names.

    Text becomes the bytes it is made of, since not all that calls itself UTF-8 is.
    """
    while True:
        kind = column.type
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        elif isinstance(column, pa.ExtensionArray):
            column = column.storage
        elif pa.types.is_dictionary(kind):
            column = plain(column.dictionary).take(column.indices)
        elif pa.types.is_run_end_encoded(kind):
            column = pc.run_end_decode(column)
        elif pa.types.is_string(kind) or pa.types.is_fixed_size_binary(kind):
            column = column.cast(pa.binary())
        elif pa.types.is_large_string(kind) or kind in {pa.string_view(), pa.binary_view()}:
            column = column.cast(pa.large_binary())
        elif is_list(kind) and pa.types.is_string(kind.value_type):
            column = column.cast(pa.list_(pa.binary()))
        else:
            return column


def is_bytes(kind: Any) -> bool:
    """Say whether a plain column's cells are bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def is_list(kind: Any) -> bool:
    """Say whether a plain column's cells are lists."""
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def integers(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read a column of ids.

    Parameters
    ----------
    column
        A pyarrow array of integers, floats, decimals, text, bytes that hold text, or lists of
        one of them; another holds no ids.

    Returns
    -------
    ids : int64[n]
        Zero where there is none.
    valid : bool[n]
        False for null, not an integer, out of int64's range, or a list of several.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_integer(kind):
        return _from_integers(column)
    if pa.types.is_floating(kind):
        values = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        with np.errstate(invalid="ignore"):
            valid = (np.abs(values) < FLOAT_EXACT) & (values == np.rint(values))
        return np.where(valid, values, 0.0).astype(np.int64), valid
    if pa.types.is_decimal(kind) or is_list(kind):
        column = pa.array([_digits(value) for value in column.to_pylist()], pa.binary())
    elif not is_bytes(kind):
        nothing = np.zeros(len(column), dtype=np.int64)
        return nothing, nothing.astype(np.bool_)
    return _from_text(column)


def ids_of(column: Any, *, text: bool) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read a column of ids: as `integers` does or, with `text`, as bytes of text (`S`)[n].

    An integer is its digits. Text longer than any id, or with a NUL in it, is an id that no link
    has, and stands as b"".
    """
    if not text:
        return integers(column)
    column = plain(column)
    if not is_bytes(column.type):
        whole = pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)
        column = column.cast(pa.large_string()) if whole else _written(column)
        column = column.cast(pa.large_binary())
    valid = ~blank(column)
    cells = [cell if _can_be_id(cell) else b"" for cell in column.to_pylist()]
    return np.array(cells, dtype=np.bytes_), valid


def _can_be_id(cell: bytes | None) -> bool:
    return cell is not None and len(cell) <= MAX_ID_BYTES and b"\0" not in cell


def _written(column: Any) -> Any:
    """Write cells of any other type as text; none is null."""
    return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.large_string())


def blank(column: Any) -> NDArray[np.bool_]:
    """Say where a column of ids has none at all: null, NaN, or text of nothing but blanks."""
    column = plain(column)
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        there = pc.is_finite(column)
    elif is_bytes(column.type):
        there = pc.match_substring_regex(column, r"[^ \t]")
    else:
        there = column.is_valid()
    return ~np.asarray(there.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _digits(value: Any) -> bytes | None:
    """Write a decimal, or the only item of a list, as its digits."""
    if isinstance(value, list):
        return _digits(value[0]) if len(value) == 1 else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < FLOAT_EXACT else None
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else None
    if isinstance(value, bytes):
        return value
    return str(value).encode() if isinstance(value, int) and value is not True else None


def _from_integers(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    if values.dtype == np.uint64:
        valid = valid & (values <= INT64.max)
    return np.where(valid, values, 0).astype(np.int64), valid


def _from_text(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    safe = pc.match_substring_regex(column, SAFE_DIGITS).fill_null(False)
    digits = pc.if_else(safe, column, pa.scalar(b"0", column.type)).cast(pa.large_string())
    ids = digits.cast(pa.int64()).to_numpy(zero_copy_only=False)
    valid = safe.to_numpy(zero_copy_only=False)
    long = pc.match_substring_regex(column, ANY_DIGITS).fill_null(False)
    rare = np.flatnonzero(long.to_numpy(zero_copy_only=False) & ~valid)
    if rare.size:  # 19 digits and more may or may not fit; `12.0`
        ids, valid = ids.copy(), valid.copy()
        for at in rare.tolist():
            value = _long(column[at].as_py())
            if value is not None and INT64.min <= value <= INT64.max:
                ids[at], valid[at] = value, True
    return ids, valid


def _long(cell: bytes) -> int | None:
    whole, point, _ = cell.decode("ascii").partition(".")
    digits = whole.lstrip("-").lstrip("0")
    if len(digits) > LONGEST:
        return None
    value = int(digits or "0") * (-1 if whole.startswith("-") else 1)
    return None if point and abs(value) >= FLOAT_EXACT else value


def texts(column: Any) -> Objects:
    """Return a column as object[n] of str or None; equal texts are one object.

    Of a list, as osmnx writes the classes of ways that it merged, the smallest text; an object
    is no text.
    """
    column = plain(column)
    if pa.types.is_nested(column.type):
        return _objects([_word(value) for value in column.to_pylist()])
    coded = column.dictionary_encode()
    words = [_word(word) for word in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    return np.asarray(_objects([*words, None])[codes], dtype=object)


def decoded_text(body: bytes) -> str:
    """Decode text that should be UTF-8 and, where it is not, was a Windows program's."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _word(value: Any) -> str | None:
    """Return what a cell says as a class, None if it says nothing."""
    if isinstance(value, bytes):
        value = decoded_text(value)
    if isinstance(value, str) and value[:1] + value[-1:] in {"[]", "{}"}:  # written out
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = ast.literal_eval(value)
    if isinstance(value, (list, tuple)):
        return min((word for word in map(_word, value) if word is not None), default=None)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None or isinstance(value, (dict, set)) else str(value)


def _objects(values: list[Any]) -> Objects:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def positions(
    ids: Ids, found: NDArray[Any], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find ids among the wanted.

    Parameters
    ----------
    ids
        [n] wanted, strictly ascending.
    found
        [k], what a source holds, of the same kind.
    valid
        bool[k], which of `found` count.

    Returns
    -------
    rows : int64[m]
        Indices into `found` of the wanted rows, ascending.
    positions : int64[m]
        Where each one's id stands in `ids`.
    """
    if not len(ids):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    place = np.searchsorted(ids, found)
    place[place == len(ids)] = 0
    rows = np.flatnonzero(valid & (ids[place] == found))
    return rows, place[rows]
