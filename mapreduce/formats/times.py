"""Times as text (ISO 8601) to microseconds since 1970 in UTC: a column at once.

Texts are sorted by their layout, of which a column has few, and each layout is read by the places
of its digits. The calendar is Gregorian throughout (H. Hinnant, chrono-compatible low-level date
algorithms, 2013). A second of 60 is none: GPS and POSIX time have no leap seconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mapreduce.tables.table import Array
    from mapreduce.time_zone import TimeZone

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

TIME_BYTES: Final = 40
SECOND_US: Final = 1_000_000
_LAYOUT: Final = re.compile(
    rb"(?P<year>0000)-(?P<month>00)-(?P<day>00)[Tt ](?P<hour>00):(?P<minute>00)"
    rb"(?::(?P<second>00)(?:[.,](?P<fraction>0{1,9}))?)?"
    rb"(?: ?(?P<zone>[Zz]|(?P<sign>[+-])(?P<zone_hour>00)(?::?(?P<zone_minute>00))?))?"
)
_SMALLEST: Final = {"month": 1, "day": 1}
_GREATEST: Final = {
    "month": 12, "hour": 23, "minute": 59, "second": 59, "zone_hour": 23, "zone_minute": 59
}  # fmt: skip
_FRACTION_DIGITS: Final = 6
_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_ZERO, _NINE = ord("0"), ord("9")


def microseconds(texts: Array, zone: TimeZone | None = None) -> tuple[Ints, Mask]:
    """Read ISO 8601 texts; one without an offset is local time of a zone, in UTC without one.

    Parameters
    ----------
    texts
        `S`[n].
    zone
        Of the texts that name no offset; None means UTC.

    Returns
    -------
    times : int64[n]
        Microseconds since 1970-01-01 in UTC, 0 where there is none; digits beyond are cut.
    good : bool[n]
        Where a text is a time.
    """
    n = len(texts)
    times, good = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    if not n or not texts.dtype.itemsize:
        return times, good
    raw = np.ascontiguousarray(texts).view(np.uint8).reshape(n, texts.dtype.itemsize)
    is_digit = (raw >= _ZERO) & (raw <= _NINE)
    layouts = np.where(is_digit, np.uint8(_ZERO), raw).view(texts.dtype).ravel()
    if (layouts == layouts[0]).all():
        return _of_layout(raw, bytes(layouts[0]), zone)
    kinds, kind = np.unique(layouts, return_inverse=True)
    for number, layout in enumerate(kinds.tolist()):
        rows = np.flatnonzero(kind == number) if _LAYOUT.fullmatch(layout) else ()
        if len(rows):
            times[rows], good[rows] = _of_layout(raw[rows], layout, zone)
    return times, good


def _of_layout(
    raw: npt.NDArray[np.uint8], layout: bytes, zone: TimeZone | None
) -> tuple[Ints, Mask]:
    """Read texts of one layout, given as their bytes."""
    found = _LAYOUT.fullmatch(layout)
    if found is None:
        return np.zeros(len(raw), np.int64), np.zeros(len(raw), np.bool_)

    def number(name: str) -> Ints:
        start, stop = found.span(name)
        value = np.zeros(len(raw), np.int64)
        for place in range(start, stop):  # an absent group is at (-1, -1)
            value = value * 10 + (raw[:, place] - _ZERO)
        return value

    parts = {name: number(name) for name in _LAYOUT.groupindex if name not in {"zone", "sign"}}
    good = np.ones(len(raw), np.bool_)
    for name, least in _SMALLEST.items():
        good &= parts[name] >= least
    for name, most in _GREATEST.items():
        good &= parts[name] <= most
    year, month = parts["year"], np.where(good, parts["month"], 1)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    good &= parts["day"] <= _DAYS[month - 1] + (leap & (month == 2))  # noqa: PLR2004 - February
    hours = _days(year, month, parts["day"]) * 24 + parts["hour"]
    seconds = (hours * 60 + parts["minute"]) * 60 + parts["second"]
    offset = parts["zone_hour"] * 3600 + parts["zone_minute"] * 60
    if found["sign"]:
        start, _ = found.span("sign")
        offset = np.where(raw[:, start] == ord("-"), -offset, offset)
    digits = len(found["fraction"] or b"")
    fraction = parts["fraction"] * 10 ** max(0, _FRACTION_DIGITS - digits)
    fraction //= 10 ** max(0, digits - _FRACTION_DIGITS)
    times = (seconds - offset) * SECOND_US + fraction
    if zone is not None and not found["zone"]:
        times = zone.utc(times)
    return np.where(good, times, 0), good


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Count the days since 1970-01-01; years begin in March, so that February ends them."""
    year = year - (month <= 2)  # noqa: PLR2004 - January and February are the year before's
    era, of_era = year // 400, year % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
