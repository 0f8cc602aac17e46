"""Partial sums: keyed integer tables that merge exactly, in any order, to the same bytes.

A `Partial` holds, for each of a job's tables, rows strictly ascending by key. `merge` takes any
number at once and is associative and commutative, with `empty` as its identity; `combine` makes
one from the rows of many objects. There is no float in here and no subtraction: min and max have
no inverse. Memory is that of what is given and what comes of it; `combine` sorts one copy more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import JobError, PartialError
from mapreduce.tables.grouping import grouped
from mapreduce.tables.merge import collapsed, merged_runs, order_of, sorted_rows
from mapreduce.tables.runs import LIMB_BITS, run_starts
from mapreduce.tables.table import Column, Rows, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mapreduce.tables.arrays import Array, Ints


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
    pairs.sort(key=lambda pair: pair[1])
    keys = tuple(np.concatenate(c) for c in zip(*(r.keys for r, _ in pairs), strict=True))
    values = tuple(np.concatenate(c) for c in zip(*(r.values for r, _ in pairs), strict=True))
    if table.distinct:
        lengths = [len(r) for r, _ in pairs]
        origin = np.repeat(np.array([o for _, o in pairs], dtype=np.int64), lengths)
        quick = grouped(
            keys,
            [
                ("distinct", origin) if column.name in table.distinct else (column.rule, value)
                for column, value in zip(schema.columns, values, strict=True)
            ],
            ascending=True,
        )
        if quick is not None:
            return TablePartial(schema, *quick)
        order = order_of((*keys, origin))
        keys = tuple(k[order] for k in keys)
        first = np.zeros(len(order), dtype=np.int64)
        first[run_starts((*keys, origin[order]))] = 1
        values = tuple(
            first if column.name in table.distinct else value[order]
            for column, value in zip(schema.columns, values, strict=True)
        )
        return TablePartial(schema, *collapsed(schema, keys, values))
    return TablePartial(schema, *sorted_rows(schema, keys, values))


def within_object(table: Table, parts: Sequence[TablePartial]) -> TablePartial:
    """Merge partials of one and the same object: there a distinct count stays 1."""
    schema = table.schema
    once = tuple(Column(c.name, "max") if c.name in table.distinct else c for c in schema.columns)
    inside = Schema(schema.name, schema.keys, once)
    merged_parts = _merged(inside, parts)
    return TablePartial(schema, merged_parts.keys, merged_parts.values)


def distinct_counts(table: TablePartial, pairs: TablePartial) -> Ints:
    """Count the rows of `pairs` for each key of `table`: int64[n].

    The keys of `pairs` are those of `table` and one more.
    """
    counts = Schema("", table.schema.keys, (Column("n", "sum"),))
    keys = pairs.keys[:-1]
    starts = run_starts(keys)
    lengths = np.diff(np.append(starts, len(pairs)))
    found = TablePartial(counts, tuple(k[starts] for k in keys), (lengths.astype(np.int64),))
    none = TablePartial(counts, table.keys, (np.zeros(len(table), dtype=np.int64),))
    return _merged(counts, [none, found]).values[0]


def _merged(schema: Schema, tables: Sequence[TablePartial]) -> TablePartial:
    filled = [t for t in tables if len(t)]
    if len(filled) <= 1:
        return filled[0] if filled else tables[0]
    return TablePartial(schema, *merged_runs(schema, [(t.keys, t.values) for t in filled]))


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
            estimate = f"; at this rate all {all_objects:,} objects yield up to {whole:,}"
        raise JobError(
            f"table {table.schema.name!r} has {len(table):,} keys after {seen_objects:,} objects"
            f"{estimate}, more than --max-keys {max_keys:,}. Is the key unbounded (a time, or an"
            " id per record)? Choose a coarser key, or raise --max-keys if there is enough"
            " memory."
        )
