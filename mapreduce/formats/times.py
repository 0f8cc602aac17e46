"""Times as text (ISO 8601) to microseconds since 1970 in UTC: a column at once.

A column has few layouts, and each is read by the places of its digits. Records follow each other in
time, so what is before a text's seconds, and behind their fraction, is read once for each run of
texts that have it in common. The calendar is Gregorian throughout (H. Hinnant, chrono-compatible
low-level date algorithms, 2013). A second of 60 is none: GPS and POSIX time have no leap seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mapreduce.tables.arrays import Array
    from mapreduce.time_zone import TimeZone

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.uint64]

TIME_BYTES: Final = 40
WORD_BYTES: Final = 8
SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
ROWS_AT_ONCE: Final = 1 << 13  # a few hundred kilobytes, which a cache holds from pass to pass
KNOWN_LAYOUTS: Final = 1 << 10
GUESSES: Final = 3  # layouts of a column that are tried, before all there are is asked
_LAYOUT: Final = re.compile(
    rb"(?P<year>0000)-(?P<month>00)-(?P<day>00)[Tt ](?P<hour>00):(?P<minute>00)"
    rb"(?::(?P<second>00)(?:[.,](?P<fraction>0{1,9}))?)?"
    rb"(?: ?(?P<zone>[Zz]|(?P<sign>[+-])(?P<zone_hour>00)(?::?(?P<zone_minute>00))?))?"
)
_FRACTION_DIGITS: Final = 6
_MONTHS: Final = 12
_LAST_HOUR, _LAST_MINUTE = 23, 59  # of a day, and of an hour, as the last second of a minute
_ZERO, _NINE, _MINUS = np.uint8(ord("0")), 9, ord("-")
_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_WORD: Final = np.dtype("<u8")
_TEN, _BYTE, _HIGH_BITS = np.uint64(10), np.uint64(8), np.uint64(0x8080808080808080)


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
    width = texts.dtype.itemsize
    if not n or not width:
        return times, good
    if width % WORD_BYTES:
        texts = texts.astype(f"S{width + WORD_BYTES - width % WORD_BYTES}")
    raw = np.ascontiguousarray(texts).view(np.uint8).reshape(n, texts.dtype.itemsize)
    for start in range(0, n, ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        _read(raw[some], zone, times[some], good[some])
    return times, good


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a text of one layout has what, and masks of as many bytes as texts have, as words.

    Attributes
    ----------
    like
        The text with each digit as 0; a byte of second or fraction is 0 as a number.
    slow
        0xff at each byte but those of second and fraction, which are 0.
    most
        What added to a byte's difference from `like` sets its high bit, unless it is of the layout.
    """

    found: re.Match[bytes]
    like: Words
    slow: Words
    most: Words

    @property
    def is_local(self) -> bool:
        """Whether it has no offset from UTC."""
        return self.found["zone"] is None


@lru_cache(KNOWN_LAYOUTS)
def _layout_of(text: bytes) -> _Layout | None:
    """Give the layout that a text is, with 0 for each digit, padded to words; None for none."""
    found = _LAYOUT.fullmatch(text.rstrip(b"\0"))
    if found is None:
        return None
    like = np.frombuffer(found[0].ljust(len(text), b"\0"), np.uint8)
    slow = np.full(len(text), 0xFF, np.uint8)
    for name in ("second", "fraction"):
        start, stop = found.span(name)
        slow[max(0, start) : max(0, stop)] = 0
    most = np.where(like == _ZERO, np.uint8(0x7F - _NINE), np.uint8(0x7F))
    as_words = (one.view(_WORD)[:, np.newaxis] for one in (like & slow, slow, most))
    return _Layout(found, *as_words)


def _read(raw: Bytes, zone: TimeZone | None, times: Ints, good: Mask) -> None:
    """Read texts into `times` and `good`: by the layout of the first, then what is left of them."""
    rows: slice | Ints = slice(None) if raw[0, 0] else raw[:, 0].nonzero()[0]
    some = raw[rows]
    for _ in range(GUESSES):
        layout = _layout_of(some[0].tobytes().translate(_TO_ZERO)) if len(some) else None
        if layout is None:
            break
        fits, times[rows], good[rows] = _of_layout(some, layout, zone)
        if fits.all():
            return
        other = ~fits & (some[:, 0] != 0)
        rows = other.nonzero()[0] if isinstance(rows, slice) else rows[other]
        some = raw[rows]
    left = np.arange(len(raw))[rows]
    texts, kind = np.unique(_likes(some), return_inverse=True)
    for number, text in enumerate(texts.tolist()):
        layout = _layout_of(text.ljust(raw.shape[1], b"\0"))
        if layout is not None:
            mine = left[kind == number]
            _, times[mine], good[mine] = _of_layout(raw[mine], layout, zone)


