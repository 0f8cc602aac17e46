"""Jobs that only count: for tests of what surrounds a job."""

from __future__ import annotations

from typing import Any

import numpy as np

import mapreduce as mr


class Links(mr.Job):
    """Every rule over a trip-like document."""

    records = mr.Json(at="data", link=mr.Int("link"), speed=mr.Float("v", low=0.0, high=400.0))
    links = mr.Table(
        key="link",
        n=mr.Sum,
        objects=mr.Distinct(per="object"),
        total=mr.Sum,
        squares=mr.WideSum,
        low=mr.Min,
        high=mr.Max,
    )

    def map(self, r: Any) -> mr.Rows:
        v = mr.scaled(r.speed, 1_000_000)
        return self.links.fold(r.link, n=1, total=v, squares=v * v, low=v, high=v)


class Lines(mr.Job):
    """Count equal lines, and their bytes."""

    records = mr.Lines("line")
    lines = mr.Table(key=mr.Key("line", width=16), n=mr.Sum, size=mr.Sum)

    def map(self, r: Any) -> mr.Rows:
        return self.lines.fold(r.line, n=1, size=np.array([len(x) for x in r.line], dtype=np.int64))


class Rows(mr.Job):
    """Two tables of JSON Lines: by id, and in how many objects each id is."""

    records = mr.JsonLines(id=mr.Int("id"))
    ids = mr.Table(key="id", n=mr.Sum)
    spread = mr.Table(key="id", objects=mr.Distinct(per="object"))

    def map(self, r: Any) -> list[mr.Rows]:
        return [self.ids.fold(r.id, n=1), self.spread.fold(r.id)]


class PlainRows(mr.Job):
    """JSON Lines without a distinct count: objects may be divided."""

    records = mr.JsonLines(id=mr.Int("id"))
    ids = mr.Table(key="id", n=mr.Sum)

    def map(self, r: Any) -> mr.Rows:
        return self.ids.fold(r.id, n=1)
