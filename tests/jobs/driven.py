"""Fixes a link, in any format of rows, without a distinct count: objects may be divided."""

from __future__ import annotations

from typing import Any

import mapreduce as mr

FORMATS: dict[str, Any] = {"json-lines": mr.JsonLines, "csv": mr.Csv, "parquet": mr.Parquet}


class Driven(mr.Job):
    """Count and add up."""

    format: str = "csv"
    links = mr.Table(key="link", n=mr.Sum, total=mr.Sum)

    @property
    def records(self) -> mr.Format:
        """Of the wanted format."""
        form: mr.Format = FORMATS[self.format](
            link=mr.Int("link"), speed=mr.Float("speed", low=0.0, high=400.0)
        )
        return form

    def map(self, r: Any) -> mr.Rows:
        return self.links.fold(r.link, n=1, total=mr.scaled(r.speed, 1_000_000))
