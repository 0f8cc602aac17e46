"""One job over every format: links and speeds, with every rule of a table but the distinct."""

from __future__ import annotations

from typing import Any

import mapreduce as mr


class Sums(mr.Job):
    """What the jobs below share: no more than where a link and a speed stand differs."""

    links = mr.Table(
        key="link", n=mr.Sum, total=mr.Sum, squares=mr.WideSum, low=mr.Min, high=mr.Max
    )

    def map(self, r: Any) -> mr.Rows:
        v = mr.scaled(r.speed, 1_000_000)
        return self.links.fold(r.link, n=1, total=v, squares=v * v, low=v, high=v)


def _speed(path: str = "v") -> mr.Float:
    return mr.Float(path, low=0.0, high=400.0)


class OfCsv(Sums):
    records = mr.Csv(link=mr.Int("link"), speed=_speed())


class OfParquet(Sums):
    records = mr.Parquet(link=mr.Int("link"), speed=_speed())


class OfLines(Sums):
    records = mr.JsonLines(link=mr.Int("link"), speed=_speed())


class OfTripLines(Sums):
    records = mr.JsonLines(records_at="data", link=mr.Int("link"), speed=_speed())


class OfColumns(Sums):
    records = mr.JsonColumns(at="", link=mr.Int("link"), speed=_speed())


class OfTrips(Sums):
    records = mr.Json(at="trips[].points", link=mr.Int("link"), speed=_speed())


class OfGpx(Sums):
    records = mr.Gpx(link=mr.Int("extensions.link"), speed=_speed("speed"))
