"""A job that counts the points of GPX files by latitude."""

import mapreduce as mr


class Points(mr.Job):
    """Counts points, and the files they are in."""

    records = mr.Gpx(lat=mr.Float("@lat"))
    points = mr.Table("lat", n=mr.Sum, files=mr.Distinct(per="object"))

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold the points."""
        return self.points.fold(mr.scaled(r.lat, 1), n=1)
