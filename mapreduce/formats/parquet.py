"""Parquet: wanted columns alone, a row group at a time, a batch of rows at a time.

A row group belongs to one byte range, so a large object is divided like lines.
A value is as strict as in JSON: an integer is one, or text that holds one, and no float; a float
is finite; nothing is coerced. A null is absent. Bounded in memory by a batch and the pages it is
made of. pyarrow reads; it is asked for what a footer says is there, and errors of its own are the
object's fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from mapreduce.errors import MapReduceError, ObjectError
from mapreduce.formats.arrow import (
    absent_in,
    arrow_parquet,
    microseconds_in,
    numbers_in,
    pyarrow,
    texts_in,
)
from mapreduce.formats.field_path import keys_of
from mapreduce.formats.fields import (
    Field,
    Float,
    Int,
    Text,
    Time,
    Unit,
    checked,
    column_of,
    missing,
)
from mapreduce.formats.leaves import BAD_INT
from mapreduce.formats.parquet_pages import check_pages
from mapreduce.formats.parsed import Parsed, assembled
from mapreduce.limits import OBJECT_CAP_BYTES
from mapreduce.safe_text import shown_raw, shown_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.formats.field_column import FieldColumn, Mask

BATCH_ROWS: Final = 1 << 16
PAGE_BYTES: Final = 1 << 20  # read at once of a column
MAGIC: Final = b"PAR1"
SEEK_END: Final = 2
_DECIMAL_DIGITS: Final = 18  # all of so many fit int64


class Parquet:
    """A Parquet file whose rows are the records; a field's path names a column, or one within it.

    Examples
    --------
    >>> Parquet(link=Int("match.road_id"), speed=Float("kmh"))
    """

    unit: ClassVar[Unit] = "group"

    def __init__(self, **fields: Field) -> None:
        self.fields = checked(fields)
        self.keys = {name: keys_of(f.path, f"field {name!r}") for name, f in fields.items()}

    def batches(
        self,
        file: Any,
        start: int = 0,
        stop: int | None = None,
        *,
        cap_bytes: int = OBJECT_CAP_BYTES,
    ) -> Iterator[Parsed]:
        """Read the row groups that begin in a range of bytes.

        Parameters
        ----------
        file
            Seekable, of the whole object.
        start, stop
            The range; None means to the end.
        cap_bytes
            Most bytes of a page, unpacked.

        Raises
        ------
        ObjectError
            `unreadable`, `too_large`, or `wrong_shape` where a wanted column is missing.
        JobError
            pyarrow is not installed.
        """
        parquet = arrow_parquet()
        size = file.seek(0, SEEK_END)
        try:
            opened = parquet.ParquetFile(file, buffer_size=PAGE_BYTES, pre_buffer=False)
            names, absent = self._columns(opened.schema_arrow)
            opened = parquet.ParquetFile(
                file,
                metadata=opened.metadata,
                buffer_size=PAGE_BYTES,
                pre_buffer=False,
                read_dictionary=names,  # of texts: a long one is held once
                page_checksum_verification=True,  # where there are any
            )
            groups = _groups_in(opened.metadata, size, start, stop)
            if not groups:
                return
            large = [n for n in groups if opened.metadata.row_group(n).total_byte_size > cap_bytes]
            if large:
                check_pages(file, large, names, cap_bytes)
            for batch in opened.iter_batches(
                BATCH_ROWS, row_groups=groups, columns=names, use_threads=False
            ):
                yield self._parsed(batch, absent)
        except MapReduceError:
            raise
        except (pyarrow().ArrowException, OSError, KeyError, ValueError, OverflowError) as error:
            raise ObjectError("unreadable", f"Parquet is damaged: {_told(error)}") from error

    def _columns(self, schema: Any) -> tuple[list[str], frozenset[str]]:
        """Give the columns to read, and the fields that have none."""
        wanted, absent = [], set()
        for name, keys in self.keys.items():
            kind = _kind_at(schema, keys)
            if kind is None and not self.fields[name].optional:
                raise missing(self.fields[name].path, schema.names)
            if kind is None:
                absent.add(name)
            elif pyarrow().types.is_nested(kind):
                path = self.fields[name].path
                raise ObjectError("wrong_shape", f"column {path!r} is a {kind}, expected one value")
            else:
                wanted.append(".".join(keys))
        return wanted, frozenset(absent)

    def _parsed(self, batch: Any, absent: frozenset[str]) -> Parsed:
        n = batch.num_rows
        arrays: dict[str, Any] = {}
        columns: dict[str, FieldColumn] = {}
        for name, field in self.fields.items():
            if name in absent:
                columns[name] = field.column([None] * n)
                continue
            arrays[name] = _array_at(batch, self.keys[name])
            columns[name] = column_from(field, arrays[name])
        return assembled(self.fields, columns, n, shown=lambda name, at: _shown(arrays[name][at]))


def column_from(field: Field, array: Any) -> FieldColumn:
    """Turn an Arrow array, of any type, into a field's column."""
    types, kind = pyarrow().types, array.type
    if types.is_dictionary(kind):
        return _of_dictionary(field, array)
    if isinstance(field, Time):
        return _of_times(field, array)
    absent = absent_in(array)
    if isinstance(field, Int) and (types.is_integer(kind) or _is_whole_decimal(kind)):
        return _of_integers(field, array, absent)
    if isinstance(field, Float) and (types.is_floating(kind) or types.is_integer(kind)):
        values = numbers_in(array, None).astype(np.float64, copy=False)
        if absent is not None:
            values = np.where(absent, np.nan, values)
        finite = np.isfinite(values)
        if absent is not None:
            finite |= absent
        return column_of(field, values, absent, None if finite.all() else ~finite)
    if isinstance(field, Text) and field.width is not None:
        texts = texts_in(array, absent, field.width)
        if texts is not None:
            return column_of(field, texts, absent, None)
    return field.column(_values(field, array))


