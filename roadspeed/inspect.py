"""A look at a few trips: which fields there are, and which are ids, speeds and times.

It reads some objects whole, tells for every path how often it is null and what it holds, and
guesses the options that a run needs. Guesses are by name and by range and are said to be such.
Whether an object can be read is decided by the format that a run reads with, in its words.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce import Int, Json, ObjectError, UsageError
from mapreduce.objects.inflate import read_all
from mapreduce.objects.listed import wanted
from mapreduce.objects.reader import Reader
from mapreduce.objects.source import open_store
from roadspeed.trip import PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OBJECTS: Final = 20
MOST_BYTES: Final = 256 << 20
RECORDS_AN_OBJECT: Final = 5_000
MANY: Final = 0.9
TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
WHOLE_FLOAT: Final = re.compile(r"-?[0-9]+\.0+", re.ASCII)
BOM: Final = b"\xef\xbb\xbf"
NAMES: Final = {
    "link": re.compile(r"(link|edge|way|segment|road).?_?id$", re.IGNORECASE),
    "speed": re.compile(r"(speed|velocity|velocidade|kph|mph)", re.IGNORECASE),
}
NOT_SPEED: Final = re.compile(r"(limit|lim$|max)", re.IGNORECASE)


@dataclass(slots=True)
class Leaf:
    """What was seen at one path."""

    seen: int = 0
    nulls: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    low: float = float("inf")
    high: float = float("-inf")
    integers: int = 0
    whole_floats: int = 0
    times: int = 0
    example: str = ""
    distinct: set[str] = field(default_factory=set)

    def add(self, value: Any) -> None:
        """Take one value."""
        self.seen += 1
        if value is None:
            self.nulls += 1
            return
        kind = {bool: "boolean", str: "text", list: "list"}.get(type(value), "number")
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        text = str(value)
        self.example = self.example or text[:32]
        if len(self.distinct) < RECORDS_AN_OBJECT:
            self.distinct.add(text)
        if kind == "text":
            self.integers += INTEGER.fullmatch(text) is not None
            self.whole_floats += WHOLE_FLOAT.fullmatch(text) is not None
            self.times += TIME.match(text) is not None
        elif kind == "number":
            self.integers += isinstance(value, int)
            self.whole_floats += isinstance(value, float) and value.is_integer()
            self.low, self.high = min(self.low, value), max(self.high, value)

    @property
    def filled(self) -> int:
        """How many values were not null."""
        return self.seen - self.nulls

    @property
    def looks(self) -> str:
        """Say what the values look like."""
        if not self.filled:
            return "always null"
        if self.times > MANY * self.filled:
            return "times"
        if self.integers > MANY * self.filled and "text" in self.kinds:
            return "ids (text of integers)"
        kind = max(self.kinds, key=lambda k: self.kinds[k])
        if kind == "number":
            return f"numbers {self.low:.6g} to {self.high:.6g}"
        return kind


@dataclass(slots=True)
class Findings:
    """What a sample of objects holds."""

    objects: int = 0
    unreadable: int = 0
    records: int = 0
    not_records: int = 0
    places: Counter[str] = field(default_factory=Counter)
    """Records by the path of their list."""
    lines: bool = False
    faults: list[str] = field(default_factory=list)
    leaves: dict[str, Leaf] = field(default_factory=dict)

    @property
    def at(self) -> str | None:
        """The path of the list that holds the most records, None where there was no list."""
        return max(self.places, key=lambda path: self.places[path], default=None)

    def float_ids(self) -> str | None:
        """Give the path of a link id that was written as floats, which no run takes."""
        for path, leaf in self.leaves.items():
            of_floats = leaf.whole_floats and leaf.whole_floats + leaf.integers == leaf.filled
            if of_floats and NAMES["link"].search(path.rpartition(".")[2]):
                return path
        return None

    def guess(self, role: str) -> str | None:
        """Give the path that is most likely the link id or the speed."""
        scored = []
        for path, leaf in self.leaves.items():
            name = path.rpartition(".")[2]
            if not leaf.filled or not NAMES[role].search(name):
                continue
            numeric = leaf.kinds.get("number", 0) > MANY * leaf.filled
            if role == "link" and leaf.integers > MANY * leaf.filled:
                scored.append((len(leaf.distinct), path))
            elif role == "speed" and numeric and leaf.low >= 0 and not NOT_SPEED.search(name):
                scored.append((leaf.filled, path))
        return max(scored)[1] if scored else None


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
                fault = _look(raw.removeprefix(BOM), found)
            except ObjectError as error:
                found.unreadable += 1
                fault = f"could not be read: {error}"
            if fault:
                found.faults.append(f"{entry.key}: {fault}")
    if not found.objects:
        raise UsageError(f"{store.name} holds no object: is the folder or prefix right?")
    return found


def _look(raw: bytes, found: Findings) -> str | None:
    """Take the records of an object; say what is wrong with it, if it can be read for all that.

    Raises
    ------
    ObjectError
        Where a run would set the object aside.
    """
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        lines = _lines(raw)
        if lines is None:
            return _drops(raw, error)
        found.lines = True
        _take(lines, "", found)
        return None
    lists = dict(_lists(document))
    if not lists:
        raise ObjectError("wrong_shape", "a document with no list of records in it")
    at = max(lists, key=lambda path: len(lists[path]))
    _judged(raw, at)
    _take(lists[at][:RECORDS_AN_OBJECT], at, found)
    return None


def _drops(raw: bytes, error: Exception) -> str:
    """Say which records a run would drop of a document that is no JSON as a whole."""
    try:
        read, bad = _judged(raw, PATHS.data)
    except ObjectError as fault:
        if fault.reason != "wrong_shape":
            raise
        raise ObjectError("not_json", str(error)) from None  # its list may well lie elsewhere
    return f"{bad:,} of {read:,} records are malformed, and a run drops them ({error})"


def _judged(raw: bytes, at: str) -> tuple[int, int]:
    """Read as a run would: records, and how many of them are none.

    `ObjectError` where a run would set the object aside.
    """
    parsed = Json(at=at, any=Int("any")).parse(raw)
    return parsed.read, parsed.dropped.get("not_a_record", 0)


def _lines(raw: bytes) -> list[Any] | None:
    """Read JSON Lines; None where these are none."""
    lines = [line for line in raw.split(b"\n")[:RECORDS_AN_OBJECT] if line.strip()]
    try:
        records = [msgspec.json.decode(line) for line in lines]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return records if len(records) > 1 else None


def _lists(value: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    if isinstance(value, list):
        yield path, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _lists(below, f"{path}.{key}" if path else key)


def _take(records: list[Any], at: str, found: Findings) -> None:
    found.places[at] += len(records)
    for record in records:
        found.records += 1
        if not isinstance(record, dict):
            found.not_records += 1
            continue
        for path, value in _leaves(record):
            found.leaves.setdefault(path, Leaf()).add(value)


def _leaves(record: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from _leaves(value, here)
        else:
            yield here, value


def told(found: Findings, source: str) -> str:
    """Give the findings for people, with the command to type next."""
    width = max(map(len, found.leaves), default=4)
    lines = [_covered(found), ""]
    for path, leaf in found.leaves.items():
        if not leaf.filled and any(other.startswith(f"{path}.") for other in found.leaves):
            continue  # a parent that is null now and then; its members tell it
        missing = found.records - leaf.filled
        share = 100 * missing / max(1, found.records)
        lines.append(f"  {path:<{width}}  {share:5.1f} % null  {leaf.looks:<28} {leaf.example}")
    if found.not_records:
        lines.append(f"  no JSON objects: {found.not_records:,} of these records")
    lines += [f"  {fault}" for fault in found.faults]
    lines += ["", *_advice(found, source)]
    return "\n".join(lines)


def _covered(found: Findings) -> str:
    read = found.objects - found.unreadable
    objects = f"{read:,} of {found.objects:,}" if found.unreadable else f"{found.objects:,}"
    return f"{objects} objects, {found.records:,} records" + (
        f" at {found.at!r}" if found.at is not None else ""
    )


def _advice(found: Findings, source: str) -> list[str]:
    if found.lines:
        return ["These are JSON Lines: trips are documents; a job of your own may read JsonLines."]
    if not found.records:
        return ["There is no record to tell link id and speed by."]
    link, speed = found.guess("link"), found.guess("speed")
    command = _command(found, source, link or "PATH", speed or "PATH")
    said = []
    if link is None and (floats := found.float_ids()) is not None:
        said.append(
            f"{floats} holds ids as floats, such as {found.leaves[floats].example}, as pandas "
            "writes a column with nulls: a run takes integers or text of digits. Write them as "
            "integers (in pandas: astype('Int64')) and name them with --link."
        )
    elif link is None:
        said.append("No field looks like a link id: name it with --link PATH.")
    if speed is None:
        said.append("No field looks like a speed: name it with --speed PATH.")
    if link is not None and speed is not None:
        high = found.leaves[speed].high
        said.append(
            f"Likely: link id at {link}, speed at {speed} "
            f"(up to {high:.5g}; say --unit if not km/h)."
        )
    return [*said, f"  {command}"]


def _command(found: Findings, source: str, link: str, speed: str) -> str:
    options = [
        f"--{name} {shlex.quote(value)}"
        for name, value, default in (
            ("records-at", found.at or "", PATHS.data),
            ("link", link, PATHS.link),
            ("speed", speed, PATHS.speed),
        )
        if value != default
    ]
    return " ".join(["roadspeed run", shlex.quote(source), *options, "--out OUT --roads ROADS"])
