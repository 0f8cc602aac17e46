"""Periods of the week, by name: `morning=Mon-Fri 07:00-10:00`.

A period is spans of minutes on days. There are eight days: those of ISO 8601 (1 is Monday) and 8, a
holiday, which is no other day where holidays are known. A span across midnight belongs to the day
on which it begins. No minute is in two periods, so that each fix is in one at the most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np

import mapreduce as mr

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Hol")
WEEKDAYS, HOLIDAY = 7, 8
EVERY_DAY: Final = frozenset(range(1, HOLIDAY + 1))
DAILY: Final = "daily"
HOUR, DAY = 60, 24 * 60  # minutes
NO_PERIOD: Final = -1
EXAMPLE: Final = "morning=Mon-Fri 07:00-10:00"

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_TIMES: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")
_DAY_OF: Final = {name.casefold(): number for number, name in enumerate(DAYS, 1)}


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of some days: from `start` to before `stop`, counted from the day's midnight.

    `days` are 1 (Monday) to 8 (a holiday); a `stop` above 1440 is on the day after.
    """

    days: frozenset[int]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Period:
    """A named set of spans."""

    name: str
    spans: tuple[Span, ...]

    @property
    def names_holidays(self) -> bool:
        """Whether it names holidays by themselves, and so means nothing without knowing them."""
        return any(HOLIDAY in span.days and span.days != EVERY_DAY for span in self.spans)


def parse_period(text: str) -> Period:
    """Read a period, `NAME=[DAYS] [TIMES], …`.

    DAYS are `Mon-Fri`, `Mon,Wed`, `Sat-Mon`, `Hol` (holidays) or `daily`; without any it is every
    day, holidays too. TIMES are `07:00-10:00`, the end not included, `22:00-06:00` across midnight,
    up to `24:00`; days without times are whole days. Several are separated by commas.

    Raises
    ------
    UsageError
        It is none.
    """
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals or not rest.strip():
        _refuse(text, f"expected NAME=DAYS TIMES such as {EXAMPLE}")
    if not _NAME.fullmatch(name):
        _refuse(text, f"a name has letters, digits, _ and - only, got {name!r}")
    spans: list[Span] = []
    days: frozenset[int] = frozenset()
    has_times = True
    for word in re.split(r"[,\s]+", rest.strip(", \t")):
        times = _TIMES.fullmatch(word)
        if times is not None:
            spans.append(_span(text, word, days or EVERY_DAY, [*map(int, times.groups())]))
            has_times = True
        elif has_times:
            days, has_times = _days(text, word), False
        else:
            days |= _days(text, word)
    if not has_times:
        spans.append(Span(days, 0, DAY))
    return Period(name, tuple(spans))


def joined(periods: Iterable[Period]) -> tuple[Period, ...]:
    """Give periods of one name as one, in the order in which names come first."""
    spans: dict[str, tuple[Span, ...]] = {}
    for period in periods:
        spans[period.name] = spans.get(period.name, ()) + period.spans
    return tuple(Period(name, its) for name, its in spans.items())


@dataclass(frozen=True, slots=True)
class PeriodTable:
    """Which period each minute is in.

    Attributes
    ----------
    begun
        int64[8 * 1440], by day and minute: the number of the period that a span of this very day
        gives it, -1 for none.
    from_before
        int64[8 * 1440], by the day before and minute: that of a span which began on the day before;
        None where no span passes midnight.
    """

    begun: npt.NDArray[np.int64]
    from_before: npt.NDArray[np.int64] | None

    @classmethod
    def of(cls, periods: Sequence[Period], *, holidays: bool) -> PeriodTable:
        """Make the table.

        Raises
        ------
        UsageError
            A minute is in two periods, or a period is of holidays where none are known.
        """
        begun = np.full((HOLIDAY, DAY), NO_PERIOD)
        passed = np.full((HOLIDAY, DAY), NO_PERIOD)
        for number, period in enumerate(periods):
            if period.names_holidays and not holidays:
                raise mr.UsageError(
                    f"period {period.name!r} is of holidays (Hol), and none are given: name a file"
                    " of their dates, or leave Hol out"
                )
            for span in period.spans:
                for day in span.days:
                    _fill(periods, begun, number, day, span.start, min(span.stop, DAY))
                    _fill(periods, passed, number, day, 0, max(0, span.stop - DAY))
        _check_nights(periods, begun, passed, holidays=holidays)
        has_nights = bool((passed != NO_PERIOD).any())
        return cls(begun.ravel(), passed.ravel() if has_nights else None)


