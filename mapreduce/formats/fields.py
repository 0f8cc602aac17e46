"""Fields of a record: where each stands in a document, and how its values become a column.

A field names a dotted path and a type; its values, decoded as narrow unions and never by lax
coercion (`leaves`), become one numpy array with masks of what was absent, of the wrong type, or out
of range (`field_column`). Floats are finite or bad.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mapreduce.errors import JobError, ObjectError
from mapreduce.formats.field_column import FieldColumn, masks_of, some, union
from mapreduce.formats.field_path import LIST_STEP
from mapreduce.formats.leaves import (
    ABSENT_INT,
    BAD_INT,
    MAX_REMEMBERED,
    NUMBERS,
    KnownIntegers,
    float_of,
    plain_texts,
    untexted,
    utf8_of,
)
from mapreduce.formats.times import SECOND_US, TIME_BYTES, microseconds
from mapreduce.safe_text import shown_value
from mapreduce.tables.rules import MAX_KEY_WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mapreduce.formats.field_column import Mask
    from mapreduce.formats.times import Ints
    from mapreduce.tables.arrays import Array
    from mapreduce.time_zone import TimeZone


TAKEN: Final = frozenset(("has", "object", "part", "rows"))  # `r` has these names already
ScanLeaf: TypeAlias = tuple[str, int]  # how the `scanner` reads a field: kind, bytes of a value

MOST_US: Final = 2.0**62  # of a time
DAY_US: Final = 86_400 * SECOND_US
EARLIEST_US: Final = 3_658 * DAY_US  # 1980-01-07, for a lenient `Time`
END_US: Final = 47_482 * DAY_US  # 2100-01-01
SHOWN_NAMES: Final = 20
Unit: TypeAlias = Literal["document", "line", "group"]  # the part that can be read alone


@dataclass(frozen=True, slots=True)
class Int:
    """An integer, or text that holds one, as int64.

    `low` and `high` bound it (inclusive); what lies outside is dropped as `NAME_out_of_range`.
    Where it is absent from an optional field the column holds 0. The values of `null` stand for an
    absent one: 0 or -1, say. With `floats` an integral float is an integer too, where it is below
    2**53 and so stands for no other: 12.0, as tables write integers beside an empty cell.
    """

    path: str
    optional: bool = False
    low: int | None = None
    high: int | None = None
    null: tuple[int, ...] = ()
    floats: bool = False
    _known: KnownIntegers = field(default_factory=KnownIntegers, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._known.floats = self.floats

    @property
    def leaf(self) -> Any:
        """The types that a decoder may give."""
        return int | str | float | None if self.floats else int | str | None

    @property
    def scanned_as(self) -> ScanLeaf | None:
        """How a `Scanner` reads it; floats it can't."""
        return None if self.floats else ("i", 8)

    def scanned(self, values: bytearray, states: bytes, seen: int) -> FieldColumn:
        """Turn what a `Scanner` found into an int64 column."""
        array = np.frombuffer(values, np.int64)
        return column_of(self, array, *masks_of(states, seen), places=array)

    def column(self, values: Sequence[Any]) -> FieldColumn:
        """Turn decoded leaves into an int64 column."""
        known = self._known
        array = np.fromiter(map(known.__getitem__, values), np.int64, len(values))
        if len(known) > MAX_REMEMBERED:
            known.clear()
        absent = bad = None
        if len(array) and array.min() <= BAD_INT:
            absent, bad = array == ABSENT_INT, array == BAD_INT
            array[absent | bad] = 0
        return column_of(self, array, some(absent), some(bad))


