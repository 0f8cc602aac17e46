"""The points of a GPX document's tracks, while its pieces come: expat reads, this picks.

What a point has that is wanted is held until the piece in which it ends was read, and nothing else
of the document, so memory is bounded by a piece, one tag and one point, whatever the size. The XML
must be well-formed to its end, which is known only there: who takes points earlier must be able to
forget them. A document type is refused, and with it every entity but those of XML itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias
from xml.parsers import expat

from mapreduce.errors import ObjectError
from mapreduce.formats.salvage import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TRACK, SEGMENT, POINT, LEAF = 1, 2, 3, 4  # what an element is to us; 0: nothing
WAY: Final = {"gpx": 0, "trk": TRACK, "trkseg": SEGMENT, "trkpt": POINT}
NUMBERS: Final = ("#track", "#segment")
MAX_TEXT: Final = 1 << 16  # characters of one value
MAX_MARKUP: Final = 1 << 23  # bytes of one tag or comment
MAX_NAMES: Final = 1 << 16  # of elements by their place, attributes and prefixes: each is held
BETWEEN: Final = "\x1f"  # of a namespace and a local name

Path: TypeAlias = tuple[str, ...]
Point: TypeAlias = dict[str, str]  # attributes by name; the rest by `key_of`, which is no XML name


def key_of(path: Path) -> str:
    """Give the key by which a point has what is at a path."""
    first = path[0]
    if first.startswith("@"):
        return first[1:]
    return first if first in NUMBERS else "/" + "/".join(path)


class _Element(dict[str, "_Element"]):
    """An element by its place in a document, and those in it by name, with the namespace.

    One that was not met before is found by its local name. One that nobody wants is made as it
    comes, so that each knows what it is in.
    """

    __slots__ = ("_below", "depth", "key", "kind", "met", "parent")

    def __init__(self, parent: _Element | None = None, kind: int = 0) -> None:
        self.parent = parent
        self.kind = kind
        self.key = ""
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.met: list[str] = [] if parent is None else parent.met  # each once, at each place
        self._below: dict[str, _Element] = {}
        if self.depth > MAX_DEPTH:
            raise ObjectError("too_deep", f"nested deeper than {MAX_DEPTH}")

    def below(self, name: str, kind: int = 0) -> _Element:
        """Give the element of this local name in this one; it is made if there is none."""
        if name not in self._below:
            self._below[name] = _Element(self, kind)
        return self._below[name]

    def __missing__(self, name: str) -> _Element:
        local = name.rpartition(BETWEEN)[2]
        if self.depth == 0 and local not in self._below:
            raise ObjectError("wrong_shape", f"expected a <gpx> document, got <{local[:64]}>")
        found = self[name] = self.below(local if local in self._below else "")
        self.met.append(name)
        return found


class PointReader:
    """Reads one document, a piece at a time.

    Parameters
    ----------
    wanted
        The paths of what a point should have.
    """

    def __init__(self, wanted: Iterable[Path]) -> None:
        self._root = _tree(wanted)
        self._points: list[Point] = []
        self._texts: list[str] = []
        self._bytes = 0
        self._parser = expat.ParserCreate(namespace_separator=BETWEEN)
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parser.StartNamespaceDeclHandler = _ignore  # so that `intern` has prefixes too
        numbered = any(path[0] in NUMBERS for path in wanted)
        self._place = _watch(self._parser, self._root, self._points, self._texts, numbered=numbered)

    def read(self, piece: bytes, *, last: bool = False) -> list[Point]:
        """Take a piece; give the points that end in it.

        Raises
        ------
        ObjectError
            `unreadable` with the place, `wrong_shape`, `too_deep` or `too_large`.
        """
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            told = f"line {error.lineno}, column {error.offset}: {expat.ErrorString(error.code)}"
            raise ObjectError("unreadable", f"XML is not well-formed: {told}") from None
        except (LookupError, ValueError) as error:  # of an encoding that nobody knows
            raise ObjectError("unreadable", f"its encoding cannot be read: {error}") from None
        self._refuse_large()
        self._bytes += len(piece)
        return self._ended()

    def _refuse_large(self) -> None:
        """Refuse what would be held, or read again with each piece, without a bound."""
        if self._bytes - self._parser.CurrentByteIndex > MAX_MARKUP:
            raise ObjectError("too_large", f"a tag or comment of over {MAX_MARKUP:,} bytes")
        if sum(map(len, self._texts)) > MAX_TEXT:
            raise _too_long()
        if len(self._parser.intern) + len(self._root.met) > MAX_NAMES:
            raise ObjectError("too_large", f"over {MAX_NAMES:,} names of elements and attributes")

    def _ended(self) -> list[Point]:
        place: _Element | None = self._place()
        while place is not None and place.kind != POINT:
            place = place.parent
        open_ = 0 if place is None else 1
        ended = self._points[: len(self._points) - open_]
        del self._points[: len(ended)]
        return ended


def _tree(wanted: Iterable[Path]) -> _Element:
    """Give the document, with the elements in it that are looked for."""
    root = point = _Element()
    for name, kind in WAY.items():
        point = point.below(name, kind)
    for path in wanted:
        if path[0][0] in "@#":
            continue
        leaf = point
        for name in path:
            leaf = leaf.below(name)
        leaf.kind, leaf.key = LEAF, key_of(path)
    return root


def _watch(
    parser: expat.XMLParserType,
    root: _Element,
    points: list[Point],
    texts: list[str],
    *,
    numbered: bool,
) -> Callable[[], _Element]:
    """Have a parser add points to a list; give what tells where it is.

    All that is done for each element is done here, and as little as can be: closures, and text is
    asked for only within an element that is wanted.
    """
    at, point = root, dict[str, str]()
    numbers = dict.fromkeys(NUMBERS, "-1")
    take, add = texts.append, points.append

    def start(name: str, attributes: Point) -> None:
        nonlocal at, point
        at = at[name]
        kind = at.kind
        if not kind:
            return
        if kind == LEAF:
            parser.CharacterDataHandler = take
            parser.EndElementHandler = end_leaf
        elif kind == POINT:
            point = attributes
            add(point)
            if numbered:
                point.update(numbers)
        else:
            _count(numbers, kind)

    def end(_: str) -> None:
        nonlocal at
        at = at.parent  # type: ignore[assignment] # what has begun has one

    def end_leaf(_: str) -> None:
        nonlocal at
        if at.kind == LEAF:  # and nothing within it, whose text is the leaf's as well
            parser.CharacterDataHandler = None
            parser.EndElementHandler = end
            text = "".join(texts)
            texts.clear()
            if len(text) > MAX_TEXT:
                raise _too_long()
            point[at.key] = text
        at = at.parent  # type: ignore[assignment]

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    return lambda: at


def _count(numbers: Point, kind: int) -> None:
    """Count a track, or a segment of it."""
    counted = NUMBERS[kind == SEGMENT]
    numbers[counted] = str(int(numbers[counted]) + 1)
    if kind == TRACK:
        numbers["#segment"] = "-1"


def _too_long() -> ObjectError:
    return ObjectError("too_large", f"a value of over {MAX_TEXT:,} characters")


def _refuse(*_: object) -> None:
    raise ObjectError("unreadable", "a document type (<!DOCTYPE>) is not read: remove it")


def _ignore(*_: object) -> None:
    pass
