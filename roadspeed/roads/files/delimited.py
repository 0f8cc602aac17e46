"""CSV with a column of WKT or hexadecimal WKB, as a layer.

Rule: the first line names the columns, and whichever of `;` `,` tab `|` occurs most in it is
the separator. Every cell is bytes until it is understood, so text that is no UTF-8 spoils only
itself. A line with too many or too few cells is skipped and counted. With or without a byte order
mark; `.gz` is read as what it holds; a `.prj` beside it says what the coordinates are in, as GDAL
writes it. Read in bounded memory.
"""

from __future__ import annotations

import codecs
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv

from mapreduce.errors import UsageError
from roadspeed.roads.files.layer import Batch, ColumnSelection, Layer
from roadspeed.roads.rows.cells import decoded_text
from roadspeed.roads.rows.crs import crs_said

if TYPE_CHECKING:
    from collections.abc import Iterator

SEPARATORS = ";,\t|"
BLOCK_BYTES = 16 << 20
HEADER_BYTES = 1 << 20
WIDE = (b"\xff\xfe", b"\xfe\xff")  # UTF-16


def open_delimited(path: str) -> Layer:
    """Open a CSV; `UsageError` if its first line names fewer than two columns."""
    try:
        with pa.input_stream(path, compression="detect") as stream:
            head = stream.read(HEADER_BYTES)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: expected a CSV, and it cannot be read ({error})") from error
    if head.startswith(WIDE):
        raise UsageError(f"{path}: expected a CSV in UTF-8, got UTF-16: save it as UTF-8")
    line = (head.removeprefix(b"\xef\xbb\xbf").splitlines() or [b""])[0]
    header = decoded_text(line)
    separator = separator_of(header)
    try:
        names = tuple(map(str.strip, next(csv.reader([header], delimiter=separator), [])))
    except csv.Error as error:
        raise UsageError(f"{path}: expected names in the first line of a CSV ({error})") from error
    if len(names) < 2:  # noqa: PLR2004 - an id and a geometry
        raise UsageError(
            f"{path}: expected a first line that names an id and a geometry column, separated by "
            f"; or , and got {header[:80]!r}"
        )

    encoding = _encoding(head)

    def read(selection: ColumnSelection) -> Iterator[Batch]:
        return _batches(path, separator, names, encoding, selection)

    def crs_of(_column: str) -> Any:
        beside = Path(path).with_suffix(".prj")
        said = decoded_text(beside.read_bytes()).strip() if beside.is_file() else None
        return crs_said(said, str(beside))

    return Layer(where=path, names=names, native_geometry=None, crs_of=crs_of, rows=None, read=read)


def separator_of(header: str) -> str:
    """Return the separator that occurs most outside quotes; `;` if none does."""
    outside = "".join(header.split('"')[::2])
    return max(SEPARATORS, key=outside.count)


def _encoding(head: bytes) -> str:
    """Return what a file is written in, by its beginning: pyarrow shows bad lines as text."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "latin1"
    return "utf8"


def _batches(
    path: str, separator: str, names: tuple[str, ...], encoding: str, selection: ColumnSelection
) -> Iterator[Batch]:
    skipped = 0

    def skip(_row: pacsv.InvalidRow) -> str:
        nonlocal skipped
        skipped += 1
        return "skip"

    # Columns go by their number: two of one name are one too many for whoever reads them by name.
    place = {name: str(names.index(name)) for name in (*selection.names, selection.geometry)}
    read = pacsv.ReadOptions(
        block_size=BLOCK_BYTES,
        column_names=[str(at) for at in range(len(names))],
        skip_rows=1,
        encoding=encoding,
    )
    parse = pacsv.ParseOptions(
        delimiter=separator, newlines_in_values=True, invalid_row_handler=skip
    )
    wanted = list(dict.fromkeys(place.values()))
    convert = pacsv.ConvertOptions(
        include_columns=wanted,
        column_types=dict.fromkeys(wanted, pa.binary()),
        strings_can_be_null=True,
        null_values=["", "NULL"],
    )
    try:
        with (
            pa.input_stream(path, compression="detect") as stream,
            pacsv.open_csv(stream, read, parse, convert) as reader,
        ):
            for batch in reader:
                yield Batch(
                    [batch.column(place[name]) for name in selection.names],
                    batch.column(place[selection.geometry]),
                    skipped,
                )
                skipped = 0
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise UsageError(
            f"{path}: expected a CSV with {separator!r} between cells, and reading "
            f"stopped ({error})"
        ) from error
    if skipped:
        nothing = pa.array([], pa.binary())
        yield Batch([nothing] * len(selection.names), nothing, skipped)
