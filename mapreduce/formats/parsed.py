"""What was read of an object: columns of the records kept, and an account of the rest by reason.

Each record is kept, or dropped for one reason: the first that applies, in the order in which the
fields are declared. A few of each reason are shown with their place and what stood there. It knows
masks and columns, not the bytes they came from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mapreduce.ledger import SAMPLES_PER_REASON
from mapreduce.safe_text import shown_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mapreduce.formats.field_column import FieldColumn, Mask
    from mapreduce.formats.fields import Field
    from mapreduce.tables.arrays import Array

NOT_A_RECORD: Final = "not_a_record"
JOINED_AT_ONCE: Final = 1 << 10  # a part of one record takes a kilobyte
Shown: TypeAlias = "Callable[[str, int], str]"


@dataclass(frozen=True, slots=True)
class Nan:
    """Records that are none for NaN, Infinity or -Infinity alone.

    How many, how many of them would be kept if these were allowed, since nothing wanted is so; and
    the place of the first of those (of all, where there are none), with the word and its path.
    """

    records: int
    unused: int
    first: tuple[int, str]


@dataclass(frozen=True, slots=True)
class Parsed:
    """Records of one object, or of one block of it, as columns.

    `columns` has an array of length n for each field; `present` a mask for each optional field
    that is absent somewhere; `rows` is int64[n], each kept record's place in the object, counted
    from 0. `dropped` counts by reason, `samples` holds a few (reason, place, value as the document
    had it). `nan` counts the records dropped for NaN, Infinity or -Infinity.
    """

    columns: Mapping[str, Array]
    present: Mapping[str, Mask]
    rows: npt.NDArray[np.int64]
    read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    samples: Sequence[tuple[str, int, str]] = ()
    nan: Nan | None = None


def columns_of(
    fields: Mapping[str, Field], leaves: Mapping[str, Sequence[Any]]
) -> dict[str, FieldColumn]:
    """Turn decoded leaves into columns."""
    return {name: field.column(leaves[name]) for name, field in fields.items()}


def assembled(
    fields: Mapping[str, Field],
    found: Mapping[str, FieldColumn],
    n: int,
    not_records: Mask | None = None,
    *,
    shown: Shown,
) -> Parsed:
    """Give the columns of the records kept, and count the rest by reason.

    `not_records` marks records that are none at all; they come before any field's reasons.
    `shown` gives a field's bad value as the document had it, by name and place; without a name the
    record itself.
    """
    unwanted: Mask | None = None
    dropped: dict[str, int] = {}
    samples: list[tuple[str, int, str]] = []

    def drop(mask: Mask | None, reason: str, value: Callable[[int], str]) -> None:
        nonlocal unwanted
        if mask is None:
            return
        (places,) = (mask if unwanted is None else mask & ~unwanted).nonzero()
        if len(places):
            dropped[reason] = len(places)
            few = places[:SAMPLES_PER_REASON].tolist()
            samples.extend((reason, place, value(place)) for place in few)
            unwanted = mask if unwanted is None else unwanted | mask

    drop(not_records, NOT_A_RECORD, partial(shown, ""))
    columns, absent = {}, {}
    for name, wanted_field in fields.items():
        column = found[name]
        columns[name] = column.values
        if not wanted_field.optional:
            drop(column.absent, f"no_{name}", _nothing)
        elif column.absent is not None:
            absent[name] = column.absent
        drop(column.bad, f"bad_{name}", partial(shown, name))
        drop(column.outside, f"{name}_out_of_range", partial(_number_at, column.values))
    if unwanted is None:
        return Parsed(columns, {k: ~a for k, a in absent.items()}, np.arange(n), n)
    (kept,) = (~unwanted).nonzero()
    return Parsed(
        {k: c[kept] for k, c in columns.items()},
        {k: ~a[kept] for k, a in absent.items()},
        kept,
        n,
        dropped,
        samples,
    )


def not_a_record(fields: Mapping[str, Field], told: str) -> Parsed:
    """Give one record that is none; `told` is what is shown of it."""
    columns = {name: field.column([]).values for name, field in fields.items()}
    samples = [(NOT_A_RECORD, 0, told)]
    return Parsed(columns, {}, np.arange(0), 1, {NOT_A_RECORD: 1}, samples)


def narrowed(parsed: Parsed, more: Parsed) -> Parsed:
    """Add columns of the records kept to them; what `more` drops of these is dropped."""
    rows = more.rows
    return replace(
        parsed,
        columns={**{name: c[rows] for name, c in parsed.columns.items()}, **more.columns},
        present={**{name: c[rows] for name, c in parsed.present.items()}, **more.present},
        rows=parsed.rows[rows],
        dropped=Counter(parsed.dropped) + Counter(more.dropped),
        samples=[
            *parsed.samples,
            *((reason, int(parsed.rows[place]), value) for reason, place, value in more.samples),
        ],
    )


def joined(parts: Sequence[Parsed], fields: Mapping[str, Field]) -> Parsed:
    """Give parts of one object as one, in their order; of each reason the first samples."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(part.read for part in parts)]).tolist()
    places = list(zip(parts, starts, strict=False))
    dropped: Counter[str] = Counter()
    for part in parts:
        dropped.update(part.dropped)
    filled = [part for part in parts if len(part.rows)]
    empty = {name: f.column([]).values for name, f in fields.items()}
    names = filled[0].columns if filled else fields  # of lines there is a column without a field
    nans = [(part.nan, start) for part, start in places if part.nan is not None]
    return Parsed(
        {name: np.concatenate([p.columns[name] for p in filled] or [empty[name]])
         for name in names},
        {name: np.concatenate([_present(p, name) for p in filled])
         for name in fields if any(name in p.present for p in filled)},
        np.concatenate([np.arange(0), *(p.rows + start for p, start in places)]),
        starts[-1],
        dropped,
        _samples_of(places),
        _nan_of(nans),
    )  # fmt: skip


def joined_in_turn(parts: Iterable[Parsed], fields: Mapping[str, Field]) -> Parsed:
    """Do the same with many small parts as they come: some are joined before others are there."""
    done: list[Parsed] = []
    few: list[Parsed] = []
    for part in parts:
        few.append(part)
        if len(few) == JOINED_AT_ONCE:
            done.append(joined(few, fields))
            few = []
    return joined([*done, *few], fields)


def _samples_of(places: Sequence[tuple[Parsed, int]]) -> list[tuple[str, int, str]]:
    counts: Counter[str] = Counter()
    found = []
    for part, start in places:
        for reason, row, value in part.samples:
            counts[reason] += 1
            if counts[reason] <= SAMPLES_PER_REASON:
                found.append((reason, row + start, value))
    return found


def _present(part: Parsed, name: str) -> Mask:
    mask = part.present.get(name)
    return np.ones(len(part.rows), np.bool_) if mask is None else mask


def _nan_of(found: Sequence[tuple[Nan, int]]) -> Nan | None:
    """Add up; the first is of the first part that has a record to be kept, else of the first."""
    if not found:
        return None
    nan, start = next(((n, s) for n, s in found if n.unused), found[0])
    row, told = nan.first
    return Nan(
        sum(n.records for n, _ in found), sum(n.unused for n, _ in found), (row + start, told)
    )


def _number_at(values: Array, place: int) -> str:
    return shown_value(values[place].item())


def _nothing(_: int) -> str:
    return ""