@dataclass(frozen=True, slots=True)
class Float:
    """A finite number as float64, in the document's unit.

    `low` and `high` bound it (inclusive). Where it is absent from an optional field the column
    holds NaN. With `text` a number as text is one too, as JSON writes it: "43.2". With `lenient`,
    for a field that is of use where it can be read, what is bad or out of range is absent.
    """

    path: str
    optional: bool = False
    low: float | None = None
    high: float | None = None
    text: bool = False
    lenient: bool = False
    leaf: ClassVar[Any] = float | int | str | None

    @property
    def scanned_as(self) -> ScanLeaf | None:
        """How a `Scanner` reads it; text it can't."""
        return None if self.text else ("f", 8)

    def scanned(self, values: bytearray, states: bytes, seen: int) -> FieldColumn:
        """Turn what a `Scanner` found into a float64 column."""
        array = np.frombuffer(values, np.float64)
        absent, bad = masks_of(states, seen)
        if absent is not None:
            array[absent] = np.nan
        places = array.view(np.int64)
        return column_of(self, array, absent, bad, places=places)

    def column(self, values: Sequence[Any]) -> FieldColumn:
        """Turn decoded leaves into a float64 column."""
        if self.text:
            values = [untexted(value) for value in values]
        kinds = set(map(type, values))
        if not kinds <= NUMBERS:
            return self._mixed(values)
        try:
            array = np.array(values, dtype=np.float64)  # None becomes NaN, which no JSON holds
        except OverflowError:
            return self._mixed(values)
        absent = np.isnan(array) if NoneType in kinds else None
        return column_of(self, array, absent, None)

    def _mixed(self, values: Sequence[Any]) -> FieldColumn:
        array = np.fromiter(map(float_of, values), np.float64, len(values))
        absent = np.fromiter((v is None for v in values), np.bool_, len(values))
        bad = ~np.isfinite(array) & ~absent
        return column_of(self, array, some(absent), some(bad))


@dataclass(frozen=True, slots=True)
class Text:
    """Text as UTF-8: `S{width}` where a width is given, else an object array of bytes.

    Text longer than `width` bytes, or with a NUL in it, is bad: it is never cut. Where it is
    absent from an optional field the column holds b"". The values of `null` stand for an absent
    one: "" or "none", say. With `integers` an integer is its digits. With `lenient` what is bad is
    absent.
    """

    path: str
    width: int | None = None
    optional: bool = False
    null: tuple[str, ...] = ()
    integers: bool = False
    lenient: bool = False

    @property
    def leaf(self) -> Any:
        """The types that a decoder may give."""
        return str | int | None if self.integers else str | None

    @property
    def scanned_as(self) -> ScanLeaf | None:
        """How a `Scanner` reads it; one without a width it can't.

        At an integer it gives up, and leaves the document to msgspec.
        """
        return None if self.width is None else ("t", self.width)

    def scanned(self, values: bytearray, states: bytes, seen: int) -> FieldColumn:
        """Turn what a `Scanner` found into a column of bytes."""
        n, cell = len(states), len(values) // max(1, len(states))
        array: Array = np.ndarray(n, f"S{self.width}", values, strides=(cell,))
        places = np.ndarray(n, np.int64, values, strides=(cell,))
        return column_of(self, np.ascontiguousarray(array), *masks_of(states, seen), places=places)

    def column(self, values: Sequence[Any]) -> FieldColumn:
        """Turn decoded leaves into a column of bytes."""
        if (plain := plain_texts(values, self.width)) is not None:
            return column_of(self, plain, None, None)
        absent = np.fromiter((v is None for v in values), np.bool_, len(values))
        encoded = [utf8_of(v, integers=self.integers) for v in values]
        bad = np.fromiter((v is None for v in encoded), np.bool_, len(values)) & ~absent
        whole = [v or b"" for v in encoded]
        if self.width is None:
            array: Array = np.empty(len(whole), dtype=object)
            array[:] = whole
        else:
            short = [v if len(v) <= self.width and b"\0" not in v else None for v in whole]
            bad |= np.fromiter((v is None for v in short), np.bool_, len(values))
            array = np.array([v or b"" for v in short], dtype=f"S{self.width}")
        return column_of(self, array, some(absent), some(bad))


