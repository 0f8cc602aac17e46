"""Partial sums: keyed integer tables that merge exactly, in any order, to the same bytes.

A `Partial` holds, for each of a job's tables, rows strictly ascending by key. `merge` takes any
number at once and is associative and commutative, with `empty` as its identity; `combine` makes
one from the rows of many objects. There is no float in here and no subtraction: min and max have
no inverse. Memory is that of the rows given plus one sorted copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mapreduce.errors import JobError, PartialError
from mapreduce.table import (
    LIMB_BITS,
    Array,
    Column,
    Ints,
    Rows,
    Schema,
    Table,
    carried,
    checked_sum,
    run_starts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

PACKED_KEY_LIMIT: Final = 2**62


@dataclass(frozen=True, slots=True)
class TablePartial:
    """One table's rows: `keys` and `values` parallel to the schema, rows strictly ascending."""

    schema: Schema
    keys: tuple[Array, ...]
    values: tuple[Ints, ...]

    def __len__(self) -> int:
        return len(self.keys[0])

    @property
    def size_bytes(self) -> int:
        """Memory of all columns."""
        return sum(c.nbytes for c in (*self.keys, *self.values))


@dataclass(frozen=True, slots=True)
class Partial:
    """All tables of one job over some objects, in the order the job declares them."""

    tables: tuple[TablePartial, ...]

    def __len__(self) -> int:
        return sum(map(len, self.tables))

    @property
    def size_bytes(self) -> int:
        """Memory of all tables."""
        return sum(t.size_bytes for t in self.tables)


def empty(schemas: Sequence[Schema]) -> Partial:
    """Give the identity of `merge`: no rows at all."""
    return Partial(tuple(_no_rows(s) for s in schemas))


def merge(partials: Sequence[Partial]) -> Partial:
    """Merge any number of partials of the same tables; the order never matters.

    Raises
    ------
    PartialError
        Where the tables differ.
    JobError
        Where a sum passes int64.
    """
    if not partials:
        raise PartialError("merge needs at least one partial; start from partial.empty(schemas)")
    first = partials[0]
    if len(partials) == 1:
        return first
    schemas = tuple(t.schema for t in first.tables)
    for other in partials[1:]:
        if tuple(t.schema for t in other.tables) != schemas:
            raise PartialError(f"cannot merge partials of different tables: {schemas} and others")
    return Partial(
        tuple(_merged(schema, [p.tables[i] for p in partials]) for i, schema in enumerate(schemas))
    )


def combine(table: Table, rows: Sequence[Rows], objects: Sequence[int]) -> TablePartial:
    """Combine rows of many objects into one table's partial.

    Parameters
    ----------
    table
        The table that all the rows belong to.
    rows
        What `fold` gave, one or more for each object.
    objects
        The ordinal of the object each of `rows` came from, parallel to it. All rows of one object
        must be in the same call: that is what makes a distinct count exact.
    """
    schema = table.schema
    pairs = [(r, o) for r, o in zip(rows, objects, strict=True) if len(r)]
    if not pairs:
        return _no_rows(schema)
    keys = tuple(np.concatenate(c) for c in zip(*(r.keys for r, _ in pairs), strict=True))
    values = tuple(np.concatenate(c) for c in zip(*(r.values for r, _ in pairs), strict=True))
    if table.distinct:
        lengths = [len(r) for r, _ in pairs]
        origin = np.repeat(np.array([o for _, o in pairs], dtype=np.int64), lengths)
        order = _order((*keys, origin))
        keys = tuple(k[order] for k in keys)
        first = np.zeros(len(order), dtype=np.int64)
        first[run_starts((*keys, origin[order]))] = 1
        values = tuple(
            first if column.name in table.distinct else value[order]
            for column, value in zip(schema.columns, values, strict=True)
        )
        return _collapsed(schema, keys, values)
    return _sorted(schema, keys, values)


def within_object(table: Table, parts: Sequence[TablePartial]) -> TablePartial:
    """Merge partials of one and the same object: there a distinct count stays 1."""
    schema = table.schema
    once = tuple(Column(c.name, "max") if c.name in table.distinct else c for c in schema.columns)
    inside = Schema(schema.name, schema.keys, once)
    merged_parts = _merged(inside, parts)
    return TablePartial(schema, merged_parts.keys, merged_parts.values)


def _merged(schema: Schema, tables: Sequence[TablePartial]) -> TablePartial:
    filled = [t for t in tables if len(t)]
    if len(filled) <= 1:
        return filled[0] if filled else tables[0]
    keys = tuple(np.concatenate(c) for c in zip(*(t.keys for t in filled), strict=True))
    values = tuple(np.concatenate(c) for c in zip(*(t.values for t in filled), strict=True))
    return _sorted(schema, keys, values)


def _sorted(schema: Schema, keys: tuple[Array, ...], values: tuple[Ints, ...]) -> TablePartial:
    order = _order(keys)
    return _collapsed(schema, tuple(k[order] for k in keys), tuple(v[order] for v in values))


def _order(keys: tuple[Array, ...]) -> npt.NDArray[np.intp]:
    """Ascending order of the rows; several integer keys are packed into one where they fit."""
    if len(keys) > 1:
        packed = _packed_key(keys)
        if packed is None:
            return np.lexsort(keys[::-1])
        keys = (packed,)
    return np.argsort(keys[0], kind="stable")


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


def _collapsed(schema: Schema, keys: tuple[Array, ...], values: tuple[Ints, ...]) -> TablePartial:
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
    return TablePartial(schema, tuple(k[starts] for k in keys), tuple(out))


def _no_rows(schema: Schema) -> TablePartial:
    keys = tuple(np.zeros(0, dtype=f"S{k.width}" if k.width else np.int64) for k in schema.keys)
    return TablePartial(schema, keys, tuple(np.zeros(0, dtype=np.int64) for _ in schema.columns))


def wide_total(high: Ints, low: Ints) -> npt.NDArray[np.object_]:
    """Whole value of a wide sum, as exact Python integers: hi * 2**32 + lo."""
    whole: npt.NDArray[np.object_] = high.astype(object) * (1 << LIMB_BITS) + low.astype(object)
    return whole


def check_keys(partial: Partial, max_keys: int, seen_objects: int, all_objects: int | None) -> None:
    """Refuse a table that outgrows `max_keys` with an estimate, before it eats the memory.

    Raises
    ------
    JobError
        With the number of keys so far and what all objects might bring.
    """
    for table in partial.tables:
        if len(table) <= max_keys:
            continue
        estimate = ""
        if all_objects and seen_objects:
            whole = len(table) * all_objects // seen_objects
            estimate = f"; at this pace all {all_objects:,} objects bring up to {whole:,}"
        raise JobError(
            f"table {table.schema.name!r} has {len(table):,} keys after {seen_objects:,} objects"
            f"{estimate}, more than --max-keys {max_keys:,}. Is the key unbounded (a time, an id"
            " a record)? Choose a coarser key, or raise --max-keys if the memory is there."
        )
