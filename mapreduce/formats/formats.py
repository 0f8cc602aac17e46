"""Formats: the bytes of an object to columns of the wanted fields, and an account of the rest.

Formats that a job declares: `Json` and `JsonColumns` (documents); `JsonLines`, `Csv` and `Lines`
(one record a line), `Parquet` (row groups) and `Gpx` (points of one document), whatever the size of
an object. Nothing here opens or reads. Each has a file of its own but `Lines`, which has no fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from mapreduce.formats import salvage
from mapreduce.formats.csv import Csv
from mapreduce.formats.fields import Field, Unit, check_name
from mapreduce.formats.gpx import Gpx
from mapreduce.formats.json import Json, JsonColumns, JsonLines
from mapreduce.formats.parquet import Parquet
from mapreduce.formats.parsed import Parsed

if TYPE_CHECKING:
    from collections.abc import Callable


class Lines:
    """Plain text: one record a line, as bytes without its line end, in the named field."""

    unit: ClassVar[Unit] = "line"
    has_header: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        check_name(name)
        self.name = name
        self.fields: dict[str, Field] = {}

    def begin(self, *, allow_nan: bool = False) -> Callable[[bytes], Parsed]:  # noqa: ARG002 - no JSON
        """Give what parses the blocks of one object."""
        return self.parse

    def parse(self, block: bytes) -> Parsed:
        """Read a block of whole lines."""
        lines = block.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        column = np.empty(len(lines), dtype=object)
        column[:] = [line.removesuffix(b"\r") for line in lines]
        return Parsed({self.name: column}, {}, np.arange(len(lines)), len(lines))


LineFormat: TypeAlias = JsonLines | Lines | Csv
DocumentFormat: TypeAlias = Json | JsonColumns
Format: TypeAlias = DocumentFormat | LineFormat | Parquet | Gpx


def refuse_beginning(form: LineFormat, block: bytes) -> None:
    """Refuse lines of more than a byte a character by how the first begins: none would be read."""
    if not isinstance(form, Lines):
        salvage.refuse_wide(block)
