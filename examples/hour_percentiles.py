"""Median and 85th percentile of the speed by link and hour, in ten lines.

`mapreduce run examples/hour_percentiles.py:HourPercentiles TRIPS --out DIR`. Speeds are counted in
buckets of 2 km/h, so that the counts of any machines add up.
"""

from __future__ import annotations

import mapreduce as mr


class HourPercentiles(mr.Job):
    """Fixes by link and hour of the day (UTC), with percentiles of their speeds."""

    records = mr.Json(
        at="data", link=mr.Int("dbResponse.linkID"), speed=mr.Float("absVelocity", low=0.0),
        time=mr.Time("datetime"),
    )  # fmt: skip
    cells = mr.Table(key=("link", "hour"), fixes=mr.Sum, speed=mr.Histogram(2))

    def map(self, r: mr.Records) -> mr.Rows:
        """`r.link`, `r.time`: int64[n]; `r.speed`: float64[n]."""
        return self.cells.fold(r.link, mr.hour(r.time), fixes=1, speed=mr.scaled(r.speed, 1))

    def finish(self, t: mr.Columns) -> dict[str, mr.Array]:
        """`t.speed_p50` is a percentile of each row."""
        return {
            "link": t.link, "hour": t.hour, "fixes": t.fixes,
            "p50": t.speed_p50, "p85": t.speed_p85,
        }  # fmt: skip
