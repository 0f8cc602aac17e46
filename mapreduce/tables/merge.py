"""Rows of equal keys become one: what `partial.merge` does to the columns of a table.

Runs (rows strictly ascending by key) are merged in slices of the key space, each of few rows of
every run, so that beside the runs and their result there is never more than a slice's sort. Equal
keys always meet in one slice, so slicing never shows in the result. Columns in, columns out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from mapreduce.tables.arrays import Array, Ints
from mapreduce.tables.grouping import grouped
from mapreduce.tables.runs import carried, checked_sum, run_starts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from mapreduce.tables.table import Schema

Columns: TypeAlias = tuple[tuple[Array, ...], tuple[Ints, ...]]  # keys, values

PACKED_KEY_LIMIT: Final = 2**62
SLICE_ROWS: Final = 1 << 17  # of all runs together: a slice stays in the processor's cache


def merged_runs(schema: Schema, runs: Sequence[Columns]) -> Columns:
    """Merge runs, of which none is empty.

    Memory beside the runs: the result, one column of it, and a slice.

    Raises
    ------
    JobError
        Where a sum passes int64.
    """
    wholes: list[list[Array]] = [[] for _ in (*schema.keys, *schema.columns)]
    for keys, values in _slices(runs):
        merged_keys, merged_values = sorted_rows(schema, keys, values)
        for whole, column in zip(wholes, (*merged_keys, *merged_values), strict=True):
            whole.append(column)
    columns: list[Array] = []
    for whole in wholes:
        columns.append(whole[0] if len(whole) == 1 else np.concatenate(whole))
        whole.clear()
    return tuple(columns[: len(schema.keys)]), tuple(columns[len(schema.keys) :])


def sorted_rows(schema: Schema, keys: tuple[Array, ...], values: tuple[Ints, ...]) -> Columns:
    """Sort rows that come in any order, and merge those of equal keys.

    Raises
    ------
    JobError
        Where a sum passes int64.
    """
    columns = zip((c.rule for c in schema.columns), values, strict=True)
    quick = grouped(keys, list(columns), ascending=True)
    if quick is not None:
        return quick
    order = order_of(keys)
    return collapsed(schema, tuple(k[order] for k in keys), tuple(v[order] for v in values))


def collapsed(schema: Schema, keys: tuple[Array, ...], values: tuple[Ints, ...]) -> Columns:
    """Merge neighbouring rows of equal keys, each column by its rule."""
    starts = run_starts(keys)
    out: list[Ints] = []
    for column, value in zip(schema.columns, values, strict=True):
        match column.rule:
            case "min":
                out.append(np.minimum.reduceat(value, starts))
            case "max":
                out.append(np.maximum.reduceat(value, starts))
            case "wide_lo":  # its high limb is the column before
                high, low = carried(out[-1], np.add.reduceat(value, starts))
                out[-1:] = [high, low]
            case _:
                out.append(checked_sum(value, starts, f"{schema.name}.{column.name}"))
    return tuple(k[starts] for k in keys), tuple(out)


def order_of(keys: tuple[Array, ...]) -> npt.NDArray[np.intp]:
    """Ascending order of the rows; several integer keys are packed into one where they fit."""
    if len(keys) > 1:
        packed = _packed_key(keys)
        if packed is None:
            return np.lexsort(keys[::-1])
        keys = (packed,)
    return np.argsort(keys[0], kind="stable")


def _slices(runs: Sequence[Columns]) -> Iterator[Columns]:
    """Give the rows of all runs, a range of keys after the other; at most `SLICE_ROWS` at once.

    Of each run so many rows are looked at; the lowest of their last keys is how far all can go.
    """
    at = [0] * len(runs)
    left = list(range(len(runs)))
    while left:
        block = max(1, SLICE_ROWS // len(left))
        stops = {i: min(at[i] + block, len(runs[i][0][0])) for i in left}
        cut = [i for i in left if stops[i] < len(runs[i][0][0])]
        if cut:
            lowest = min(_key(runs[i][0], stops[i] - 1) for i in cut)
            stops = {i: _stop(runs[i][0], at[i], stops[i], lowest) for i in left}
        taken = [i for i in left if at[i] < stops[i]]
        rows = [slice(at[i], stops[i]) for i in taken]
        keys, values = [runs[i][0] for i in taken], [runs[i][1] for i in taken]
        yield _joined(keys, rows), _joined(values, rows)
        for i in left:
            at[i] = stops[i]
        left = [i for i in left if at[i] < len(runs[i][0][0])]


def _joined(columns: Sequence[tuple[Array, ...]], rows: Sequence[slice]) -> tuple[Array, ...]:
    """Join some rows of each run, column by column."""
    return tuple(
        np.concatenate([column[some] for column, some in zip(same, rows, strict=True)])
        for same in zip(*columns, strict=True)
    )


def _key(keys: tuple[Array, ...], row: int) -> tuple[int | bytes, ...]:
    return tuple(k[row].item() for k in keys)


def _stop(keys: tuple[Array, ...], start: int, stop: int, key: tuple[int | bytes, ...]) -> int:
    """Give where, within [start, stop), rows above `key` begin."""
    for column, wanted in zip(keys, key, strict=True):
        equal = column[start:stop]
        value = np.array(wanted, dtype=column.dtype)
        stop = start + int(np.searchsorted(equal, value, "right"))
        start += int(np.searchsorted(equal, value, "left"))
    return stop


def _packed_key(keys: tuple[Array, ...]) -> Ints | None:
    if any(k.dtype.kind == "S" for k in keys) or len(keys[0]) == 0:
        return None
    lows = [int(k.min()) for k in keys]
    spans = [int(k.max()) - low + 1 for k, low in zip(keys, lows, strict=True)]
    if np.prod([float(s) for s in spans]) >= PACKED_KEY_LIMIT:
        return None
    packed = np.zeros(len(keys[0]), dtype=np.int64)
    for key, low, span in zip(keys, lows, spans, strict=True):
        packed = packed * span + (key - low)
    return packed
