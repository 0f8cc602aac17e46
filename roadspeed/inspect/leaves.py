"""What was seen at one path of some records, and which path is likely what a run needs.

Guesses are by name and by range, and are said to be such. Nothing here reads a document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mapreduce.formats.field_path import is_nameable, path_of
from mapreduce.formats.nan_tokens import Word
from mapreduce.safe_text import in_line

if TYPE_CHECKING:
    from collections.abc import Mapping

MANY: Final = 0.9
FEW: Final = 0.5  # of a speed's values may be negative: -1 often says that there is none
MOST_DISTINCT: Final = 5_000
MOST_CHARACTERS: Final = 32
TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
WHOLE_FLOAT: Final = re.compile(r"-?[0-9]+\.0+", re.ASCII)
NUMBER: Final = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
JSON_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
NAMES: Final = {
    "link": re.compile(r"(link|edge|way|segment|road)(.?_?id)?$", re.IGNORECASE),
    "speed": re.compile(r"(speed|velocity|velocidade|kph|mph|kmh)", re.IGNORECASE),
    "latitude": re.compile(r"(^y|lat(itude)?)$", re.IGNORECASE),
    "longitude": re.compile(r"(^x|lon(g(itude)?)?|lng)$", re.IGNORECASE),
    "time": re.compile(r"(^t|^ts|time(_?stamp|_?utc)?|^date|date_?time|seen_?at)$", re.IGNORECASE),
    "trip": re.compile(
        r"(trip|journey|ride|drive|trace|track|taxi|vehicle|device)(.?_?(id|no|number))?$",
        re.IGNORECASE,
    ),
}
RANGES: Final = {"latitude": 90.0, "longitude": 180.0}
MOST_ID_BYTES: Final = 64
NOT_SPEED: Final = re.compile(r"(limit|lim$|max)", re.IGNORECASE)
WRAPPED: Final = frozenset(("N", "S", "$numberInt", "$numberLong", "$numberDouble", "value"))
KINDS: Final[dict[type, str]] = {bool: "boolean", str: "text", list: "list"}
Role: TypeAlias = Literal["link", "speed", "latitude", "longitude", "time", "trip"]
Keys: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class Leaf:
    """What was seen at one path."""

    seen: int = 0
    nulls: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    low: float = float("inf")
    high: float = float("-inf")
    negative: int = 0
    integers: int = 0
    whole_floats: int = 0
    numerals: int = 0
    """Texts of a number."""
    plain_numerals: int = 0
    """Those of them that are written as in JSON."""
    times: int = 0
    words: dict[str, int] = field(default_factory=dict)
    """How often NaN, Infinity and -Infinity were seen."""
    example: str = ""
    odd: str = ""
    """The first that is no integer, nor text of one."""
    inner: int = 0
    """Lists with objects in them."""
    distinct: set[str] = field(default_factory=set)
    longest: int = 0
    """Bytes of the longest text."""

    def add(self, value: Any) -> None:
        """Take one value."""
        self.seen += 1
        if value is None:
            self.nulls += 1
            return
        if isinstance(value, Word):
            self.words[value] = self.words.get(value, 0) + 1
            return
        kind = KINDS.get(type(value), "number")
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        text = str(value)
        self.example = self.example or text[:MOST_CHARACTERS]
        if not self.odd and not INTEGER.fullmatch(text):
            self.odd = text[:MOST_CHARACTERS]
        self.inner += kind == "list" and any(isinstance(one, dict) for one in value)
        if len(self.distinct) < MOST_DISTINCT:
            self.distinct.add(text)
        if kind == "text":
            self.longest = max(self.longest, len(text.encode(errors="replace")))
            self.integers += INTEGER.fullmatch(text) is not None
            self.whole_floats += WHOLE_FLOAT.fullmatch(text) is not None
            self.numerals += NUMBER.fullmatch(text) is not None
            if JSON_NUMBER.fullmatch(text):
                self.plain_numerals += 1
                self.low, self.high = min(self.low, float(text)), max(self.high, float(text))
                self.negative += text.startswith("-")
            self.times += TIME.match(text) is not None
        elif kind == "number":
            self._add_number(value)

    def _add_number(self, value: Any) -> None:
        self.integers += INTEGER.fullmatch(str(value)) is not None
        self.whole_floats += isinstance(value, float) and value.is_integer()
        self.negative += value < 0
        try:
            number = float(value)
        except OverflowError:  # an integer of more digits than any number of a machine
            number = float("inf") if value > 0 else float("-inf")
        self.low, self.high = min(self.low, number), max(self.high, number)

    @property
    def filled(self) -> int:
        """How many values were not null."""
        return self.seen - self.nulls

    @property
    def finite(self) -> int:
        """How many were values as JSON has them, and not null."""
        return self.filled - sum(self.words.values())

    @property
    def is_time(self) -> bool:
        """Whether the values are times as text."""
        return self.times > MANY * self.finite

    @property
    def is_json_text(self) -> bool:
        """Whether the values are numbers as JSON writes them, but as text."""
        return bool(self.finite) and self.plain_numerals > MANY * self.finite

    @property
    def link_type(self) -> str:
        """Say as what a run could take the values for ids; "" for nothing."""
        if not self.finite:
            return ""
        if self.integers > MANY * self.finite:
            return "int"
        if self.whole_floats and self.whole_floats + self.integers == self.finite:
            return "float"
        texts = self.kinds.get("text", 0) + self.integers
        is_text = "text" in self.kinds and texts > MANY * self.finite and not self.times
        return "text" if is_text and self.longest <= MOST_ID_BYTES else ""

    @property
    def looks(self) -> str:
        """Say what the values look like."""
        words = "".join(f", {n:,} {word}" for word, n in sorted(self.words.items()))
        return f"{self._looks}{words}"

    @property
    def _looks(self) -> str:
        if not self.finite:
            return "no number" if self.filled else "always null"
        if self.is_time:
            return "times"
        if self.integers > MANY * self.finite and "text" in self.kinds:
            return "ids (text of integers)"
        kind = max(self.kinds, key=lambda k: self.kinds[k])
        if kind == "number":
            return f"numbers {self.low:.6g} to {self.high:.6g}"
        if self.numerals > MANY * self.finite:
            return "text of numbers"
        return kind


def shown(keys: Keys) -> str:
    """Give a path for people; as it can be typed, where it can."""
    return in_line(path_of(keys))


def is_named(role: Role, keys: Keys) -> bool:
    """Tell whether a path is named as one's; some stores wrap a value in an object of its type."""
    own = [key for key in keys if key not in WRAPPED]
    return bool(own and NAMES[role].search(own[-1]))


