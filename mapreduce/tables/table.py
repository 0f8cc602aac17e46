"""What a table of partial sums is, and how records become rows of it.

A table has integer keys (int64, or bytes of a declared width) and integer values, each merged by
one rule. `Table.fold` is the heart of a job: records of equal keys become one row before anything
is sorted (see `grouping`); where that is numpy's to do, each run of them does, since consecutive
records mostly share their key. Floats are refused (scale them first), sums that could pass int64
raise, and a key longer than declared is counted, never cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mapreduce.errors import JobError
from mapreduce.tables.arrays import INT64_MAX, Array, Ints, integers
from mapreduce.tables.grouping import grouped
from mapreduce.tables.histogram import Histogram, percentile_names
from mapreduce.tables.key_column import key_column
from mapreduce.tables.rules import MAX_KEY_WIDTH, Counted, Key, Max, Rule, Sum
from mapreduce.tables.runs import folded_runs, run_starts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAKEN: Final = frozenset(("asdict", "limbs", "self"))


class Column(msgspec.Struct, frozen=True):
    """One stored value column. A wide sum is stored as two: `NAME.hi` and `NAME.lo`."""

    name: str
    rule: Literal["sum", "min", "max", "wide_hi", "wide_lo"]


class Schema(msgspec.Struct, frozen=True):
    """A table as stored: its name, key columns and value columns, in order."""

    name: str
    keys: tuple[Key, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table in no order, keys perhaps repeated: what `fold` gives and `map` returns.

    `keys` and `values` are parallel to the schema's columns; `refused` counts records whose key
    was too long or held a NUL. `behind` are rows of the tables behind its columns.
    """

    table: Table
    keys: tuple[Array, ...]
    values: tuple[Ints, ...]
    refused: int = 0
    behind: tuple[Rows, ...] = ()

    def __len__(self) -> int:
        return len(self.keys[0])


