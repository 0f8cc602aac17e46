"""Which column is meant, and what integers a column of ids holds.

Rule: what the user named is taken as it is spelled, or refused with the names there are; what
they did not name is guessed only when one guess is plainly the best. A text is an id if it is
`-?[0-9]+` in ASCII and fits int64: the same rule that reads trips. Nothing here reads a file.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from roadspeed.roads import Objects

ID_NAMES = (
    ("linkid", "idlink"),
    ("edgeid", "segmentid", "osmwayid", "wayid", "osmid", "roadid", "id"),
)
GEOMETRY_NAMES = (
    ("geometry", "geom", "thegeom", "wkbgeometry", "wkt", "wkb", "geometrywkt", "shape", "geog"),
)
CLASS_NAMES = (
    "highway",
    "functionalclass",
    "funcclass",
    "fclass",
    "frc",
    "roadclass",
    "roadtype",
    "class",
)
SAFE_DIGITS = r"^-?0*[0-9]{1,18}$"
ANY_DIGITS = r"^-?[0-9]+$"
INT64 = np.iinfo(np.int64)
FLOAT_EXACT = 2.0**53


def choose_id(names: Sequence[str], named: str | None, where: str) -> str:
    """Return the column of link ids; `UsageError` if it is missing or several could be meant."""
    return _choose(names, named, ID_NAMES, "of link ids", "--roads-id", where)


def choose_geometry(names: Sequence[str], named: str | None, where: str) -> str:
    """Return the column of geometries; `UsageError` if missing or several could be meant."""
    return _choose(names, named, GEOMETRY_NAMES, "of geometries", "--roads-geometry", where)


def choose_class(names: Sequence[str], named: str | None, where: str) -> str | None:
    """Return the column of road classes, or None: maps can do without."""
    if named is not None:
        return _named(names, named, "of road classes", "--roads-class", where)
    plain = {_plain(name): name for name in reversed(names)}
    return next((plain[name] for name in CLASS_NAMES if name in plain), None)


def _choose(
    names: Sequence[str],
    named: str | None,
    tiers: Sequence[Sequence[str]],
    what: str,
    option: str,
    where: str,
) -> str:
    if named is not None:
        return _named(names, named, what, option, where)
    for tier in tiers:
        found = [name for name in names if _plain(name) in tier]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{where}: more than one column could be the one {what}: {', '.join(found)}. "
                f"Name it: {option} {found[0]}"
            )
    raise UsageError(
        f"{where}: expected a column {what}, got none by a usual name. "
        f"Its columns are: {listed(names)}. Name one: {option} COLUMN"
    )


def _named(names: Sequence[str], named: str, what: str, option: str, where: str) -> str:
    if named in names:
        return named
    lower = {name.lower(): name for name in names}
    near = [lower[n] for n in difflib.get_close_matches(named.lower(), lower, n=1)]
    hint = f". Did you mean {option} {near[0]}?" if near else f". Name one: {option} COLUMN"
    raise UsageError(
        f"{where}: expected the column {what} that was named, {named!r}, and found no such "
        f"column. Its columns are: {listed(names)}{hint}"
    )


def listed(names: Sequence[str], most: int = 40) -> str:
    """Join names for a message, not endlessly."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def integers(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read a column of ids.

    Parameters
    ----------
    column
        A pyarrow Array of integers, floats, decimals or text.

    Returns
    -------
    ids : int64[n]
        Zero where there is none.
    valid : bool[n]
        False for null, not an integer, or out of int64's range.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind):
        return _from_integers(column)
    if pa.types.is_floating(kind):
        values = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        valid = (np.abs(values) <= FLOAT_EXACT) & (values == np.rint(values))
        return np.where(valid, values, 0.0).astype(np.int64), valid
    if pa.types.is_decimal(kind):
        whole = [v is not None and v == v.to_integral_value() for v in column.to_pylist()]
        texts = [str(int(v)) if w else None for v, w in zip(column.to_pylist(), whole, strict=True)]
        column = pa.array(texts, pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        nothing = np.zeros(len(column), dtype=np.int64)
        return nothing, nothing.astype(np.bool_)
    return _from_text(column)


def _from_integers(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    if values.dtype == np.uint64:
        valid = valid & (values <= INT64.max)
    return np.where(valid, values, 0).astype(np.int64), valid


def _from_text(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    safe = pc.match_substring_regex(column, SAFE_DIGITS).fill_null(False)
    ids = pc.if_else(safe, column, "0").cast(pa.int64()).to_numpy(zero_copy_only=False)
    valid = safe.to_numpy(zero_copy_only=False)
    long = pc.match_substring_regex(column, ANY_DIGITS).fill_null(False)
    rare = np.flatnonzero(long.to_numpy(zero_copy_only=False) & ~valid)
    if rare.size:  # 19 digits and more: may or may not fit
        ids, valid = ids.copy(), valid.copy()
        for at in rare.tolist():
            text = column[at].as_py()
            digits = text.lstrip("-").lstrip("0")
            value = int(text) if len(digits) < 20 else INT64.max + 1  # noqa: PLR2004 - 2**63 has 19
            if INT64.min <= value <= INT64.max:
                ids[at], valid[at] = value, True
    return ids, valid


def texts(column: Any) -> Objects:
    """Return a column as object[n] of str or None; equal texts are one object."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    words = [None if word is None else str(word) for word in column.dictionary.to_pylist()]
    lookup = np.array([*words, None], dtype=object)
    codes = column.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    return np.asarray(lookup[codes], dtype=object)


def positions(
    ids: NDArray[np.int64], found: NDArray[np.int64], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find ids among the wanted.

    Parameters
    ----------
    ids
        int64[n] wanted, strictly ascending.
    found
        int64[k], what a source holds.
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