def _fill(
    periods: Sequence[Period],
    table: npt.NDArray[np.int64],
    number: int,
    day: int,
    start: int,
    stop: int,
) -> None:
    """Give minutes of a day to a period; refuse where another has them."""
    minutes = table[day - 1, start:stop]
    taken = (minutes != NO_PERIOD) & (minutes != number)
    if taken.any():
        first = int(np.argmax(taken))
        _refuse_two(periods[int(minutes[first])], periods[number], DAYS[day - 1], start + first)
    minutes[:] = number


def _check_nights(
    periods: Sequence[Period],
    begun: npt.NDArray[np.int64],
    passed: npt.NDArray[np.int64],
    *,
    holidays: bool,
) -> None:
    """Refuse what began on one day and is in another period of a day that may follow."""
    for before, day in product(range(1, HOLIDAY + 1), repeat=2):
        follows = day == before % WEEKDAYS + 1 and before != HOLIDAY
        if not follows and not (holidays and HOLIDAY in {before, day}):
            continue
        night, own = passed[before - 1], begun[day - 1]
        both = (night != NO_PERIOD) & (own != NO_PERIOD) & (night != own)
        if both.any():
            minute = int(np.argmax(both))
            where = DAYS[day - 1] if follows else f"{DAYS[day - 1]} after {DAYS[before - 1]}"
            _refuse_two(periods[int(night[minute])], periods[int(own[minute])], where, minute)


def _span(text: str, word: str, days: frozenset[int], times: list[int]) -> Span:
    hour, minute, end_hour, end_minute = times
    start, stop = hour * HOUR + minute, end_hour * HOUR + end_minute
    if minute >= HOUR or end_minute >= HOUR or start >= DAY or stop > DAY:
        _refuse(text, f"expected times from 00:00 to 24:00, got {word!r}")
    if start == stop:
        _refuse(text, f"{word!r} begins where it ends: a whole day is 00:00-24:00")
    return Span(days, start, stop if stop > start else stop + DAY)


def _days(text: str, word: str) -> frozenset[int]:
    """Give the days that a word names: one, or a range of the week, perhaps over its end."""
    if word.casefold() == DAILY:
        return EVERY_DAY
    first, dash, last = word.casefold().partition("-")
    found = _DAY_OF.get(first), _DAY_OF.get(last if dash else first)
    if None in found or (dash and HOLIDAY in found):
        _refuse(
            text,
            f"expected days ({', '.join(DAYS)}, ranges such as Mon-Fri, or {DAILY}) or times such"
            f" as 07:00-10:00, got {word!r}",
        )
    start, stop = found
    if start == HOLIDAY:
        return frozenset({HOLIDAY})
    assert start is not None and stop is not None  # noqa: S101, PT018 - refused above
    return frozenset((start - 1 + n) % WEEKDAYS + 1 for n in range((stop - start) % WEEKDAYS + 1))


def _refuse(text: str, why: str) -> NoReturn:
    raise mr.UsageError(f"period {text!r}: {why}")


def _refuse_two(one: Period, other: Period, day: str, minute: int) -> NoReturn:
    raise mr.UsageError(
        f"periods {one.name!r} and {other.name!r} overlap: {day} {minute // HOUR:02}:"
        f"{minute % HOUR:02} is in both. An end is not included: 07:00-10:00 and 10:00-16:00 fit"
    )