@dataclass(frozen=True, slots=True)
class Time:
    """A time as int64 microseconds since 1970 in UTC.

    Text in ISO 8601 (`2019-03-01T08:15:30.250+01:00`, a blank in place of the T, an offset as
    `Z`, `+01`, `+0100` or `+01:00`), or with `epoch` a number of seconds ("s") or milliseconds
    ("ms") since 1970. Text without an offset, and a timestamp of Parquet that is not adjusted to
    UTC, is local time of `zone`, or UTC where there is none. Where it is absent from an optional
    field the column holds 0.

    With `lenient`, which needs `optional`, a record is not dropped for its time: one that cannot be
    read is absent, and so is one before 1980-01-07 or from 2100 on, which is none of a fix. GPS
    time begins on 1980-01-06, what a receiver shows before its clock is set; seconds taken for
    milliseconds come to January 1970, milliseconds taken for seconds to the far future.
    """

    path: str
    optional: bool = False
    epoch: Literal["s", "ms"] | None = None
    zone: TimeZone | None = None
    lenient: bool = False

    @property
    def plain(self) -> Float | Text:
        """The field that is read, before it is known to be a time."""
        return Text(self.path, TIME_BYTES) if self.epoch is None else Float(self.path)

    @property
    def leaf(self) -> Any:
        """The types that a decoder may give."""
        return self.plain.leaf

    @property
    def scanned_as(self) -> ScanLeaf | None:
        """How a `Scanner` reads it."""
        return self.plain.scanned_as

    def scanned(self, values: bytearray, states: bytes, seen: int) -> FieldColumn:
        """Turn what a `Scanner` found into a column of times."""
        return self.of(self.plain.scanned(values, states, seen))

    def column(self, values: Sequence[Any]) -> FieldColumn:
        """Turn decoded leaves into a column of times."""
        return self.of(self.plain.column(values))

    def of(self, found: FieldColumn) -> FieldColumn:
        """Turn a column of texts or numbers into one of times."""
        if self.epoch is None:
            times, good = microseconds(found.values, self.zone)
        else:
            unit = SECOND_US if self.epoch == "s" else SECOND_US // 1000
            good = np.abs(found.values) < MOST_US / unit  # NaN is not
            times = np.rint(np.where(good, found.values, 0.0) * unit).astype(np.int64)
        if self.lenient:
            return self.present(times, good, found)
        for other in (found.absent, found.bad):
            if other is not None:
                good |= other
        if good.all():
            return FieldColumn(times, found.absent, found.bad, None, found.places)
        bad = ~good if found.bad is None else found.bad | ~good
        texts = None if self.epoch is not None else np.where(good, b"", found.values)
        return FieldColumn(times, found.absent, bad, None, found.places, texts)

    def of_timestamps(self, times: Ints, absent: Mask | None, *, is_local: bool) -> FieldColumn:
        """Turn int64 microseconds since 1970, in UTC or as clocks show them, into a column."""
        if is_local and self.zone is not None:
            times = self.zone.utc(times)
        if self.lenient:
            return self.present(times, None, FieldColumn(times, absent))
        return FieldColumn(times, absent)

    @staticmethod
    def present(times: Ints, good: Mask | None, found: FieldColumn) -> FieldColumn:
        """Give a column in which each time that is none is absent."""
        absent = np.zeros(len(times), np.bool_) if good is None else ~good
        if len(times) and not EARLIEST_US <= times.min() <= times.max() < END_US:
            absent |= (times < EARLIEST_US) | (times >= END_US)
        for other in (found.absent, found.bad):
            if other is not None:
                absent |= other
        if not absent.any():
            return FieldColumn(times)
        return FieldColumn(np.where(absent, 0, times), absent)


Field: TypeAlias = Int | Float | Text | Time


class Head:
    """A value beside the records of a document, given to each of them: a driver, a device.

    Parameters
    ----------
    field
        A field with a path from the document's top (steps that end in `[]` as in the format's
        `at`); a path alone is a `Text` of any width.

    Examples
    --------
    >>> Json(at="data", link=Int("id"), driver=Head("vehicle.driver"))
    >>> Json(at="trips[].points", link=Int("id"), trip=Head(Int("trips[].id")))
    """

    def __init__(self, field: Field | str) -> None:
        self.field: Field = Text(field) if isinstance(field, str) else field

    def below(self, at: str) -> Head | None:
        """Give it as the documents in the list at the path `at` have it; None if it is beside."""
        start = f"{at}{LIST_STEP}."
        path = self.field.path
        if not path.startswith(start):
            return None
        return Head(replace(self.field, path=path.removeprefix(start)))


