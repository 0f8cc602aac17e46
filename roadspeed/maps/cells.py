"""The cells of a time, as pictures name and choose them: `7-9`, `Mon-Fri`, `morning`.

A span may wrap: `22-5` is the night, `Sat-Mon` a long weekend. Both ends are in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mapreduce.errors import UsageError

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Holiday")
HOURS: Final = 24
PARTS: Final = ("hour", "period", "day", "week_hour", "date")
DAY_PARTS: Final = (
    ("Night", (20, 5)),
    ("Morning", (6, 9)),
    ("Midday", (10, 15)),
    ("Evening", (16, 19)),
)
"""Hours of the day that small multiples show: the periods of 23 CFR 490.511 and .611."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one part of a time: each has a name, and its number is its place."""

    part: str
    names: tuple[str, ...]

    def label(self, chosen: tuple[int, ...], *, one: bool = False) -> str:
        """Name some cells for people: `06:00 to 10:00`, `Mon to Fri`; all of them, but for one."""
        if len(chosen) == len(self.names) and not one:
            return "all"
        spans = _runs(chosen, len(self.names) if self.part == "hour" else None)
        return ", ".join(self._span(first, last) for first, last in spans)

    def _span(self, first: int, last: int) -> str:
        if self.part == "hour":
            until = (last + 1) % HOURS or HOURS
            return f"{first:02d}:00 to {until:02d}:00"
        if self.part == "week_hour":
            end = f"{last % HOURS + 1:02d}:00"
            to = end if first // HOURS == last // HOURS else f"{DAYS[last // HOURS]} {end}"
            return f"{self.names[first]} to {to}"
        if first == last:
            return self.names[first]
        return f"{self.names[first]} to {self.names[last]}"

    def chosen(self, text: str) -> tuple[int, ...]:
        """Read one choice, a cell or a span of them.

        Raises
        ------
        UsageError
            If it names none of these cells.
        """
        known = {name.casefold(): number for number, name in enumerate(self.names)}
        if self.part in ("hour", "week_hour"):
            known |= {str(number): number for number in range(len(self.names))}
        wanted = text.strip().casefold()
        if wanted in known:
            return (known[wanted],)
        for at in (i for i, letter in enumerate(wanted) if letter == "-"):
            first, last = wanted[:at].strip(), wanted[at + 1 :].strip()
            if first in known and last in known:
                return self.span(known[first], known[last])
        raise UsageError(
            f"--cells: expected {self._examples()}, or a span such as"
            f" {self.names[0]}-{self.names[min(3, len(self.names) - 1)]}, got {text!r}"
        )

    def span(self, first: int, last: int) -> tuple[int, ...]:
        """Return the cells from the first to the last, across the end where that comes before."""
        if last >= first:
            return tuple(range(first, last + 1))
        return (*range(first, len(self.names)), *range(last + 1))

    def _examples(self) -> str:
        if self.part == "hour":
            return "an hour from 0 to 23"
        if len(self.names) > len(DAYS):
            return f"one of {self.names[0]}, …, {self.names[-1]}"
        return f"one of {', '.join(self.names)}"


def names_of_hours() -> tuple[str, ...]:
    """Return the names of the hours of a day."""
    return tuple(str(hour) for hour in range(HOURS))


def names_of_week(days: int) -> tuple[str, ...]:
    """Return the names of the hours of a week of 7 days, or of 8 with the holidays."""
    return tuple(f"{day} {hour:02d}:00" for day in DAYS[:days] for hour in range(HOURS))


def _runs(chosen: tuple[int, ...], circle: int | None) -> list[tuple[int, int]]:
    """Return the spans that cells make, in order; with a circle the last may go on at 0."""
    runs: list[tuple[int, int]] = []
    for cell in sorted(set(chosen)):
        if runs and runs[-1][1] == cell - 1:
            runs[-1] = (runs[-1][0], cell)
        else:
            runs.append((cell, cell))
    if circle and len(runs) > 1 and runs[0][0] == 0 and runs[-1][1] == circle - 1:
        runs[0] = (runs.pop()[0], runs[0][1])
    return runs
