"""A look at a few trips: which fields there are, and which are ids, speeds and times.

It reads some objects whole and takes in, for every path, how often it is null and what it holds;
`advice` tells it. Whether an object can be read is decided by the format that a
run reads with, in its words.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce import Int, Json, ObjectError
from mapreduce.formats.field_path import LIST_STEP, is_nameable, path_of
from mapreduce.formats.nan_tokens import WORDS, Word, holds, masked
from mapreduce.formats.parquet import MAGIC
from mapreduce.objects.archives import explained
from mapreduce.objects.file_kinds import HEAD_BYTES, refuse_packed_again
from mapreduce.objects.listing import nothing_in, wanted
from mapreduce.objects.members import located
from mapreduce.objects.object_file import ObjectFile
from mapreduce.objects.reader import Reader
from mapreduce.objects.source import open_store
from mapreduce.objects.unpacked import Capped, unpacked
from roadspeed.inspect.leaves import Leaf, is_named, likely
from roadspeed.inspect.tables import csv_look, gpx_records, parquet_records
from roadspeed.inspect.traces import trace_of
from roadspeed.trip import PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mapreduce.objects import Entry, Location
    from mapreduce.objects.body import Body
    from roadspeed.inspect.leaves import Keys

OBJECTS: Final = 20
MOST_BYTES: Final = 256 << 20
FIRST_BYTES: Final = 4 << 20  # of an object of lines: it may be of any size
RECORDS_AN_OBJECT: Final = 5_000
SAMPLES, SAMPLE_RECORDS = 5, 2_000
UNNAMED: Final = "\ue001"  # marks a key that no path can name
MOST_DIGITS: Final = 400  # of an integer
GPX: Final = re.compile(rb"^\s*(<(\?xml|!--)[\s\S]*?)?<gpx[\s>]")
HEAD_OF_XML: Final = 4096
BOM: Final = b"\xef\xbb\xbf"
NO_LIST: Final = (
    "a document without a list of records: a run needs a list of JSON objects, one per fix (in"
    " pandas: orient='records')"
)
NO_TABLE: Final = (
    "no CSV with the names of two columns or more in its first line, and rows of as many fields"
    " below"
)
TABLE: Final = re.compile(r"\.(csv|tsv)(\.|$)", re.IGNORECASE)
MARK: Final = "\ue000not finite: "  # begins what stands for NaN and its like, once decoded
MARKED: Final = {word: f'"{MARK}{word.decode()}"'.encode() for word in WORDS}
LINES: Final = frozenset(("LineString", "MultiLineString"))


@dataclass(frozen=True, slots=True)
class Where:
    """Where records are, and how they are read: the format, and the path of their list.

    `head` is the path of what seems to be a trip's id beside them, from the document's top.
    """

    format: str = "json"
    path: str = ""
    head: str = ""
    delimiter: str = ","
    decimal: str = "."


@dataclass(slots=True)
class RecordPlace:
    """The records of one format, of the lists at one path."""

    records: int = 0
    not_records: int = 0
    not_finite: int = 0
    """Records with NaN or Infinity in them."""
    leaves: dict[Keys, Leaf] = field(default_factory=dict)
    samples: list[list[dict[str, Any]]] = field(default_factory=list)
    """The first records of some objects."""

    @property
    def is_likely(self) -> bool:
        """Whether something in it looks like a link id, and something like a speed."""
        link = likely("link", self.leaves) or likely("latitude", self.leaves)
        return bool(link and (likely("speed", self.leaves) or trace_of(self.leaves)))


@dataclass(slots=True)
class Findings:
    """What a sample of objects holds.

    Of each object `most` records are looked at; one that is no lines may have `most_bytes`.
    """

    most: int = RECORDS_AN_OBJECT
    most_bytes: int = MOST_BYTES
    objects: int = 0
    unreadable: int = 0
    not_finite_beside: bool = False
    """Whether NaN or Infinity stands beside the records of a document."""
    faults: list[str] = field(default_factory=list)
    places: dict[Where, RecordPlace] = field(default_factory=dict)
    roads: list[str] = field(default_factory=list)
    """Keys of objects that hold lines for a map, and no trips."""

    @property
    def at(self) -> Where | None:
        """The format and path that a run should read, None where there was no list.

        That with what a run needs, else the list within the fewest others, else that with the most
        records.
        """

        def fits(at: Where) -> tuple[bool, int, int]:
            place = self.places[at]
            return place.is_likely, -at.path.count(LIST_STEP), place.records

        return max(self.places, key=fits, default=None)

    @property
    def place(self) -> RecordPlace:
        """What is at that path."""
        return RecordPlace() if self.at is None else self.places[self.at]


def inspected(
    source: str,
    *,
    endpoint: str | None = None,
    objects: int = OBJECTS,
    records: int = RECORDS_AN_OBJECT,
    most_bytes: int = MOST_BYTES,
) -> Findings:
    """Look at the first records of the first objects of a source.

    Raises
    ------
    UsageError
        Where there is no object to look at.
    """
    found = Findings(records, most_bytes)
    store = open_store(source, endpoint=endpoint)
    with Reader() as reader:
        for entry in itertools.islice(wanted(store), objects):
            found.objects += 1
            try:
                fault = _looked(reader, entry, located(store, entry), found)
            except ObjectError as error:
                found.unreadable += 1
                fault = f"could not be read: {error}"
            if fault:
                found.faults.append(f"{entry.key}: {fault}")
    if not found.objects:
        raise nothing_in(store)
    return found


def _looked(reader: Reader, entry: Entry, location: Location, found: Findings) -> str | None:
    """Look at an object, whatever its format; raises and returns as `_look`."""
    try:
        return _read(reader, entry, location, found)
    except ObjectError as error:
        raise explained(reader, entry, location, error) from None


def _read(reader: Reader, entry: Entry, location: Location, found: Findings) -> str | None:
    with ObjectFile(reader, entry, location) as file:
        if file.read(len(MAGIC)) == MAGIC:
            _take(parquet_records(file, RECORDS_AN_OBJECT), Where("parquet"), found)
            return None
    with reader.open(entry, location) as body:
        content = unpacked(body, entry.key, found.most_bytes)
        raw = _first(content)
        refuse_packed_again(raw[:HEAD_BYTES], entry.key)
        raw = raw.removeprefix(BOM)
        if GPX.search(raw[:HEAD_OF_XML]):
            all_of_it = Capped(raw, content, entry.key, None)
            points = gpx_records(all_of_it.read, RECORDS_AN_OBJECT)
            _take(points, Where("gpx"), found)
            return None
        if len(raw) >= FIRST_BYTES and _take_lines(raw[: raw.rfind(b"\n") + 1], found):
            return None
        return _look(raw + content.read(), entry.key, found)


def _first(content: Body) -> bytes:
    """Read the first bytes."""
    pieces, size = [], 0
    while size < FIRST_BYTES and (piece := content.read(FIRST_BYTES - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _look(raw: bytes, key: str, found: Findings) -> str | None:
    """Take the records of an object; say what is wrong with it, if it can be read for all that.

    Raises
    ------
    ObjectError
        Where a run would set the object aside.
    """
    try:
        document = _decoded(raw)
    except (ValueError, RecursionError) as error:  # of msgspec, json and UTF-8
        if _take_lines(raw, found):
            return None
        if TABLE.search(key):
            raise ObjectError("wrong_shape", NO_TABLE) from None
        return _drops(raw, error)
    if _is_roads(document):
        found.roads.append(key)
        return None
    lists = dict(_lists(document))
    if not lists:
        raise ObjectError("wrong_shape", NO_LIST)
    of_objects = _of_objects(lists)
    if not of_objects and (columns := list(_columns(document))):
        for path, records in columns:
            _take(records, Where("json-columns", path), found)
        return None
    longest = max(lists, key=lambda path: len(lists[path]))
    if UNNAMED not in longest:
        _judged(raw, longest, found)
    for path in of_objects or [longest]:
        _take(lists[path], Where("json", path, _head(document, path)), found)
    return None


def _decoded(raw: bytes) -> Any:
    """Decode JSON in which NaN and its like are marked texts; integers of any length are taken."""
    readable = masked(raw, MARKED)
    try:
        return msgspec.json.decode(readable)
    except msgspec.ValidationError:  # an integer of thousands of digits, which a run skips
        return json.loads(readable, parse_int=lambda digits: int(digits[:MOST_DIGITS]))


def _is_roads(document: Any) -> bool:
    """Tell whether a document is lines for a map (RFC 7946), as roads are."""
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        return False
    return any(
        isinstance(one, dict)
        and isinstance(one.get("geometry"), dict)
        and one["geometry"].get("type") in LINES
        for one in document["features"][:RECORDS_AN_OBJECT]
    )


def _drops(raw: bytes, error: Exception) -> str:
    """Say which records a run would drop of a document that is no JSON as a whole."""
    try:
        parsed = Json(at=PATHS.data, any=Int("any")).parse(raw)
    except ObjectError as fault:
        if b"}{" in raw:
            hint = "several documents in one object? Write one per object"
            raise ObjectError("not_json", f"{error}; {hint}") from None
        if fault.reason != "wrong_shape":
            raise
        raise ObjectError("not_json", str(error)) from None  # its list may well lie elsewhere
    bad = parsed.dropped.get("not_a_record", 0)
    return f"{bad:,} of {parsed.read:,} records are malformed, and a run drops them ({error})"


def _judged(raw: bytes, at: str, found: Findings) -> None:
    """Read as a run would; `ObjectError` where that would set the object aside."""
    form = Json(at=at, any=Int("any"))
    try:
        form.parse(raw)
    except ObjectError:
        if not holds(raw):
            raise
        form.parse(raw, allow_nan=True)
        found.not_finite_beside = True


def _take_lines(raw: bytes, found: Findings) -> bool:
    """Take records of JSON Lines, documents a line, or CSV; tell whether it is one of these."""
    lines = [line for line in raw.split(b"\n")[:RECORDS_AN_OBJECT] if line.strip()]
    try:
        records = [_decoded(line) for line in lines]
    except (ValueError, RecursionError):
        look = csv_look(raw, RECORDS_AN_OBJECT)
        if look is not None:
            _take(look.records, Where("csv", delimiter=look.delimiter, decimal=look.decimal), found)
        return look is not None
    if len(records) < 2:  # noqa: PLR2004 - a single one is a document
        return False
    within = [path for path in _of_objects(dict(_lists(records[0]))) if path]
    if not within:
        _take(records, Where("json-lines"), found)
    for path in within:
        head = _head(records[0], path)
        for record in records:
            of_it = dict(_lists(record)).get(path, [])
            _take(of_it, Where("json-documents", path, head), found)
    return True


def _of_objects(lists: Mapping[str, list[Any]]) -> list[str]:
    """Give the paths of lists that have objects in them."""
    return [path for path, one in lists.items() if any(isinstance(r, dict) for r in one)]


def _lists(value: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Give the lists of a document by path, at most the first records of each."""
    if isinstance(value, list):
        first = value[:RECORDS_AN_OBJECT]
        yield path, first
        inner: dict[str, list[Any]] = {}
        for item in first:
            for below, one in _lists(item, path + LIST_STEP):
                found = inner.setdefault(below, [])
                found += one[: RECORDS_AN_OBJECT - len(found)]
        yield from inner.items()
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _lists(below, _joined(path, key))


