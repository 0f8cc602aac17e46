"""A look at a few trips: which fields there are, and which are ids, speeds and times.

It reads some objects whole and takes in, for every path, how often it is null and what it holds;
`advice` tells it. Whether an object can be read is decided by the format that a
run reads with, in its words.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce import Int, Json, ObjectError, UsageError
from mapreduce.formats.field_path import is_nameable, path_of
from mapreduce.formats.nan_tokens import WORDS, Word, holds, masked
from mapreduce.objects.file_kinds import HEAD_BYTES, refuse_packed
from mapreduce.objects.listing import wanted
from mapreduce.objects.reader import Reader
from mapreduce.objects.source import open_store
from mapreduce.objects.unpacked import read_all
from roadspeed.inspect.leaves import Leaf, likely
from roadspeed.trip import PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roadspeed.inspect.leaves import Keys

OBJECTS: Final = 20
MOST_BYTES: Final = 256 << 20
RECORDS_AN_OBJECT: Final = 5_000
MOST_DIGITS: Final = 400  # of an integer
BOM: Final = b"\xef\xbb\xbf"
NO_LIST: Final = (
    "a document with no list of records in it: a run takes a list of JSON objects, one a fix (in"
    " pandas: orient='records')"
)
MARK: Final = "\ue000not finite: "  # begins what stands for NaN and its like, once decoded
MARKED: Final = {word: f'"{MARK}{word.decode()}"'.encode() for word in WORDS}
LINES: Final = frozenset(("LineString", "MultiLineString"))


@dataclass(slots=True)
class RecordPlace:
    """The records of the lists at one path."""

    records: int = 0
    not_records: int = 0
    not_finite: int = 0
    """Records with NaN or Infinity in them."""
    leaves: dict[Keys, Leaf] = field(default_factory=dict)

    @property
    def is_likely(self) -> bool:
        """Whether something in it looks like a link id, and something like a speed."""
        return bool(likely("link", self.leaves) and likely("speed", self.leaves))


@dataclass(slots=True)
class Findings:
    """What a sample of objects holds."""

    objects: int = 0
    unreadable: int = 0
    lines: bool = False
    not_finite_beside: bool = False
    """Whether NaN or Infinity stands beside the records of a document."""
    faults: list[str] = field(default_factory=list)
    places: dict[Keys, RecordPlace] = field(default_factory=dict)
    roads: list[str] = field(default_factory=list)
    """Keys of objects that hold lines for a map, and no trips."""

    @property
    def at(self) -> Keys | None:
        """The path of the list that a run should read, None where there was no list.

        That with a likely link id and speed, else with the most records.
        """
        found = self.places
        return max(found, key=lambda k: (found[k].is_likely, found[k].records), default=None)

    @property
    def place(self) -> RecordPlace:
        """What is at that path."""
        return RecordPlace() if self.at is None else self.places[self.at]


def inspected(source: str, *, endpoint: str | None = None, objects: int = OBJECTS) -> Findings:
    """Look at the first objects of a source.

    Raises
    ------
    UsageError
        Where there is no object to look at.
    """
    found = Findings()
    store = open_store(source, endpoint=endpoint)
    with Reader() as reader:
        for entry in itertools.islice(wanted(store), objects):
            found.objects += 1
            try:
                with reader.open(entry, store.locate(entry)) as body:
                    raw = read_all(body, entry.key, MOST_BYTES)
                refuse_packed(raw[:HEAD_BYTES], entry.key)
                fault = _look(raw.removeprefix(BOM), entry.key, found)
            except ObjectError as error:
                found.unreadable += 1
                fault = f"could not be read: {error}"
            if fault:
                found.faults.append(f"{entry.key}: {fault}")
    if not found.objects:
        raise UsageError(f"{store.name} holds no object: is the folder or prefix right?")
    return found


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
        lines = _lines(raw)
        if lines is None:
            return _drops(raw, error)
        found.lines = True
        _take(lines, (), found)
        return None
    if _is_roads(document):
        found.roads.append(key)
        return None
    lists = dict(_lists(document))
    if not lists:
        raise ObjectError("wrong_shape", NO_LIST)
    longest = max(lists, key=lambda keys: len(lists[keys]))
    if all(map(is_nameable, longest)):
        _judged(raw, path_of(longest), found)
    of_objects = [k for k, one in lists.items() if any(isinstance(r, dict) for r in one)]
    for at in of_objects or [longest]:
        _take(lists[at][:RECORDS_AN_OBJECT], at, found)
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
            hint = "documents one behind the other? Write one an object"
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


def _lines(raw: bytes) -> list[Any] | None:
    """Read JSON Lines; None where these are none."""
    lines = [line for line in raw.split(b"\n")[:RECORDS_AN_OBJECT] if line.strip()]
    try:
        records = [_decoded(line) for line in lines]
    except (ValueError, RecursionError):
        return None
    return records if len(records) > 1 else None


def _lists(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, list[Any]]]:
    if isinstance(value, list):
        yield keys, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _lists(below, (*keys, key))


def _take(records: list[Any], at: Keys, found: Findings) -> None:
    place = found.places.setdefault(at, RecordPlace())
    for record in records:
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