def _likes(raw: Bytes) -> Array:
    """Give texts with each digit as a 0: `S`[n]."""
    return np.where(raw - _ZERO <= _NINE, _ZERO, raw).view(f"S{raw.shape[1]}").ravel()


def _of_layout(raw: Bytes, layout: _Layout, zone: TimeZone | None) -> tuple[Mask, Ints, Mask]:
    """Read texts that may be of a layout: whether they are, times (0 for none), and which are good.

    What is slow to change is read of the first of each run of texts that have it in common.
    """
    n, found = len(raw), layout.found
    words = np.bitwise_and(raw.view(_WORD).T, layout.slow, order="C")
    changed = (words[:, 1:] != words[:, :-1]).any(axis=0).nonzero()[0]
    if len(changed) == n - 1:
        fits, good, times = _to_the_minute(words, raw, layout)
    else:
        bounds = np.concatenate([[0], changed + 1, [n]])
        starts, lengths = bounds[:-1], bounds[1:] - bounds[:-1]
        firsts = _to_the_minute(words.take(starts, axis=1), raw[starts], layout)
        fits, good = (
            np.ones(n, np.bool_) if one.all() else one.repeat(lengths) for one in firsts[:2]
        )
        times = firsts[2].repeat(lengths)
    if found["second"]:
        second, worst = _number(raw, found.span("second"))
        good &= second <= _LAST_MINUTE
        times += second * np.int64(SECOND_US)
        if found["fraction"]:
            fraction, more = _microseconds(raw, found.span("fraction"))
            worst = np.maximum(worst, more)
            times += fraction
        fits &= worst <= _NINE
    good &= fits
    if zone is not None and layout.is_local:
        times = zone.utc(times)
    return fits, times if good.all() else np.where(good, times, 0), good


def _to_the_minute(words: Words, raw: Bytes, layout: _Layout) -> tuple[Mask, Mask, Ints]:
    """Read texts without second and fraction: whether they are of the layout, are good, and when.

    `words` are their bytes, uint64[words, n], 0 where second and fraction are. Times are int64[n],
    microseconds since 1970 in UTC, or as clocks show them.
    """
    words = words ^ layout.like  # a digit is its number then, and all else 0
    over = np.bitwise_or.reduce((words + layout.most) | words, axis=0) & _HIGH_BITS
    fits = over == 0
    pairs = words[:2] * _TEN + (words[:2] >> _BYTE)
    date, clock = pairs.view(np.uint8).reshape(2, len(raw), WORD_BYTES)
    day, hour, minute = (clock[:, place] for place in (0, 3, 6))
    month = (date[:, 0] * np.int64(100) + date[:, 2]) * _MONTHS + date[:, 5]
    days = _month_starts()
    before = days.take(month, mode="clip")
    good = (date[:, 5] - np.uint8(1) < _MONTHS) & (hour <= _LAST_HOUR) & (minute <= _LAST_MINUTE)
    good &= (day > 0) & (day <= days.take(month + 1, mode="clip") - before)
    minutes = ((before + day - 1) * 24 + hour) * 60 + minute
    found = layout.found
    if found["sign"]:
        (hours, _), (more, _) = (_number(raw, found.span(n)) for n in ("zone_hour", "zone_minute"))
        good &= (hours <= _LAST_HOUR) & (more <= _LAST_MINUTE)
        offset = hours * np.int64(60) + more
        minutes -= np.where(raw[:, found.start("sign")] == _MINUS, -offset, offset)
    return fits, good, minutes * MINUTE_US


@cache
def _month_starts() -> Ints:
    """Days from 1970-01-01 to the first of each month, counted so that month 1 is January of 0."""
    months = np.arange(-1, 10_000 * _MONTHS + 1) - 1970 * _MONTHS
    return months.view("M8[M]").astype("M8[D]").view(np.int64)


def _number(raw: Bytes, span: tuple[int, int]) -> tuple[Bytes, Bytes]:
    """Give the number of two digits, 0 where there is no place; and the greater digit."""
    if span[0] < 0:
        return np.zeros(len(raw), np.uint8), np.zeros(len(raw), np.uint8)
    tens, ones = (raw[:, place] - _ZERO for place in range(*span))
    return tens * np.uint8(10) + ones, np.maximum(tens, ones)


def _microseconds(raw: Bytes, span: tuple[int, int]) -> tuple[Ints, Bytes]:
    """Give microseconds of the digits of a fraction; and the greatest digit."""
    value, worst = np.zeros(len(raw), np.uint32), np.zeros(len(raw), np.uint8)
    for number, place in enumerate(range(*span)):
        digit = raw[:, place] - _ZERO
        worst = np.maximum(worst, digit)
        if number < _FRACTION_DIGITS:
            value = value * np.uint32(10) + digit
    return value * np.int64(10 ** max(0, _FRACTION_DIGITS - (span[1] - span[0]))), worst
