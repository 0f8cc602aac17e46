"""GPX: the points of tracks as records, of GPX 1.0 and 1.1 (Topografix, 2002 and 2004).

A field's path names an attribute of a point (`@lat`, `@lon`), an element in it (`time`, `ele`,
`speed`), or one further within (`extensions.TrackPointExtension.speed`), each by its local name,
whatever its namespace. `#track` and `#segment` are numbers of the point's track and segment,
counted from 0. Routes and waypoints are no records. A document is read a piece at a time; one that
turns out to be no XML later has been read in vain.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from mapreduce.errors import JobError, ObjectError
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
    plain_of,
)
from mapreduce.formats.gpx_points import NUMBERS, PointReader, key_of
from mapreduce.formats.leaves import shown_leaf
from mapreduce.formats.line_blocks import BOM, filled
from mapreduce.formats.parsed import Parsed, assembled
from mapreduce.formats.record_list import TEXT_BYTES, text_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mapreduce.formats.field_column import FieldColumn
    from mapreduce.formats.gpx_points import Path, Point
    from mapreduce.tables.arrays import Array

NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
IN_NUMBERS: Final = b"0123456789+-.eE \t\r\n"  # of these, `float` takes what NUMBER does
PIECE_BYTES: Final = 1 << 20  # a few thousand points


class Gpx:
    """The points of a GPX file's tracks; see this module for the paths of fields.

    Examples
    --------
    >>> Gpx(lat=Float("@lat"), lon=Float("@lon"), time=Time("time"))
    """

    unit: ClassVar[Unit] = "document"

    def __init__(self, **fields: Field) -> None:
        self.fields = checked(fields)
        self.paths = {name: _path(field, name) for name, field in fields.items()}
        _check_leaves(self.paths.values())

    def batches(
        self, read: Callable[[int], bytes], piece_bytes: int = PIECE_BYTES
    ) -> Iterator[Parsed]:
        """Read a document; give its points as they come, in batches.

        Parameters
        ----------
        read
            Gives up to n bytes; b"" at the end.
        piece_bytes
            How much is read at once.

        Raises
        ------
        ObjectError
            `empty`, `unreadable` with the place, `wrong_shape`, `too_deep` or `too_large`: after
            some batches, perhaps, which count no more.
        """
        reader = PointReader(self.paths.values())
        size, is_blank = 0, True
        at_once = min(piece_bytes, TEXT_BYTES // max(1, text_bytes(self.fields)))
        while piece := filled(read, at_once):
            is_blank = is_blank and not (piece if size else piece.removeprefix(BOM)).strip()
            size += len(piece)
            if points := reader.read(piece):
                yield self._parsed(points)
        if is_blank:
            raise ObjectError("empty", f"{size} bytes, only white space")
        if points := reader.read(b"", last=True):
            yield self._parsed(points)

    def _parsed(self, points: Sequence[Point]) -> Parsed:
        keys = {name: key_of(path) for name, path in self.paths.items()}
        columns = {
            name: _column(field, [point.get(keys[name]) for point in points])
            for name, field in self.fields.items()
        }

        def shown(name: str, place: int) -> str:
            return shown_leaf(_leaf(plain_of(self.fields[name]), points[place].get(keys[name])))

        return assembled(self.fields, columns, len(points), shown=shown)


def _path(field: Field, name: str) -> Path:
    keys = tuple(keys_of(field.path, f"field {name!r}"))
    if keys[0].startswith("#") and keys not in {(number,) for number in NUMBERS}:
        raise JobError(f"field {name!r}: expected {' or '.join(NUMBERS)}, got {field.path!r}")
    if keys[0].startswith("@") and len(keys) > 1:
        raise JobError(f"field {name!r}: an attribute holds nothing further, got {field.path!r}")
    return keys


def _check_leaves(paths: Iterable[Path]) -> None:
    """Refuse paths that are both a value and a parent."""
    known = set(paths)
    for path in known:
        for length in range(1, len(path)):
            if path[:length] in known:
                parent, path_ = ".".join(path[:length]), ".".join(path)
                raise JobError(f"Gpx: {parent!r} is both a value and the parent of {path_!r}")


def _column(field: Field, texts: Sequence[str | None]) -> FieldColumn:
    """Turn the texts of a field into its column."""
    plain = plain_of(field)
    found = _numbers(plain, texts) if isinstance(plain, Float) else None
    if found is None:
        found = plain.column([_leaf(plain, text) for text in texts])
    return field.of(found) if isinstance(field, Time) else found


def _numbers(field: Float, texts: Sequence[str | None]) -> FieldColumn | None:
    """Turn texts that are finite numbers, or absent, into a column; None where one is neither."""
    given = [text for text in texts if text is not None]
    raw = "".join(given)
    if not raw.isascii() or raw.encode().translate(None, IN_NUMBERS):
        return None
    try:
        values: Array = np.fromiter(map(float, given), np.float64, len(given))
    except ValueError:
        return None
    if not np.isfinite(values).all():
        return None
    if len(given) == len(texts):
        return column_of(field, values, None, None)
    absent = np.fromiter((text is None for text in texts), np.bool_, len(texts))
    every = np.full(len(texts), np.nan)
    every[~absent] = values
    return column_of(field, every, absent, None)


def _leaf(field: Int | Float | Text, text: str | None) -> Any:
    """Give a text as a field's own reading takes it: an empty one is absent."""
    if text is None:
        return None
    stripped = text.strip()
    if isinstance(field, Float) and NUMBER.fullmatch(stripped):
        number = float(stripped)
        return number if math.isfinite(number) else stripped
    return stripped or None
