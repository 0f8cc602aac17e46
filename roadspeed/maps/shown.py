"""What the colours of a map mean: speeds, counts, or differences between two speeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["speed", "count", "difference", "ratio"]

NAMES: Final = {
    "mean": "mean speed",
    "p50": "median speed",
    "traversal_mean": "mean speed of traversals",
    "traversal_p50": "median speed of traversals",
}
"""Columns of tables by cell in words; of the others see `name_of`."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The words for one measure, and the kind of its scale.

    `sentence` is the title of a map without a place's name, `label` stands above the colour bar,
    `too_little` says which links are grey. They may hold `{unit}` and `{min_fixes}`.
    """

    kind: Kind
    sentence: str
    label: str
    too_little: str = "fewer than {min_fixes:,} fixes"


SHOWN: Final = {
    "speed": Shown("speed", "Mean speed on each road", "Mean speed, {unit}"),
    "trips": Shown("count", "Trips on each road", "Trips on a link, logarithmic", "none counted"),
    "fixes": Shown(
        "count", "GPS fixes on each road", "GPS fixes on a link, logarithmic", "none counted"
    ),
}


def name_of(column: str) -> str:
    """Return a column in words: `85th percentile of speed` for `p85`."""
    if column in NAMES:
        return NAMES[column]
    base = column.removeprefix("traversal_")
    of = "traversals' speeds" if base != column else "speed"
    return f"{base[1:]}th percentile of {of}" if base[:1] == "p" else column


def shown_of(column: str) -> Shown:
    """Return what a column of speeds means on a map."""
    name = name_of(column)
    name = name[0].upper() + name[1:]
    return Shown("speed", f"{name} on each road", name + ", {unit}")
