"""A job that reads the same records from documents of several shapes."""

import mapreduce as mr


class Shaped(mr.Job):
    """Counts records and sums their values, whatever the shape."""

    shape: str = "flat"
    links = mr.Table("link", n=mr.Sum, total=mr.Sum)

    @property
    def records(self) -> mr.Format:
        """The format of the shape."""
        link, speed = mr.Int("link"), mr.Float("v")
        if self.shape == "columns":
            return mr.JsonColumns(at="points", link=link, speed=speed)
        at = {"flat": "points", "nested": "points[].p[]"}[self.shape]
        return mr.Json(at=at, link=link, speed=speed)

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold the records."""
        return self.links.fold(r.link, n=1, total=mr.scaled(r.speed, 10))
