"""CSV: one record a line, columns named by the first line or by the job.

Quotes are those of RFC 4180: a field is quoted as a whole or not at all, a quote within it is
doubled. No field holds a line end, so that a large object can be divided by lines. A line with a
quote left open, or with more or fewer fields than there are columns, costs one record
(`not_a_record`); empty lines are no records; an empty field is absent, quoted or not. Numbers are
as JSON writes them, but may begin or end with the decimal sign and have blanks about them.

Three readers give the same columns: our compiled one, which takes plain numbers; pyarrow's, which
takes other blocks that are plain; and one in Python, which judges all others line by line, and
every block where the other two are not there.
"""

from __future__ import annotations

import codecs
import math
import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from mapreduce.errors import JobError, ObjectError
from mapreduce.formats import salvage
from mapreduce.formats.arrow import absent_in, arrow_csv, numbers_in, pyarrow, texts_in
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
    plain_of,
)
from mapreduce.formats.leaves import BAD_INT, shown_leaf
from mapreduce.formats.parsed import Parsed, assembled, columns_of
from mapreduce.formats.scanner.lines import line_scanner
from mapreduce.safe_text import shown_raw, shown_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mapreduce.formats.field_column import FieldColumn
    from mapreduce.formats.scanner.lines import LineScanner
BLANKS: Final = " \t"
DELIMITERS: Final = ",;\t|"  # the usual ones
_PLUS: Final = re.compile(rb"\+(?<![eE0-9]\+)(?<![0-9] \+)")  # of no number's end, or time's
_QUOTE, _LF, _CR = 0x22, 0x0A, 0x0D
_NO_ROWS: Final = np.zeros(0, np.int64)


class Csv:
    r"""Delimited text with a column a field; a field's path is the column's name as it stands.

    Parameters
    ----------
    names
        The columns, where the first line does not name them.
    delimiter
        One ASCII character: ",", ";", "\t", "|".
    encoding
        Of the text: UTF-8, or one whose ASCII characters are bytes of their own (latin-1, cp1252).
    decimal
        The decimal sign of numbers: "." or ",".
    **fields
        As of `Json`.

    Examples
    --------
    >>> Csv(link=Int("road_id"), speed=Float("kmh"), delimiter=";", decimal=",")
    """

    unit: ClassVar[Unit] = "line"

    def __init__(
        self,
        *,
        names: Sequence[str] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
        decimal: str = ".",
        **fields: Field,
    ) -> None:
        self.fields = checked(fields)
        self.names = None if names is None else tuple(names)
        self.delimiter = delimiter
        self.encoding = _checked_encoding(encoding)
        self.decimal = decimal
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0 ' + decimal:
            raise JobError(
                f"Csv: a delimiter is one character such as , ; | or tab, got {delimiter!r}"
            )
        if decimal not in {".", ","}:
            raise JobError(f"Csv: a decimal sign is . or , got {decimal!r}")
        self.number = re.compile(_NUMBER.replace("\\.", re.escape(decimal)), re.ASCII)

    @property
    def has_header(self) -> bool:
        """Whether the first line of an object names its columns."""
        return self.names is None

    def begin(self, *, allow_nan: bool = False) -> Callable[[bytes], Parsed]:  # noqa: ARG002 - no JSON
        """Give what parses the blocks of one object; the first line comes first, where it names."""
        return _CsvReader(self).parse


