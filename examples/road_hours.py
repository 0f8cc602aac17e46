"""Fixes by road type and hour of the day: `mapreduce run examples/road_hours.py:RoadHours …`.

A key of two columns, one of them text. Times are ISO 8601 text; `EpochHours` takes seconds since
1970, or with `--set per_second=1000` milliseconds. What cannot be read is counted, never guessed.
"""

from __future__ import annotations

import functools
import re

import numpy as np

import mapreduce as mr

UNREAD = -1
# A time with 0 for each digit: 2019-08-26T07:17:27.5+02:00 is 0000-00-00T00:00:00.0+00:00.
SHAPE = re.compile(rb"0000-00-00[T ]00:00(:00([.,]0+)?)?(?P<zone>Z|[+-]00:?00)?")


class RoadHours(mr.Job):
    """How many fixes, of how many trips, on each type of road in each hour of the day.

    `clock` is "utc" (times without an offset cannot be read then), or "local": the hour as it is
    written. Fixes whose time cannot be read are those of hour -1.
    """

    clock: str = "utc"

    records = mr.Json(
        at="data",
        road=mr.Text("dbResponse.roadType", width=24),
        time=mr.Text("datetime", width=40),
    )
    hours = mr.Table(
        key=(mr.Key("road", width=24), "hour"), fixes=mr.Sum, trips=mr.Distinct(per="object")
    )

    def __post_init__(self) -> None:
        """Refuse another clock."""
        if self.clock not in ("utc", "local"):
            raise mr.UsageError(f"--set clock: expected utc or local, got {self.clock!r}")

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold fixes by road type and hour; `r.road` and `r.time` are bytes."""
        return self.hours.fold(r.road, hours_of(r.time, utc=self.clock == "utc"), fixes=1)


class EpochHours(mr.Job):
    """The same where `time` is a whole number since 1970, which is UTC by definition."""

    per_second: int = 1

    hours = mr.Table(
        key=(mr.Key("road", width=24), "hour"), fixes=mr.Sum, trips=mr.Distinct(per="object")
    )

    def __post_init__(self) -> None:
        """Refuse parts of a second that no clock counts in."""
        if self.per_second not in (1, 1000, 1_000_000):
            raise mr.UsageError(f"--set per_second: 1, 1000 or 1000000, got {self.per_second}")

    @property
    def records(self) -> mr.Json:
        """A time that is not of 1990 to 2100 is in another unit: `time_out_of_range`, counted."""
        low, high = (seconds * self.per_second for seconds in (631_152_000, 4_102_444_800))
        time = mr.Int("time", low=low, high=high)
        return mr.Json(at="data", road=mr.Text("dbResponse.roadType", width=24), time=time)

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold fixes by road type and hour; `r.time` is int64[n]."""
        return self.hours.fold(r.road, r.time // (3600 * self.per_second) % 24, fixes=1)


def hours_of(time: mr.Array, *, utc: bool) -> mr.Array:
    """Give the hour of each time, int64[n] of 0 to 23, or -1 where it cannot be read.

    Times of one shape are read together, and there are few shapes: no loop over fixes.
    """
    text = np.ascontiguousarray(time).view(np.uint8).reshape(len(time), time.dtype.itemsize)
    digit = (text >= ord("0")) & (text <= ord("9"))
    masked = np.where(digit, np.uint8(ord("0")), text).view(time.dtype).ravel()
    shapes, which = np.unique(masked, return_inverse=True)
    hours = np.full(len(time), UNREAD, dtype=np.int64)
    for number, shape in enumerate(shapes.tolist()):
        found = SHAPE.fullmatch(shape)
        zone = found["zone"] or b"" if found else b""
        if found is None or (utc and not zone):
            continue
        rows = np.flatnonzero(which == number)
        pair = functools.partial(pair_at, text[rows])
        minutes = pair(11) * 60 + pair(14)
        sound = between(pair(5), 1, 12) & between(pair(8), 1, 31) & between(pair(11), 0, 23)
        sound &= between(pair(14), 0, 59) & between(pair(17) if found[1] else 0 * rows, 0, 60)
        if zone not in (b"", b"Z"):
            at = found.start("zone") + 1
            ahead = pair(at) * 60 + pair(at + len(zone) - 3)
            sound &= between(ahead, 0, 15 * 60)
            if utc:
                minutes += ahead if zone.startswith(b"-") else -ahead
        hours[rows[sound]] = minutes[sound] // 60 % 24
    return hours


def pair_at(text: mr.Array, at: int) -> mr.Array:
    """Read two digits of each row, from a column on."""
    digits = text[:, at : at + 2].astype(np.int64) - ord("0")
    return digits[:, 0] * 10 + digits[:, 1]


def between(values: mr.Array, low: int, high: int) -> mr.Array:
    """Say which values lie within two, both included."""
    return (values >= low) & (values <= high)
