"""The quick reading of plain delimited text: compiled code takes numbers straight into columns.

Like the scan of documents it never judges: what it gives is what reading line by line gives, and
at anything but plain numbers in lines of as many cells as there are columns it gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mapreduce.formats import scanner
from mapreduce.formats.fields import Float, Int, Time, plain_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapreduce.formats.field_column import FieldColumn
    from mapreduce.formats.fields import Field

PASSED_OVER: Final = "-"
MAX_CELLS: Final = 1024  # of a line, as the compiled code has it


def line_scanner(
    fields: Mapping[str, Field],
    places: Mapping[str, int],
    width: int,
    delimiter: str,
    decimal: str,
) -> LineScanner | None:
    """Make what reads such lines quickly; None where that can't be.

    Parameters
    ----------
    fields
        By name; numbers alone can be read so.
    places
        Name -> number of the cell, from 0, of the fields that objects have.
    width
        How many cells a line has.
    delimiter, decimal
        One ASCII character each.
    """
    kinds = [PASSED_OVER] * width
    for name, place in places.items():
        kind = _kind_of(fields[name])
        if kind is None or kinds[place] not in {PASSED_OVER, kind}:
            return None
        kinds[place] = kind
    wanted = len(kinds) - kinds.count(PASSED_OVER)
    if not scanner.is_built() or width > MAX_CELLS or wanted > scanner.MAX_COLUMNS:
        return None
    return LineScanner(fields, places, "".join(kinds), delimiter, decimal)


class LineScanner:
    """Takes the numbers of plain lines into columns."""

    def __init__(
        self,
        fields: Mapping[str, Field],
        places: Mapping[str, int],
        kinds: str,
        delimiter: str,
        decimal: str,
    ) -> None:
        self._asked = (kinds.encode(), delimiter, decimal)
        wanted = [place for place, kind in enumerate(kinds) if kind != PASSED_OVER]
        self._fields = fields
        self._columns = {name: wanted.index(place) for name, place in places.items()}

    def read(self, block: bytes, start: int = 0) -> tuple[dict[str, FieldColumn], int] | None:
        """Give columns and the number of records, from a byte on; None gives up.

        A block is UTF-8, without quotes, and with no carriage return but before a line's end.
        """
        found = scanner.lines_of(block, start, *self._asked)
        if found is None:
            return None
        n, columns = found
        taken: dict[str, FieldColumn] = {}
        for name, field in self._fields.items():
            number = self._columns.get(name)
            if number is None:
                taken[name] = field.column([None] * n)
                continue
            taken[name] = column = field.scanned(*columns[number])
            if column.bad is not None:  # a number, but no time
                return None
        return taken, n


def _kind_of(field: Field) -> str | None:
    if isinstance(field, Int):
        return "i"
    if isinstance(field, Float) or (isinstance(field, Time) and isinstance(plain_of(field), Float)):
        return "f"
    return None