def likely(role: Role, leaves: Mapping[Keys, Leaf]) -> list[Keys]:
    """Give the paths that may be what is looked for, the likeliest first."""
    scored = []
    for keys, leaf in leaves.items():
        if not (leaf.finite and all(map(is_nameable, keys)) and is_named(role, keys)):
            continue
        numeric = leaf.kinds.get("number", 0) > MANY * leaf.finite or leaf.is_json_text
        if role in {"link", "trip"} and leaf.link_type:
            best = leaf.link_type == "int", len(leaf.distinct) > 1
            scored.append(((*best, len(leaf.distinct), leaf.finite), keys))
        elif (role in RANGES and numeric and abs(leaf.low) <= RANGES[role] >= abs(leaf.high)) or (
            role == "time" and (leaf.is_time or numeric)
        ):
            scored.append(((leaf.is_time, True, leaf.finite, 0), keys))
        elif (
            role == "speed"
            and numeric
            and not NOT_SPEED.search(keys[-1])
            and leaf.negative < FEW * leaf.finite
        ):
            scored.append(((True, True, leaf.finite - leaf.negative, 0), keys))
    return [keys for _, keys in sorted(scored, reverse=True)]


def text_speed(leaves: Mapping[Keys, Leaf]) -> Keys | None:
    """Give the path of a speed that was written as text, which no run takes."""
    for keys, leaf in leaves.items():
        if leaf.finite and leaf.numerals > MANY * leaf.finite and is_named("speed", keys):
            return keys
    return None


def odd_ids(leaves: Mapping[Keys, Leaf]) -> Keys | None:
    """Give the path of what is named as a link id and holds something else."""
    return next(
        (keys for keys, leaf in leaves.items() if leaf.odd and is_named("link", keys)), None
    )