class _CsvReader:
    """Reads one object, whose columns are known once its first line is."""

    def __init__(self, format_: Csv) -> None:
        self._format = format_
        self._fields = format_.fields
        self._places: dict[str, int] = {}
        self._width = 0
        self._scanner: LineScanner | None = None
        if format_.names is not None:
            self._take_names(format_.names)

    def parse(self, block: bytes) -> Parsed:
        """Read a block of whole lines; places are counted within the block.

        Raises
        ------
        ObjectError
            `wrong_shape` where a wanted column is missing or there twice; `bad_encoding`.
        """
        start = 0 if self._width else self._take_header(block)
        if start == len(block):
            return Parsed(dict.fromkeys(self._fields, _NO_ROWS), {}, _NO_ROWS, 0)
        if self._format.encoding != "utf-8":
            block, start = block[start:].decode(self._format.encoding, "replace").encode(), 0
        return self._scanned(block, start) or self._unscanned(block[start:])

    def _unscanned(self, block: bytes) -> Parsed:
        return self._plain(block) or self._line_by_line(block)

    def _take_header(self, block: bytes) -> int:
        """Take the columns' names from the first line; give where the next begins."""
        end = block.find(b"\n")
        end = len(block) if end < 0 else end
        line = block[:end].removesuffix(b"\r")
        salvage.refuse_wide(line)
        try:
            text = line.decode(self._format.encoding)
        except UnicodeDecodeError as error:
            told = f"the first line, which names the columns, is not {self._format.encoding}"
            raise ObjectError("bad_encoding", f"{told}: {error}. Say which: encoding=") from None
        if not text.strip():
            raise ObjectError("wrong_shape", "the first line is empty: expected column names")
        cells = _cells(text, self._format.delimiter)
        if not cells:
            how = "holds a lone carriage return" if "\r" in text else "quotes no whole field"
            raise ObjectError(
                "wrong_shape",
                f"the first line, which names the columns, {how}: {shown_value(text)}",
            )
        self._take_names(cells)
        return min(end + 1, len(block))

    def _take_names(self, names: Sequence[str]) -> None:
        names = [name.strip(BLANKS) for name in names]
        counts = Counter(names)
        for name, field in self._fields.items():
            if counts[field.path] > 1:
                told = f"column {field.path!r} is there {counts[field.path]} times"
                raise ObjectError("wrong_shape", told)
            if counts[field.path]:
                self._places[name] = names.index(field.path)
            elif not field.optional:
                raise self._missing(field.path, names)
        self._width = len(names)
        self._scanner = line_scanner(
            self._fields, self._places, self._width, self._format.delimiter, self._format.decimal
        )

    def _missing(self, path: str, names: Sequence[str]) -> ObjectError:
        """Make the error for a column that is missing, or seems so for another delimiter."""
        error, line = missing(path, names), self._format.delimiter.join(names)
        for other in DELIMITERS.replace(self._format.delimiter, ""):
            if path in [name.strip(BLANKS + '"') for name in line.split(other)]:
                told = f"{error.place}. With {other!r} as the delimiter it is there"
                return ObjectError(error.reason, told)
        return error

    def _scanned(self, block: bytes, start: int) -> Parsed | None:
        """Read a block with compiled code of our own; None where it is not plain numbers."""
        if self._scanner is None or block.find(b'"', start) >= 0 or not _is_text(block):
            return None
        found = self._scanner.read(block, start)
        return None if found is None else assembled(self._fields, *found, shown=_nothing_bad)

    def _plain(self, block: bytes) -> Parsed | None:
        """Read a block with pyarrow; None where it might judge otherwise than line by line."""
        arrow = arrow_csv()
        if arrow is None or not _is_plain(block, self._format.delimiter):
            return None
        try:
            table = arrow.read_csv(pyarrow().py_buffer(block), *self._options(arrow, len(block)))
        except (pyarrow().ArrowInvalid, pyarrow().ArrowKeyError):
            return None
        columns: dict[str, FieldColumn] = {}
        n = table.num_rows
        if b'"' in block and not _is_a_row_each(n, block):
            return None
        arrays = {name: self._array(table, name) for name in self._fields}
        for name, field in self._fields.items():
            array = arrays[name]
            if array is None:
                columns[name] = field.column([None] * n)
                continue
            is_text = isinstance(plain_of(field), Text)
            column = _texts(field, array) if is_text else _numbers(field, array)
            if column is None:
                return None
            columns[name] = column

        def shown(name: str, place: int) -> str:  # of a text: what else is bad is read by line
            array: Any = arrays[name]
            return shown_leaf(array[place].as_py().decode())

        return assembled(self._fields, columns, n, shown=shown)

    def _array(self, table: Any, name: str) -> Any | None:
        """Give a field's values, None where the object has no such column."""
        place = self._places.get(name)
        return None if place is None else table.column(f"c{place}").combine_chunks()

    def _options(self, arrow: Any, size: int) -> tuple[Any, Any, Any]:
        types = {f"c{self._places[n]}": _arrow_type(self._fields[n]) for n in self._places}
        read = arrow.ReadOptions(
            use_threads=False,
            block_size=size + 1,
            column_names=[f"c{n}" for n in range(self._width)],
        )
        parse = arrow.ParseOptions(delimiter=self._format.delimiter)
        convert = arrow.ConvertOptions(
            check_utf8=False,  # it is, or the block is not plain
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            include_columns=list(types),
            decimal_point=self._format.decimal,
        )
        return read, parse, convert

    def _line_by_line(self, block: bytes) -> Parsed:
        """Read each line by itself, strictly."""
        lines = [line.removesuffix(b"\r") for line in block.split(b"\n")]
        raws = [line for line in lines if line]
        rows = [self._row(raw) for raw in raws]
        not_records = np.fromiter((row is None for row in rows), np.bool_, len(rows))
        leaves = {name: self._leaves(name, rows) for name in self._fields}

        def shown(name: str, place: int) -> str:
            return shown_leaf(leaves[name][place]) if name else shown_raw(raws[place])

        columns = columns_of(self._fields, leaves)
        return assembled(self._fields, columns, len(rows), not_records, shown=shown)

    def _row(self, raw: bytes) -> list[str] | None:
        if not salvage.is_utf8(raw):
            return None
        cells = _cells(raw.decode(), self._format.delimiter)
        return cells if cells is not None and len(cells) == self._width else None

    def _leaves(self, name: str, rows: Sequence[list[str] | None]) -> list[Any]:
        """Give a field's values, None where they are absent; a number where it is one."""
        place, field = self._places.get(name), self._fields[name]
        if place is None:
            return [None] * len(rows)
        texts = [None if row is None else row[place] or None for row in rows]
        field = plain_of(field)
        if isinstance(field, Text):
            return texts
        stripped = [None if text is None else text.strip(BLANKS) for text in texts]
        return [self._number(text) for text in stripped] if isinstance(field, Float) else stripped

    def _number(self, text: str | None) -> float | str | None:
        if text is None or not self._format.number.fullmatch(text):
            return text
        number = float(text.replace(self._format.decimal, "."))
        return number if math.isfinite(number) else text


