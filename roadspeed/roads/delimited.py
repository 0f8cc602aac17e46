"""CSV with a column of WKT or hexadecimal WKB, as a layer.

Rule: the first line names the columns, and whichever of `;` `,` tab `|` occurs most in it is
the separator. Every cell is text until it is understood. A line with too many or too few cells
is skipped and counted. UTF-8, with or without a byte order mark; `.gz` is read as what it
holds. Read in bounded memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv

from mapreduce.errors import UsageError
from roadspeed.roads.layer import Batch, Layer, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

SEPARATORS = ";,\t|"
BLOCK_BYTES = 16 << 20
HEADER_BYTES = 1 << 20


def open_delimited(path: str) -> Layer:
    """Open a CSV; `UsageError` if its first line names fewer than two columns."""
    with pa.input_stream(path, compression="detect") as stream:
        head = stream.read(HEADER_BYTES)
    line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].rstrip(b"\r")
    header = line.decode("utf-8", errors="replace")
    separator = separator_of(header)
    names = tuple(name.strip().strip('"') for name in header.split(separator))
    if len(names) < 2:  # noqa: PLR2004 - an id and a geometry
        raise UsageError(
            f"{path}: expected a first line that names an id and a geometry column, separated by "
            f"; or , and got {header[:80]!r}"
        )

    def read(selection: Selection) -> Iterator[Batch]:
        return _batches(path, separator, names, selection)

    return Layer(where=path, names=names, native_geometry=None, crs=None, rows=None, read=read)


def separator_of(header: str) -> str:
    """Return the separator that occurs most outside quotes; `;` if none does."""
    outside = "".join(header.split('"')[::2])
    return max(SEPARATORS, key=outside.count)


def _batches(
    path: str, separator: str, names: tuple[str, ...], selection: Selection
) -> Iterator[Batch]:
    skipped = 0

    def skip(_row: pacsv.InvalidRow) -> str:
        nonlocal skipped
        skipped += 1
        return "skip"

    wanted = list(dict.fromkeys([*selection.names, selection.geometry]))
    read = pacsv.ReadOptions(block_size=BLOCK_BYTES, column_names=list(names), skip_rows=1)
    parse = pacsv.ParseOptions(
        delimiter=separator, newlines_in_values=True, invalid_row_handler=skip
    )
    convert = pacsv.ConvertOptions(
        include_columns=wanted,
        column_types=dict.fromkeys(wanted, pa.string()),
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
                    [batch.column(name) for name in selection.names],
                    batch.column(selection.geometry),
                    skipped,
                )
                skipped = 0
    except pa.ArrowInvalid as error:
        raise UsageError(
            f"{path}: expected a CSV in UTF-8 with {separator!r} between cells, and reading "
            f"stopped ({error})"
        ) from error
    if skipped:
        nothing = pa.array([], pa.string())
        yield Batch([nothing] * len(selection.names), nothing, skipped)
