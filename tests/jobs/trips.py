"""A job that counts the distinct trips of a link and hour, from lines of three words."""

import numpy as np

import mapreduce as mr


class TripsByLink(mr.Job):
    """Counts lines and distinct trips."""

    records = mr.Lines("line")
    links = mr.Table(key=("link", "hour"), n=mr.Sum, trips=mr.Distinct(per=mr.Key("trip", width=3)))

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold the lines."""
        words = [line.split() for line in r.line.tolist()]
        link = np.array([int(w[0]) for w in words])
        hour = np.array([int(w[1]) for w in words])
        return self.links.fold(link, hour, n=1, trip=[w[2] for w in words])
