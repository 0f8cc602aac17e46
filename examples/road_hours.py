"""Fixes by road type and hour of the day: `mapreduce run examples/road_hours.py:RoadHours …`.

A key of two columns, one of them text: an hour is read from characters 11 and 12 of the ISO time.
"""

from __future__ import annotations

import numpy as np

import mapreduce as mr


class RoadHours(mr.Job):
    """How many fixes, of how many trips, on each type of road in each hour (UTC)."""

    records = mr.Json(
        at="data",
        road=mr.Text("dbResponse.roadType", width=24),
        time=mr.Text("datetime", width=32),
    )
    hours = mr.Table(
        key=(mr.Key("road", width=24), "hour"), fixes=mr.Sum, trips=mr.Distinct(per="object")
    )

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold fixes by road type and hour; `r.road` and `r.time` are bytes."""
        text = r.time.view(np.uint8).reshape(len(r), -1)
        hour = (text[:, 11] - np.int64(ord("0"))) * 10 + text[:, 12] - np.int64(ord("0"))
        return self.hours.fold(r.road, hour, fixes=1)
