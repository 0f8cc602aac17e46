"""The first records of CSV, Parquet and GPX: for a look, which no run is decided by.

CSV says nothing of its delimiter and decimal sign: the delimiter is the one by which the first
lines have the same number of fields, the sign is the one that more numbers have.
"""

from __future__ import annotations

import csv
import importlib
import itertools
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from mapreduce import Gpx, ObjectError, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DELIMITERS: Final = ",;\t|"
FIRST_LINES: Final = 50
MANY: Final = 0.9
INTEGER: Final = re.compile(r"-?[0-9]{1,400}", re.ASCII)
NUMBER: Final = re.compile(
    r"-?[0-9]+[.,][0-9]+(?:[eE][-+]?[0-9]+)?|-?[0-9]+[eE][-+]?[0-9]+", re.ASCII
)


@dataclass(frozen=True, slots=True)
class CsvLook:
    """What CSV seems to be: its rows as records, and how they are to be read."""

    records: list[dict[str, Any]]
    delimiter: str
    decimal: str


def csv_look(raw: bytes, most: int) -> CsvLook | None:
    """Look at text whose first line names columns; None where it is none.

    Parameters
    ----------
    raw
        Its first bytes, whole lines.
    most
        How many rows are taken.
    """
    try:
        lines = raw.decode().splitlines()
    except UnicodeDecodeError:
        lines = raw.decode("latin-1").splitlines()
    lines = [line for line in lines[: most + 1] if line]
    if len(lines) < 2 or lines[0].lstrip()[:1] in {"{", "[", "<"}:  # noqa: PLR2004 - names and a row
        return None
    found = {d: _rows(lines[:FIRST_LINES], d) for d in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda d: _regularity(found[d]))
    if _regularity(found[delimiter]) == (0, 0):
        return None
    names, *rows = _rows(lines, delimiter)
    names = [name.strip() for name in names]
    if len(set(names)) < len(names) or any(not n or INTEGER.fullmatch(n) for n in names):
        return None
    cells = itertools.chain.from_iterable(rows)
    commas = sum(
        (("," in cell) - ("." in cell)) for cell in cells if NUMBER.fullmatch(cell.strip())
    )
    decimal = "," if commas > 0 and delimiter != "," else "."
    records = [
        {name: _value(cell, decimal) for name, cell in zip(names, row, strict=True)}
        for row in rows
        if len(row) == len(names)
    ]
    return CsvLook(records, delimiter, decimal)


def parquet_records(file: Any, most: int) -> list[dict[str, Any]]:
    """Give the first rows of a Parquet file.

    Raises
    ------
    ObjectError
        `unreadable`.
    """
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    try:
        batches = parquet.ParquetFile(file).iter_batches(most, use_threads=False)
        first = next(batches, None)
        rows = [] if first is None else first.to_pylist()
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise ObjectError("unreadable", f"Parquet is damaged: {error}") from None
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def gpx_records(read: Callable[[int], bytes], most: int) -> list[dict[str, Any]]:
    """Give the first points of a GPX file's tracks, with the paths that a run reads them by.

    Raises
    ------
    ObjectError
        As a run does.
    """
    head: list[bytes] = []
    seen = 0

    def kept(n: int) -> bytes:
        piece = read(n)
        if seen < most:
            head.append(piece)
        return piece

    for batch in Gpx(lat=Text("@lat"), lon=Text("@lon")).batches(kept):
        seen += batch.read
    tree: Any = ET.XMLPullParser(["start"])
    for piece in head:  # a document type was refused just now
        tree.feed(piece)
    _, root = next(tree.read_events())
    points = root.iterfind("./{*}trk/{*}trkseg/{*}trkpt")
    return [
        {**{f"@{name}": _value(text, ".") for name, text in point.attrib.items()}, **_inner(point)}
        for point in itertools.islice(points, most)
    ]


def _inner(element: Any) -> dict[str, Any]:
    """Give what is in an element, by local names."""
    return {
        child.tag.rpartition("}")[2]: _inner(child) if len(child) else _value(child.text or "", ".")
        for child in element
    }


def _plain(value: Any) -> Any:
    """Give a value as JSON would have it: dates and bytes as text, decimals as numbers."""
    if isinstance(value, dict):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []


def _regularity(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Tell how many of the first lines have as many fields as the first, and how many these are."""
    if not rows or len(rows[0]) < 2:  # noqa: PLR2004 - a table has two columns
        return 0, 0
    alike = sum(len(row) == len(rows[0]) for row in rows)
    return (alike, len(rows[0])) if alike >= MANY * len(rows) else (0, 0)


def _value(cell: str, decimal: str) -> Any:
    """Give a cell as a run would take it."""
    text = cell.strip()
    if not text:
        return None
    if INTEGER.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text) and {",", "."} & set(text) <= {decimal}:
        return float(text.replace(decimal, "."))
    return cell