def _joined(path: str, key: str) -> str:
    """Give the path of a member; one that no path can name is marked."""
    named = path_of([key]) if is_nameable(key) else UNNAMED + key
    return f"{path}.{named}" if path else named


def _columns(value: Any, path: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give objects with lists of one length in them, as records: by path."""
    if not isinstance(value, dict):
        return
    lists = {key: one for key, one in value.items() if isinstance(one, list) and one}
    most = max(map(len, lists.values()), default=0)
    same = {key: one[:RECORDS_AN_OBJECT] for key, one in lists.items() if len(one) == most}
    if len(same) > 1:
        yield path, [dict(zip(same, row, strict=True)) for row in zip(*same.values(), strict=True)]
    for key, below in value.items():
        yield from _columns(below, _joined(path, key))


def _head(document: Any, path: str) -> str:
    """Give the path of what seems to be the trip's id beside the lists at a path; "" for none."""
    outer, _, _ = path.rpartition(LIST_STEP)
    if LIST_STEP not in path:
        return ""
    items = dict(_lists(document)).get(outer, [])
    for key, value in items[0].items() if items and isinstance(items[0], dict) else ():
        is_id = isinstance(value, (str, int)) and not isinstance(value, bool)
        if is_id and is_nameable(key) and (key.lower() == "id" or is_named("trip", (key,))):
            return _joined(f"{outer}{LIST_STEP}", key)
    return ""


def _take(records: list[Any], at: Where, found: Findings) -> None:
    place = found.places.setdefault(at, RecordPlace())
    if len(place.samples) < SAMPLES:
        place.samples.append([one for one in records if isinstance(one, dict)][:SAMPLE_RECORDS])
    for record in records[: found.most]:
        place.records += 1
        if not isinstance(record, dict):
            place.not_records += 1
            continue
        words = False
        for keys, value in _leaves(record):
            leaf = place.leaves.setdefault(keys, Leaf())
            if isinstance(value, str) and value.startswith(MARK):
                words = True
                leaf.add(Word(value.removeprefix(MARK)))
            else:
                words = words or (isinstance(value, list) and MARK in _text(value))
                leaf.add(value)
        place.not_finite += words


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _leaves(record: Mapping[str, Any], above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    for key, value in record.items():
        keys = (*above, key)
        if isinstance(value, dict):
            yield from _leaves(value, keys)
        else:
            yield keys, value
