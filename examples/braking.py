"""Harsh braking by link: `mapreduce run examples/braking.py:HarshBraking … --set limit=2.5`.

As a script it shows the same from Python: `python examples/braking.py TRIPS`.
"""

from __future__ import annotations

import sys

import mapreduce as mr


class HarshBraking(mr.Job):
    """Share of fixes on each link that brake harder than `limit` m/s².

    It is of the fixes that have an acceleration; the receipt counts those without (`no_accel`).
    """

    limit: float = 3.0

    records = mr.Json(at="data", link=mr.Int("dbResponse.linkID"), accel=mr.Float("tangAccel"))
    braking = mr.Table(key="link", fixes=mr.Sum, harsh=mr.Sum)

    def __post_init__(self) -> None:
        """Refuse a limit under which everything brakes hard, or nothing can."""
        if not 0 < self.limit < 100:  # noqa: PLR2004 - NaN is not between them either
            raise mr.UsageError(f"--set limit: expected m/s² from 0 to 100, got {self.limit:g}")

    def map(self, r: mr.Records) -> mr.Rows:
        """`r.link`: int64[n]; `r.accel`: float64[n] in m/s², negative when braking."""
        return self.braking.fold(r.link, fixes=1, harsh=r.accel < -self.limit)

    def finish(self, t: mr.Columns) -> dict[str, mr.Array]:
        """`t`: the merged table, ascending by link."""
        return {"link": t.link, "fixes": t.fixes, "share": t.harsh / t.fixes}


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the trips
        sys.exit(__doc__)
    try:
        result = mr.run(HarshBraking(), sys.argv[1])
    except mr.MapReduceError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{len(result.rows['link'])} links, {result.digest}\n")
