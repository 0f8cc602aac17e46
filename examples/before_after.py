"""Speeds before and after a day, by link: `… --set day=2019-09-10 --set link=dbResponse.linkID`.

Two sums in one table: what a road works, a new limit or a bypass has changed, with both counts.
"""

from __future__ import annotations

import numpy as np

import mapreduce as mr

MICRO = 10**6


class BeforeAfter(mr.Job):
    """Mean speed of each link before a date (UTC) and from it on."""

    day: str
    link: str = "dbResponse.linkID"

    links = mr.Table("link", before=mr.Sum, before_um=mr.Sum, after=mr.Sum, after_um=mr.Sum)

    @property
    def records(self) -> mr.Json:
        """Speeds of up to 400 km/h, with their times."""
        speed = mr.Float("absVelocity", low=0.0, high=400.0)
        return mr.Json(at="data", link=mr.Int(self.link), speed=speed, time=mr.Time("datetime"))

    def map(self, r: mr.Records) -> mr.Rows:
        """`r.link`, `r.time`: int64[n]; `r.speed`: float64[n] in km/h."""
        is_after = mr.date(r.time) >= np.datetime64(self.day, "D").astype(np.int64)
        v = mr.scaled(r.speed, MICRO)
        return self.links.fold(
            r.link, before=~is_after, before_um=np.where(is_after, 0, v),
            after=is_after, after_um=np.where(is_after, v, 0),
        )  # fmt: skip

    def finish(self, t: mr.Columns) -> dict[str, mr.Array]:
        """Links that were driven both before and after."""
        both = (t.before > 0) & (t.after > 0)
        before = t.before_um[both] / (t.before[both] * MICRO)
        after = t.after_um[both] / (t.after[both] * MICRO)
        return {"link": t.link[both], "before": before, "after": after, "change": after - before}