_OTHER: Final = object()  # a value of a type that a field does not take


def _values(field: Field, array: Any) -> list[Any]:
    """Give values one by one, as another format would have them."""
    types, kind = pyarrow().types, array.type
    if isinstance(field, Float) and types.is_decimal(kind):
        return [None if v is None else float(v) for v in array.to_pylist()]
    if isinstance(field, Int) and field.floats and types.is_floating(kind):
        return list(array.cast("float64", safe=False).to_pylist())
    if isinstance(field, Text) and field.integers and types.is_integer(kind):
        return list(array.to_pylist())
    if (not isinstance(field, Float) or field.text) and _is_text(kind):
        return _texts(array)
    return [None if known else _OTHER for known in _nulls(array)]


def _of_times(field: Time, array: Any) -> FieldColumn:
    if not pyarrow().types.is_timestamp(array.type):
        return field.of(column_from(field.plain, array))
    absent, is_local = absent_in(array), array.type.tz is None
    if array.type.unit != "us":
        array = array.cast(pyarrow().timestamp("us"), safe=False)
    times = microseconds_in(array, absent)
    return field.of_timestamps(times, absent, is_local=is_local)


def _of_integers(field: Int, array: Any, absent: Mask | None) -> FieldColumn:
    if not pyarrow().types.is_integer(array.type):
        array = array.cast("int64")
    found = numbers_in(array, absent)
    is_wide = found.dtype == np.uint64
    values = found.view(np.int64) if is_wide else found.astype(np.int64, copy=False)
    bad = None
    if len(values) and values.min() <= (-1 if is_wide else BAD_INT):
        bad = values < 0 if is_wide else values <= BAD_INT
    if bad is not None:
        values = np.where(bad, 0, values)
    return column_of(field, values, absent, bad)


def _of_dictionary(field: Field, array: Any) -> FieldColumn:
    """Turn each distinct value into the field's once, however many rows have it."""
    absent = absent_in(array)
    if not len(array.dictionary):
        return field.column([None] * len(array))
    places = numbers_in(array.indices, absent)
    once = column_from(field, array.dictionary)
    return once.at(places, absent)


def _shown(scalar: Any) -> str:
    """Give a bad value for people."""
    if isinstance(scalar, pyarrow().DictionaryScalar):
        scalar = scalar.value
    try:
        value = scalar.as_py()
    except UnicodeDecodeError:
        return shown_raw(scalar.as_buffer().to_pybytes())
    except (ValueError, OverflowError):  # a date that Python has not
        return str(scalar.type)
    if isinstance(value, bytes):
        return shown_raw(value)
    if isinstance(value, float):
        return repr(value)  # 1.0 is bad as an integer, which 1 is not
    return shown_value(value if isinstance(value, (str, int)) else str(value))


def _is_whole_decimal(kind: Any) -> bool:
    decimal = bool(pyarrow().types.is_decimal(kind))
    return decimal and bool(kind.scale == 0 and kind.precision <= _DECIMAL_DIGITS)


def _is_text(kind: Any) -> bool:
    types = pyarrow().types
    return any(
        known(kind)
        for known in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
            types.is_fixed_size_binary,
        )
    )


def _texts(array: Any) -> list[Any]:
    """Give texts; what is bytes and no UTF-8 is no text."""
    try:
        values = array.to_pylist()
    except UnicodeDecodeError:
        binary = pyarrow().large_binary() if array.type == pyarrow().large_string() else None
        values = array.cast(binary or pyarrow().binary()).to_pylist()
    found: list[Any] = []
    for value in values:
        if isinstance(value, bytes):
            try:
                value = value.decode()  # noqa: PLW2901 - the same, as text
            except UnicodeDecodeError:
                value = _OTHER  # noqa: PLW2901
        found.append(value)
    return found


def _nulls(array: Any) -> list[bool]:
    nulls: list[bool] = array.is_null().to_pylist()
    return nulls


def _kind_at(schema: Any, keys: list[str]) -> Any | None:
    """Give the type at a path, None where there is nothing."""
    places = schema.get_all_field_indices(keys[0])
    if len(places) > 1:
        raise ObjectError("wrong_shape", f"column {keys[0]!r} is there {len(places)} times")
    if not places:
        return None
    kind = schema.field(places[0]).type
    for key in keys[1:]:
        if not pyarrow().types.is_struct(kind) or kind.get_field_index(key) < 0:
            return None
        kind = kind.field(key).type
    return kind


def _array_at(batch: Any, keys: list[str]) -> Any:
    """Give the values at a path: null where anything on the way to them is."""
    array = batch.column(batch.schema.get_field_index(keys[0]))
    for key in keys[1:]:
        array = array.flatten()[array.type.get_field_index(key)]
    return array


def _groups_in(metadata: Any, size: int, start: int, stop: int | None) -> list[int]:
    """Give the row groups that begin in the range, each placed by its share of all bytes.

    Every reader of a footer comes to the same places. What a footer says of columns is not asked:
    where that is damaged, pyarrow ends the process.
    """
    sizes = [max(0, metadata.row_group(n).total_byte_size) for n in range(metadata.num_row_groups)]
    total, before, found = max(1, sum(sizes)), 0, []
    for number, own in enumerate(sizes):
        first = min(size - 1, size * before // total)
        before += own
        if start <= first and (stop is None or first < stop):
            found.append(number)
    return found


def _told(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