class Table:
    """A keyed table of integers, declared as an attribute of a job.

    Parameters
    ----------
    key
        The key's name (int64), a `Key` (for bytes), or a sequence of these.
    **values
        Column name -> rule: `Sum`, `WideSum`, `Min`, `Max`, `Distinct(per=…)` or `Histogram(…)`.

    Attributes
    ----------
    behind
        Column that needs a table of its own -> that table, which has one key more: the values
        that are counted (`Distinct`), or the bucket (`Histogram`).
    histograms
        Column -> its `Histogram`.
    """

    def __init__(
        self, key: str | Key | Sequence[str | Key], **values: Rule | Counted | Histogram
    ) -> None:
        given = (key,) if isinstance(key, (str, Key)) else tuple(key)
        self.name = ""
        self.keys = tuple(k if isinstance(k, Key) else Key(k) for k in given)
        self.histograms = {n: r for n, r in values.items() if isinstance(r, Histogram)}
        self._check(values)
        self.values = {n: r for n, r in values.items() if isinstance(r, Rule)}
        self.distinct = tuple(n for n, r in values.items() if r is Rule.DISTINCT)
        self.behind: dict[str, Table] = {}
        for name, rule in values.items():
            if isinstance(rule, Counted):
                self.behind[name] = Table((*self.keys, rule.key), seen=Max)
            elif isinstance(rule, Histogram):
                self.behind[name] = Table((*self.keys, Key(name)), n=Sum)

    def __set_name__(self, owner: type, name: str) -> None:
        self.named(name)

    def named(self, name: str) -> Table:
        """Name the table, as being an attribute of a job does."""
        self.name = name
        for column, table in self.behind.items():
            table.named(f"{name}.{column}")
        return self

    @property
    def schema(self) -> Schema:
        """The table as stored: each value's column or, for a wide sum, its two."""
        columns: list[Column] = []
        for name, rule in self.values.items():
            match rule:
                case Rule.WIDE_SUM:
                    columns += [Column(f"{name}.hi", "wide_hi"), Column(f"{name}.lo", "wide_lo")]
                case Rule.MIN:
                    columns.append(Column(name, "min"))
                case Rule.MAX:
                    columns.append(Column(name, "max"))
                case Rule.SUM | Rule.DISTINCT:
                    columns.append(Column(name, "sum"))
        return Schema(self.name, self.keys, tuple(columns))

    def fold(self, *keys: Any, **values: Any) -> Rows:
        """Fold records into rows: at most one for each run of equal keys.

        Parameters
        ----------
        *keys
            One array a key column, each of length n: integers, or bytes for a `Key` with a width.
        **values
            One for each declared column but the distinct ones: an integer or boolean array of
            length n, or one integer for all. Not floats: scale them with `mapreduce.scaled`. For
            `Distinct(per="trip")` an array `trip`, as of a key; for a `Histogram` its values.

        Raises
        ------
        JobError
            On a column that is missing, unknown, not integer or of another length, and where a
            sum would pass int64 (declare it `WideSum`).
        """
        self._check_call(keys, values)
        behind = tuple(self._behind(name, keys, values) for name in self.behind)
        columns: list[Array] = []
        kept: npt.NDArray[np.bool_] | None = None
        for key, given in zip(self.keys, keys, strict=True):
            column, good = key_column(key, given)
            columns.append(column)
            if good is not None:
                kept = good if kept is None else kept & good
        n = len(columns[0])
        if any(len(c) != n for c in columns):
            raise JobError(f"{self.name}.fold: keys of lengths {[len(c) for c in columns]}")
        refused = 0
        if kept is not None:
            columns = [c[kept] for c in columns]
            refused, n = n - len(columns[0]), len(columns[0])
        given_values = {
            name: 1 if rule is Rule.DISTINCT else self._value(name, values[name], n, kept)
            for name, rule in self.values.items()
        }
        quick = grouped(columns, [(_in_fold(self.values[m]), v) for m, v in given_values.items()])
        if quick is not None:
            return Rows(self, *quick, refused, behind)
        starts = run_starts(columns)
        folded = tuple(c[starts] for c in columns)
        out: list[Ints] = []
        for name, rule in self.values.items():
            out += folded_runs(rule, given_values[name], starts, n, f"{self.name}.{name}")
        return Rows(self, folded, tuple(out), refused, behind)

    def _behind(self, name: str, keys: Sequence[Any], values: dict[str, Any]) -> Rows:
        """Fold what the table behind a column needs, and take it from the values."""
        table = self.behind[name]
        given = values.pop(table.keys[-1].name)
        if name not in self.histograms:
            return table.fold(*keys, given, seen=1)
        given = integers(given, f"{self.name}.{name}")
        return table.fold(*keys, self.histograms[name].buckets(given), n=1)

    def _value(self, name: str, value: Any, n: int, kept: Array | None) -> Ints | int:
        if isinstance(value, (int, np.integer)):
            if not -INT64_MAX <= int(value) <= INT64_MAX:
                raise JobError(f"{self.name}.{name}: {value} does not fit int64")
            return int(value)
        column = integers(value, f"{self.name}.{name}")
        if kept is not None:
            column = column[kept]
        if len(column) != n:
            raise JobError(f"{self.name}.{name} has {len(column)} rows, its keys {n}")
        return column

    def _check(self, values: Mapping[str, Rule | Counted | Histogram]) -> None:
        counted = [r.key for r in values.values() if isinstance(r, Counted)]
        names = [k.name for k in (*self.keys, *counted)] + list(values)
        names += [n for name in self.histograms for n in percentile_names(name)]
        if not self.keys or not any(isinstance(r, Rule) for r in values.values()):
            raise JobError("a Table needs a key and at least one column: Table(key='link', n=Sum)")
        for name in names:
            if not name.isidentifier() or name.startswith("_") or name in TAKEN:
                raise JobError(
                    f"column {name!r}: expected a Python identifier that begins with a letter and"
                    f" is none of {', '.join(sorted(TAKEN))}, which tables already have"
                )
            if names.count(name) > 1:
                raise JobError(f"column {name!r} is declared twice: use different names")
        for name, rule in values.items():
            if not isinstance(rule, (Rule, Counted, Histogram)):
                raise JobError(
                    f"column {name!r}: expected Sum, WideSum, Min, Max, Distinct or Histogram"
                )
        for k in (*self.keys, *counted):
            if not 0 <= k.width <= MAX_KEY_WIDTH:
                raise JobError(f"key {k.name!r}: width is 1 to {MAX_KEY_WIDTH} bytes, 0 for int64")

    def _check_call(self, keys: Sequence[Any], values: dict[str, Any]) -> None:
        if len(keys) != len(self.keys):
            names = ", ".join(k.name for k in self.keys)
            raise JobError(
                f"{self.name}.fold takes {len(self.keys)} keys ({names}), got {len(keys)}"
            )
        wanted = {n for n, r in self.values.items() if r is not Rule.DISTINCT}
        wanted |= {t.keys[-1].name for t in self.behind.values()}
        if wanted != set(values):
            expected, got = ", ".join(sorted(wanted)), ", ".join(sorted(values))
            raise JobError(f"{self.name}.fold takes {expected}; got {got}")


def _in_fold(rule: Rule) -> str:
    """Name a rule as `grouped` has it: whatever is distinct is there once, in one fold."""
    return "max" if rule is Rule.DISTINCT else rule.value
