"""Fixes by road type and hour of the day: `mapreduce run examples/road_hours.py:RoadHours …`.

A key of two columns, one of them text. Times are ISO 8601 text, or with `--set epoch=s` (or ms)
numbers since 1970. What cannot be read is counted as of hour -1, never guessed.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np

import mapreduce as mr

UNREAD = -1


class RoadHours(mr.Job):
    """How many fixes, of how many trips, on each type of road in each hour of the day."""

    epoch: Literal["", "s", "ms"] = ""
    timezone: str = "UTC"

    hours = mr.Table(
        key=(mr.Key("road", width=24), "hour"), fixes=mr.Sum, trips=mr.Distinct(per="object")
    )

    @cached_property
    def zone(self) -> mr.TimeZone:
        """Whose clocks tell the hour, and that of times without an offset."""
        return mr.TimeZone(mr.zone_file(self.timezone))

    @property
    def records(self) -> mr.Json:
        """A time that cannot be read does not cost its record."""
        time = mr.Time(
            "datetime", optional=True, lenient=True, epoch=self.epoch or None, zone=self.zone
        )
        return mr.Json(at="data", road=mr.Text("dbResponse.roadType", width=24), time=time)

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold fixes by road type and hour; `r.road` is bytes, `r.time` int64[n] in UTC."""
        hours = np.where(r.has("time"), mr.hour(r.time, self.zone), UNREAD)
        return self.hours.fold(r.road, hours, fixes=1)
