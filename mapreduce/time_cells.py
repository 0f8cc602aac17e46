"""Hours, days and dates of times: keys by which a job can tell records apart.

Times are int64 microseconds since 1970 in UTC, as `Time` gives them; hours and days are those on
the clocks of a zone, or UTC without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mapreduce.time_zone import TimeZone

Ints: TypeAlias = npt.NDArray[np.int64]

HOUR_US: Final = 3_600_000_000
HOURS: Final = 24
DAYS: Final = 7
_THURSDAY: Final = 3  # 1970-01-01, counted from Monday as 0


def hour(time_us: Ints, zone: TimeZone | None = None) -> Ints:
    """Give the hour of the day: int64[n], 0 to 23."""
    return _hours(time_us, zone) % HOURS


def weekday(time_us: Ints, zone: TimeZone | None = None) -> Ints:
    """Give the day of the week: int64[n], 1 (Monday) to 7, as ISO 8601 counts."""
    return (date(time_us, zone) + _THURSDAY) % DAYS + 1


def date(time_us: Ints, zone: TimeZone | None = None) -> Ints:
    """Give days since 1970-01-01: int64[n]; `.astype("datetime64[D]")` makes dates of them."""
    return _hours(time_us, zone) // HOURS


def _hours(time_us: Ints, zone: TimeZone | None) -> Ints:
    return (time_us if zone is None else zone.local(time_us)) // HOUR_US