_NUMBER: Final = r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def _arrow_type(field: Field) -> Any:
    kinds = {Int: "int64", Float: "float64", Text: "binary"}
    return getattr(pyarrow(), kinds[type(plain_of(field))])()


def _texts(field: Field, array: Any) -> FieldColumn:
    """Give a column of texts, or of times that are written as some."""
    if isinstance(field, Time):
        return field.of(_texts(field.plain, array))
    if isinstance(field, Text) and field.width is not None:
        absent = absent_in(array)
        if (plain := texts_in(array, absent, field.width)) is not None:
            return column_of(field, plain, absent, None)
    return field.column([v if v is None else v.decode() for v in array.to_pylist()])


def _numbers(field: Field, array: Any) -> FieldColumn | None:
    """Give a column of numbers; None where one is no value of the field's."""
    if isinstance(field, Time):
        found = _numbers(field.plain, array)
        times = None if found is None else field.of(found)
        return None if times is None or times.bad is not None else times
    if isinstance(field, Text):
        return None
    absent = absent_in(array)
    values = numbers_in(array, absent, 0 if isinstance(field, Int) else np.nan)
    bad = values <= BAD_INT if isinstance(field, Int) else ~np.isfinite(values)
    if absent is not None:
        bad &= ~absent
    return None if bad.any() else column_of(field, values, absent, None)


def _cells(text: str, delimiter: str) -> list[str] | None:
    """Split one line into its fields; None where quotes are not as they should be."""
    if "\r" in text:
        return None
    if '"' not in text:
        return text.split(delimiter)
    cell, cells, at = _cell_of(delimiter), [], 0
    while found := cell.match(text, at):
        quoted, bare, end = found.groups()
        cells.append(bare if quoted is None else quoted.replace('""', '"'))
        if not end:
            return cells
        at = found.end()
    return None


@cache
def _cell_of(delimiter: str) -> re.Pattern[str]:
    """Give what matches one field and what ends it."""
    d = re.escape(delimiter)
    return re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|((?!")[^{d}]*))({d}|\Z)', re.DOTALL)


def _is_plain(block: bytes, delimiter: str) -> bool:
    """Whether pyarrow reads a block as it would be read line by line.

    It takes hexadecimal integers, a plus before a number, a lone carriage return for a line's end,
    and quotes that open or close within a field; text that is no UTF-8 it would not find in columns
    that nobody asked for.
    """
    if not _is_text(block):
        return False
    if any(x in block and b"0" + x in block for x in (b"x", b"X")):  # a byte is found much sooner
        return False
    if b"+" in block and (delimiter.isdigit() or _PLUS.search(block)):
        return False
    return b'"' not in block or _quotes_are_whole(block, delimiter)


def _is_text(block: bytes) -> bool:
    """Whether a block is UTF-8, with no carriage return but before a line's end."""
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        return False
    return salvage.is_ascii(block) or salvage.is_utf8(block)


def _nothing_bad(name: str, place: int) -> str:
    """Stand for showing a bad value, of which there is none where all was read so."""
    raise AssertionError(name, place)


def _quotes_are_whole(block: bytes, delimiter: str) -> bool:
    """Whether quotes open and close fields in turn, or are one of a pair within one.

    One that opens stands at the beginning of a field or behind another quote, one that closes at
    the end of a field or before another quote. Line ends within quotes are another matter.
    """
    raw = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    quotes = np.flatnonzero(raw == _QUOTE)
    if len(quotes) % 2:
        return False
    beside = np.zeros(256, np.bool_)
    beside[[_QUOTE, _LF, _CR, ord(delimiter)]] = True
    return bool(beside[raw[quotes[::2] - 1]].all() and beside[raw[quotes[1::2] + 1]].all())


def _is_a_row_each(rows: int, block: bytes) -> bool:
    """Whether there are as many rows as lines that are not empty: no quote held a line's end."""
    return rows == block.count(b"\n") + (not block.endswith(b"\n")) or rows == sum(
        line not in {b"", b"\r"} for line in block.split(b"\n")
    )


def _checked_encoding(name: str) -> str:
    try:
        found = codecs.lookup(name).name
        alone = 'a,;"\n0'.encode(found) == b'a,;"\n0'
    except (LookupError, UnicodeError):
        alone = False
    if not alone:
        raise JobError(
            f"Csv: an encoding is UTF-8 or one that keeps ASCII as it is (latin-1, cp1252), got"
            f" {name!r}"
        )
    return found
