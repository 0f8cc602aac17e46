"""The cells of a time: hour, day, hour of the week, date and period, on the clocks of a zone.

Days are those of ISO 8601, 1 is Monday; 8 is a holiday, where holidays are given. Arithmetic is on
whole microseconds, so a fix is in one cell on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

import mapreduce as mr
from roadspeed.measures.periods import DAY, HOLIDAY, HOUR, NO_PERIOD, WEEKDAYS, Period, PeriodTable

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

PARTS: Final = ("hour", "day", "week_hour", "date", "period")
NO_CELL: Final = -1
MINUTE_US: Final = 60_000_000
HOURS: Final = 24
_THURSDAY: Final = 3  # 1970-01-01, counted from Monday as 0


@dataclass(frozen=True)
class Calendar:
    """How times are put into cells.

    Parameters
    ----------
    zone
        Whose clocks tell hour and day; None means UTC.
    holidays
        Days since 1970-01-01, of that zone.
    periods
        In the order of their cells; no minute is in two of them.

    Raises
    ------
    UsageError
        Periods overlap, two have one name, or one is of holidays and none are given.
    """

    zone: mr.TimeZone | None = None
    holidays: frozenset[int] = frozenset()
    periods: tuple[Period, ...] = ()
    table: PeriodTable = field(init=False, repr=False, compare=False)
    _sorted_holidays: Ints = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [period.name for period in self.periods]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise mr.UsageError(f"two periods are called {twice[0]!r}: join them")
        table = PeriodTable.of(self.periods, holidays=bool(self.holidays))
        object.__setattr__(self, "table", table)
        days = np.array(sorted(self.holidays), np.int64)
        object.__setattr__(self, "_sorted_holidays", days)

    def at(self, time_us: Ints, timed: Mask) -> Moments:
        """Give the moments of a batch, for several parts.

        Parameters
        ----------
        time_us
            int64[n], microseconds since 1970-01-01 in UTC.
        timed
            bool[n], where there is a time.
        """
        return Moments(self, time_us, timed)

    def cells(self, part: str, time_us: Ints, timed: Mask) -> Ints:
        """Give the cells of one part: int64[n]; see `Moments.cells`."""
        return self.at(time_us, timed).cells(part)

    def is_holiday(self, days: Ints) -> Mask:
        """Say which days since 1970-01-01 are holidays."""
        known = self._sorted_holidays
        first, last = np.searchsorted(known, [days.min(initial=0), days.max(initial=0) + 1])
        return np.isin(days, known[first:last])


class Moments:
    """The times of a batch as clocks show them; each part is computed once."""

    def __init__(self, calendar: Calendar, time_us: Ints, timed: Mask) -> None:
        self._calendar = calendar
        self._time_us = time_us
        self._timed = timed

    def cells(self, part: str) -> Ints:
        """Give the cells of a part: int64[n], -1 where there is no time, or no period.

        `hour` 0 to 23; `day` 1 (Monday) to 7, 8 a holiday; `week_hour` 0 to 167, holidays 168 to
        191: 24 (day - 1) + hour; `date` days since 1970-01-01; `period` the number of the period.
        """
        found = self._untimed(part)
        return found if self._all_timed else np.where(self._timed, found, NO_CELL)

    def _untimed(self, part: str) -> Ints:
        if part == "hour":
            return self._minute // HOUR
        if part == "day":
            return self._day
        if part == "week_hour":
            return (self._day - 1) * HOURS + self._minute // HOUR
        if part == "date":
            return self._date
        if part == "period":
            return self._period
        raise mr.UsageError(f"expected a part of time ({', '.join(PARTS)}), got {part!r}")

    @cached_property
    def _all_timed(self) -> bool:
        return bool(self._timed.all())

    @cached_property
    def _minutes(self) -> Ints:
        """Minutes since 1970-01-01 on the clocks of the zone."""
        zone = self._calendar.zone
        local = self._time_us if zone is None else zone.local(self._time_us)
        return local // MINUTE_US

    @cached_property
    def _date(self) -> Ints:
        return self._minutes // DAY

    @cached_property
    def _minute(self) -> Ints:
        return self._minutes - self._date * DAY

    @cached_property
    def _day(self) -> Ints:
        return self._day_of(self._date)

    def _day_of(self, date: Ints) -> Ints:
        """Give the day of each date: of few dates once, however many fixes they have."""
        first, last = (int(date.min()), int(date.max())) if len(date) else (0, 0)
        if last - first >= len(date):
            return self._each_day_of(date)
        return self._each_day_of(np.arange(first, last + 1)).take(date - first)

    def _each_day_of(self, date: Ints) -> Ints:
        day: Ints = (date + _THURSDAY) % WEEKDAYS + 1
        if not self._calendar.holidays:
            return day
        return np.where(self._calendar.is_holiday(date), HOLIDAY, day)

    @cached_property
    def _period(self) -> Ints:
        table = self._calendar.table
        found: Ints = table.begun[(self._day - 1) * DAY + self._minute]
        if table.from_before is None:
            return found
        before = self._day_of(self._date - 1)
        earlier = table.from_before[(before - 1) * DAY + self._minute]
        return np.where(found == NO_PERIOD, earlier, found)
