"""`quarantine.csv` and `dropped.csv`: what was left out, for people with a spreadsheet.

Keys are whatever a bucket holds. Separators, quotes and line ends are quoted as CSV does (RFC
4180, section 2). A cell that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`,
`@`, a tab or a carriage return) gets an apostrophe before it, and so does one that begins with an
apostrophe, so that taking one off always gives the key back; plain numbers stay as they are. What
UTF-8 cannot hold (a file name of stray bytes) is written as an escape. Nothing is cut.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Final

from mapreduce.errors import JobError
from roadspeed.outputs.columns import DROPPED, QUARANTINE, Column
from roadspeed.outputs.whole import whole

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

_RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "'")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)


def write_quarantine(path: str | os.PathLike[str], rows: Iterable[Sequence[object]]) -> None:
    """Write objects set aside: rows of key, etag, reason, place, in the order given."""
    _write(path, QUARANTINE, rows)


def write_dropped(path: str | os.PathLike[str], rows: Iterable[Sequence[object]]) -> None:
    """Write dropped records: rows of reason, key, place, value (None if unknown), as given."""
    _write(path, DROPPED, rows)


def escaped(cell: object) -> str:
    """Give a cell's text, with an apostrophe before what a spreadsheet would run."""
    text = "" if cell is None else str(cell)
    if text.startswith(_RISKY) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def unescaped(text: str) -> str:
    """Give back what `escaped` was given."""
    return text.removeprefix("'")


def _write(
    path: str | os.PathLike[str], columns: Sequence[Column], rows: Iterable[Sequence[object]]
) -> None:
    with (
        whole(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        for number, row in enumerate(rows):
            if len(row) != len(columns):
                raise JobError(f"{path}: row {number} has {len(row)} cells, not {len(columns)}")
            writer.writerow([escaped(cell) for cell in row])
