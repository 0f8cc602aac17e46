"""GPX: the points of tracks as records, of GPX 1.0 and 1.1 (Topografix, 2002 and 2004).

A field's path names an attribute of a point (`@lat`, `@lon`), an element in it (`time`, `ele`,
`speed`), or one further within (`extensions.TrackPointExtension.speed`), each by its local name,
whatever its namespace. `#track` and `#segment` are numbers of the point's track and segment,
counted from 0. Routes and waypoints are no records. The XML must be well-formed to its end; a
document type is refused, and with it every entity but those of XML itself.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final
from xml.parsers import expat

from mapreduce.errors import JobError, ObjectError
from mapreduce.formats import salvage
from mapreduce.formats.field_path import keys_of
from mapreduce.formats.fields import Field, Float, Int, Text, Unit, checked, plain_of, shown_leaf
from mapreduce.formats.line_blocks import BOM
from mapreduce.formats.parsed import Parsed, assembled, columns_of
from mapreduce.formats.record_list import check_width

if TYPE_CHECKING:
    from collections.abc import Mapping

POINT: Final = ("gpx", "trk", "trkseg", "trkpt")
NUMBERS: Final = ("#track", "#segment")
NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
MAX_TEXT: Final = 1 << 16  # characters of one value
MAX_MARKUP: Final = 1 << 23  # bytes of one tag or comment
BETWEEN: Final = "\x1f"  # of a namespace and a local name
PIECE: Final = 1 << 20


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

    def parse(self, document: bytes, *, allow_nan: bool = False) -> Parsed:  # noqa: ARG002 - no JSON
        """Read one whole file.

        Raises
        ------
        ObjectError
            `empty`, `unreadable` with the place, `wrong_shape` or `too_large`.
        """
        if not document.removeprefix(BOM).strip():
            raise ObjectError("empty", f"{len(document)} bytes, only white space")
        reader = _Reader(self.paths)
        reader.read(document)
        n = len(reader.points)
        check_width(self.fields, n)
        places = {path: place for place, path in enumerate(reader.wanted)}
        leaves = {
            name: [_leaf(self.fields[name], point[places[path]]) for point in reader.points]
            for name, path in self.paths.items()
        }

        def shown(name: str, place: int) -> str:
            return shown_leaf(leaves[name][place])

        return assembled(self.fields, columns_of(self.fields, leaves), n, shown=shown)


class _Reader:
    """Takes the wanted texts of each point, as the parser comes to them."""

    def __init__(self, paths: Mapping[str, tuple[str, ...]]) -> None:
        self.wanted = list(dict.fromkeys(paths.values()))
        self.points: list[list[str | None]] = []
        self._places = {path: place for place, path in enumerate(self.wanted)}
        self._way: list[str] = []
        self._text: list[str] | None = None
        self._size = 0
        self._track = self._segment = -1
        self._parser = expat.ParserCreate(namespace_separator=BETWEEN)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._take
        self._parser.StartDoctypeDeclHandler = self._refuse

    def read(self, document: bytes) -> None:
        """Read a whole document."""
        try:
            for start in range(0, len(document), PIECE):
                self._parser.Parse(document[start : start + PIECE], False)
                # such a one is read from its beginning with each piece
                if start - self._parser.CurrentByteIndex > MAX_MARKUP:
                    raise ObjectError("too_large", f"a tag or comment of over {MAX_MARKUP:,} bytes")
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            told = f"line {error.lineno}, column {error.offset}: {expat.ErrorString(error.code)}"
            raise ObjectError("unreadable", f"XML is not well-formed: {told}") from None
        except (LookupError, ValueError) as error:  # of an encoding that nobody knows
            raise ObjectError("unreadable", f"its encoding cannot be read: {error}") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        way = self._way
        way.append(name.rpartition(BETWEEN)[2])
        if len(way) > salvage.MAX_DEPTH:
            raise ObjectError("too_deep", f"nested deeper than {salvage.MAX_DEPTH}")
        if len(way) == 1 and way[0] != POINT[0]:
            raise ObjectError("wrong_shape", f"expected a <gpx> document, got <{way[0][:64]}>")
        if len(way) > len(POINT):
            if tuple(way[: len(POINT)]) == POINT and tuple(way[len(POINT) :]) in self._places:
                self._text, self._size = [], 0
            return
        if tuple(way) == POINT[:2]:
            self._track, self._segment = self._track + 1, -1
        elif tuple(way) == POINT[:3]:
            self._segment += 1
        elif tuple(way) == POINT:
            self._begin(attributes)

    def _begin(self, attributes: Mapping[str, str]) -> None:
        if len(self.points) >= salvage.MAX_RECORDS:
            raise ObjectError("too_large", f"more than {salvage.MAX_RECORDS:,} points in one file")
        numbers = {"#track": str(self._track), "#segment": str(self._segment)}
        point: list[str | None] = []
        for first, *more in self.wanted:
            own = attributes.get(first[1:]) if first.startswith("@") else numbers.get(first)
            point.append(None if more else own)
        self.points.append(point)

    def _take(self, text: str) -> None:
        if self._text is not None:
            self._size += len(text)
            if self._size > MAX_TEXT:
                raise ObjectError("too_large", f"a value of over {MAX_TEXT:,} characters")
            self._text.append(text)

    def _end(self, name: str) -> None:  # noqa: ARG002 - it is the innermost
        if self._text is not None:
            place = self._places.get(tuple(self._way[len(POINT) :]))
            if place is not None:
                self.points[-1][place] = "".join(self._text)
                self._text = None
        self._way.pop()

    def _refuse(self, *_: object) -> None:
        raise ObjectError("unreadable", "a document type (<!DOCTYPE>) is not read: remove it")


def _path(field: Field, name: str) -> tuple[str, ...]:
    keys = tuple(keys_of(field.path, f"field {name!r}"))
    if keys[0].startswith("#") and keys not in {(number,) for number in NUMBERS}:
        raise JobError(f"field {name!r}: expected {' or '.join(NUMBERS)}, got {field.path!r}")
    if keys[0].startswith("@") and len(keys) > 1:
        raise JobError(f"field {name!r}: an attribute holds nothing further, got {field.path!r}")
    return keys


def _leaf(field: Field, text: str | None) -> Any:
    """Give a text as a field's own reading takes it: an empty one is absent."""
    if text is None:
        return None
    plain = plain_of(field)
    stripped = text.strip()
    if isinstance(plain, Text):
        return stripped or None
    if isinstance(plain, Float) and NUMBER.fullmatch(stripped):
        number = float(stripped)
        return number if math.isfinite(number) else stripped
    assert isinstance(plain, (Float, Int))  # noqa: S101 - there is no other
    return stripped or None