def plain_of(field: Field) -> Int | Float | Text:
    """Give what a field is read as."""
    return field.plain if isinstance(field, Time) else field


def column_of(
    field: Int | Float | Text,
    array: Array,
    absent: Mask | None,
    bad: Mask | None,
    *,
    places: npt.NDArray[np.int64] | None = None,
) -> FieldColumn:
    """Give a column with the masks of what is absent or bad, and of what else is out of range.

    Every reading of every format ends here, so a rule for values goes here.
    """
    if isinstance(field, Text):
        if field.null:
            absent = _or(absent, np.isin(array, [text.encode() for text in field.null]), bad)
        if field.lenient:
            return FieldColumn(array, union(absent, bad))
        return FieldColumn(array, absent, bad, None, places)
    if isinstance(field, Int) and field.null:
        none = np.isin(array, field.null)
        absent = _or(absent, none, bad)
        array = np.where(none, 0, array)
    outside = _outside(field, array)
    if outside is not None:
        for other in (absent, bad):
            if other is not None:
                outside &= ~other
    if isinstance(field, Float) and field.lenient:
        absent = union(absent, bad, outside)
        return FieldColumn(array if absent is None else np.where(absent, np.nan, array), absent)
    return FieldColumn(array, absent, bad, some(outside), places)


def _outside(field: Int | Float, array: Array) -> Mask | None:
    """Give where values are out of range; of absent and bad ones it says nothing of use."""
    low, high = field.low, field.high
    outside: Mask | None = None
    if len(array) and low is not None and not array.min() >= low:  # NaN is not
        outside = array < low
    if len(array) and high is not None and not array.max() <= high:
        outside = array > high if outside is None else outside | (array > high)
    return outside


def _or(absent: Mask | None, none: Mask, bad: Mask | None) -> Mask | None:
    """Give what is absent, together with what says that there is none; not what is bad."""
    if bad is not None:
        none = none & ~bad
    return some(none if absent is None else none | absent)


def checked(fields: Mapping[str, Any]) -> dict[str, Field]:
    """Give the fields of a format.

    Raises
    ------
    JobError
        There is none, or one with a name that it cannot have.
    """
    for name, one in fields.items():
        check_name(name)
        if isinstance(one, Head):
            raise JobError(
                f"field {name!r}: a Head needs a format of documents, which have something beside"
                " their records: Json, JsonColumns, or JsonLines with records_at"
            )
        if not isinstance(one, Field):
            raise JobError(
                f"field {name!r}: expected Int, Float, Text or Time of a path, got {one!r}"
            )
        if not isinstance(one, Int) and one.lenient and not one.optional:
            raise JobError(
                f"field {name!r}: what is lenient may be absent, so it needs optional=True"
            )
        if isinstance(one, Text) and one.width is not None and not 0 < one.width <= MAX_KEY_WIDTH:
            raise JobError(
                f"field {name!r}: a width is 1 to {MAX_KEY_WIDTH} bytes, got {one.width}"
            )
    if not fields:
        raise JobError("a format needs at least one field: Json(at='data', link=Int('linkID'))")
    return dict(fields)


def check_name(name: str) -> None:
    """Refuse a name that no attribute of `r` can have, or that it has already."""
    if not name.isidentifier() or name.startswith("_") or name in TAKEN:
        raise JobError(
            f"field {name!r}: expected a Python identifier that begins with a letter and is not"
            f" one of {', '.join(sorted(TAKEN))}, which `r` already has"
        )


def missing(path: str, names: Sequence[str]) -> ObjectError:
    """Make the error for an object without a wanted column, from the names it has."""
    few = ", ".join(map(shown_value, names[:SHOWN_NAMES])) or "none"
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ObjectError("wrong_shape", f"no column {shown_value(path)}; there are: {few}{more}")
