"""Groupings: by what speeds are told apart beside the link, and how such a table is called.

A grouping is a set of parts, each of which gives a fix one cell, a small integer; `link` is the one
without parts: all time, both directions. Its table is one of its own, since distinct trips of hours
do not add up to those of a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

DIRECTION: Final = "direction"
PERIOD: Final = "period"
DATE: Final = "date"
PARTS: Final = (DIRECTION, DATE, "day", PERIOD, "week_hour", "hour")
"""All parts, in the order in which a table has them as columns."""

LINK: Final = "link"
EXAMPLES: Final = "hour, day, week-hour, date, period, direction, or several such as direction-hour"
SPAN_H: Final = {"hour": 1, "week_hour": 1, "day": 24, "date": 24}
"""Parts whose cells are spans of time -> how many hours one is long."""

COARSER: Final = {"week_hour": ("hour",)}  # part -> those that say less, the nearest first


@dataclass(frozen=True, slots=True)
class Grouping:
    """Parts of which a table has one cell each, in the order of `PARTS`."""

    parts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As it is typed, and as a file of it is called: `direction-week-hour`."""
        return "-".join(self.parts).replace("_", "-") or LINK

    @property
    def table(self) -> str:
        """The name of its table: `by_direction_week_hour`."""
        return "by_" + ("_".join(self.parts) or LINK)

    @property
    def times(self) -> tuple[str, ...]:
        """The parts that need a time."""
        return tuple(part for part in self.parts if part != DIRECTION)

    def coarser(self, there: Iterable[Grouping]) -> list[Grouping]:
        """Give those of some groupings that tell less apart, for cells with little data.

        From the nearest to `link`: a part gives way to one that says less, then the time goes,
        then the direction.
        """
        direction = self.parts[: len(self.parts) - len(self.times)]
        steps = [
            Grouping((*direction, *self.times[:-1], less))
            for less in COARSER.get((self.times or ("",))[-1], ())
        ]
        steps += [Grouping((*direction, *self.times[:n])) for n in range(len(self.times))[::-1]]
        steps += [Grouping()]
        known = set(there)
        return [one for one in dict.fromkeys(steps) if one in known and one != self]


def grouping_of(text: str) -> Grouping:
    """Read one as it is typed.

    Raises
    ------
    UsageError
        A part is none, or there twice.
    """
    given = text.replace("week-hour", "week_hour").split("-")
    if text == LINK:
        return Grouping()
    for part in given:
        if part not in PARTS:
            raise UsageError(f"--by is {EXAMPLES}; got {text!r}")
        if given.count(part) > 1:
            raise UsageError(f"--by {text}: {part.replace('_', '-')} is there twice")
    return Grouping(tuple(part for part in PARTS if part in given))


def groupings_of(texts: Iterable[str]) -> tuple[Grouping, ...]:
    """Read those of a run: each once, `link` first, to which cells with little data fall back.

    Raises
    ------
    UsageError
        As above.
    """
    given = [grouping_of(text) for text in texts]
    return tuple(dict.fromkeys((Grouping(), *given))) if given else ()


def check_span(grouping: Grouping) -> None:
    """Refuse a grouping whose cells are no spans of time.

    Raises
    ------
    UsageError
        It has none of hour, week-hour, day and date, or a period.
    """
    known = {DIRECTION, *SPAN_H}
    if not SPAN_H.keys() & set(grouping.parts) or not known.issuperset(grouping.parts):
        raise UsageError(
            f"--layer {grouping.name}: expected a grouping with hour, week-hour, day or date, and"
            " no period, since each row needs its beginning and end"
        )
