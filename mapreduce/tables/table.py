"""What a table of partial sums is, and how records become rows of it.

A table has integer keys (int64, or bytes of a declared width) and integer values, each merged by
one rule. `Table.fold` is the heart of a job: records of equal keys become one row before anything
is sorted (see `grouping`); where that is numpy's to do, each run of them does, since consecutive
records mostly share their key. Floats are refused (scale
them first), sums that could pass int64 raise, and a key longer than declared is counted, never cut.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from mapreduce.errors import JobError
from mapreduce.tables import grouping
from mapreduce.tables.grouping import grouped
from mapreduce.tables.histogram import Histogram, percentile_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Ints: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = npt.NDArray[Any]

LIMB_BITS: Final = 32
LIMB_MASK: Final = (1 << LIMB_BITS) - 1
INT64_MAX: Final = 2**63 - 1
SCALED_LIMIT: Final = 2.0**62
MAX_KEY_WIDTH: Final = 1024
TAKEN: Final = frozenset(("asdict", "limbs", "self"))


class Rule(enum.Enum):
    """How two values of one key become one."""

    SUM = "sum"
    WIDE_SUM = "wide"
    MIN = "min"
    MAX = "max"
    DISTINCT = "distinct"


Sum: Final = Rule.SUM
WideSum: Final = Rule.WIDE_SUM
Min: Final = Rule.MIN
Max: Final = Rule.MAX


def Distinct(*, per: str | Key) -> Rule | Counted:  # noqa: N802 - reads as a rule beside Sum and Min
    """Count the distinct things in which a key occurs: each counts once, however often it does.

    Parameters
    ----------
    per
        "object" counts objects. Any other name, or a `Key` for text, counts the distinct values
        that `fold` is given under it: `Distinct(per="trip")` and `fold(…, trip=r.trip)`. That is
        exact wherever these values lie, also where one is in several objects, and costs a row for
        each pair of key and value.
    """
    if per == "object":
        return Rule.DISTINCT
    if isinstance(per, str) and per:
        per = Key(per)
    if isinstance(per, Key):
        return Counted(per)
    raise JobError(f"Distinct(per=…): expected 'object', a name or a Key, got {per!r}")


class Key(msgspec.Struct, frozen=True):
    """One key column: int64 when `width` is 0, else bytes of at most `width` (no NUL inside)."""

    name: str
    width: int = 0


class Counted(msgspec.Struct, frozen=True):
    """A column that counts the distinct values of a key of its own; see `Distinct`."""

    key: Key


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
            column, good = _key_column(key, given)
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
            out += _folded(rule, given_values[name], starts, n, f"{self.name}.{name}")
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


def scaled(values: npt.NDArray[np.float64], per_unit: int) -> Ints:
    """Whole numbers of 1/`per_unit`: `rint(values * per_unit)` as int64, floats masked before.

    Raises
    ------
    JobError
        Where a value is NaN, infinite, or does not fit (the cast differs between processors), and
        where `per_unit` is below 1.
    """
    if per_unit < 1:
        raise JobError(f"scaled: expected at least 1 part of a unit, got {per_unit}")
    values = np.asarray(values, dtype=np.float64)
    most = SCALED_LIMIT / per_unit
    if (quick := grouping.scaled(values, per_unit, most)) is not None:
        return quick
    if len(values) and not (-most < values.min() and values.max() < most):  # false for NaN too
        raise JobError(
            f"scaled: a value is NaN, infinite, or above 2**62 / {per_unit}; mask it first"
        )
    return np.rint(values * per_unit).astype(np.int64)


def integers(values: Any, what: str) -> Ints:
    """Give an int64 array; refuse floats and what does not fit."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise JobError(f"{what}: expected one dimension, got {array.ndim}")
    if array.dtype == np.int64:
        return array
    if array.dtype.kind in "biu" and np.can_cast(array.dtype, np.int64):
        return array.astype(np.int64)
    if len(array) == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind == "u" and int(array.max()) <= INT64_MAX:
        return array.astype(np.int64)
    hint = " Scale it first: mapreduce.scaled(x, 1_000_000)." if array.dtype.kind == "f" else ""
    raise JobError(f"{what}: expected integers that fit int64, got {array.dtype}.{hint}")


def _in_fold(rule: Rule) -> str:
    """Name a rule as `grouped` has it: whatever is distinct is there once, in one fold."""
    return "max" if rule is Rule.DISTINCT else rule.value


def run_starts(keys: Sequence[Array]) -> npt.NDArray[np.intp]:
    """Positions at which a run of equal keys begins."""
    begins = np.ones(len(keys[0]), dtype=np.bool_)
    np.not_equal(keys[0][1:], keys[0][:-1], out=begins[1:])
    for key in keys[1:]:
        begins[1:] |= key[1:] != key[:-1]
    (starts,) = begins.nonzero()
    return starts


def checked_sum(x: Ints, starts: npt.NDArray[np.intp], what: str) -> Ints:
    """Sum groups that begin at `starts`; raise where one passes int64 (numpy would wrap)."""
    if len(x) == 0:
        return x
    largest = max(abs(int(x.max())), abs(int(x.min())))
    if largest * len(x) > INT64_MAX:
        about = np.add.reduceat(np.abs(x.astype(np.float64)), starts)
        if float(about.max()) >= 2.0**62:
            high = np.add.reduceat(x >> LIMB_BITS, starts)
            high += np.add.reduceat(x & LIMB_MASK, starts) >> LIMB_BITS
            if int(high.max()) >= 2**31 or int(high.min()) < -(2**31):
                raise JobError(f"{what}: a sum exceeds int64; declare the column WideSum")
    return np.add.reduceat(x, starts)


def carried(high: Ints, low: Ints) -> tuple[Ints, Ints]:
    """Bring limbs to their one normal form: 0 <= low < 2**32."""
    return high + (low >> LIMB_BITS), low & LIMB_MASK


def _folded(
    rule: Rule, value: Ints | int, starts: npt.NDArray[np.intp], n: int, what: str
) -> list[Ints]:
    """Fold one declared column: the value of each run, or the two limbs of a wide sum."""
    if rule is Rule.DISTINCT:
        return [np.ones(len(starts), dtype=np.int64)]
    if rule is Rule.SUM and isinstance(value, int) and value == 1:  # a count: the runs' lengths
        return [_lengths(starts, n)]
    if isinstance(value, int):
        value = np.full(n, value, dtype=np.int64)
    if n == 0:
        return [value] * (2 if rule is Rule.WIDE_SUM else 1)
    if rule is Rule.WIDE_SUM:
        high = np.add.reduceat(value >> LIMB_BITS, starts)
        return list(carried(high, np.add.reduceat(value & LIMB_MASK, starts)))
    if rule is Rule.SUM:
        return [checked_sum(value, starts, what)]
    extreme = np.minimum if rule is Rule.MIN else np.maximum
    return [extreme.reduceat(value, starts)]


def _lengths(starts: npt.NDArray[np.intp], n: int) -> Ints:
    """Give the lengths of the runs that begin at `starts`, the last of which ends at `n`."""
    lengths = np.empty(len(starts), dtype=np.int64)
    np.subtract(starts[1:], starts[:-1], out=lengths[:-1])
    lengths[-1:] = n - starts[-1:]
    return lengths


def _key_column(key: Key, values: Any) -> tuple[Array, npt.NDArray[np.bool_] | None]:
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
