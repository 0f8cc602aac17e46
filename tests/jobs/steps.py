"""Jobs in which a record's meaning depends on the one before it."""

from typing import ClassVar

import numpy as np

import mapreduce as mr


class Steps(mr.Job):
    """Counts the steps between consecutive numbers of an object; none after a step down."""

    whole_objects: ClassVar[bool] = True
    form: str = "lines"
    steps = mr.Table("step", n=mr.Sum)

    @property
    def records(self) -> mr.Format:
        """One number a line, a row or a point."""
        if self.form == "parquet":
            return mr.Parquet(x=mr.Int("x"))
        if self.form == "json":
            return mr.JsonLines(x=mr.Int("x"))
        if self.form == "gpx":
            return mr.Gpx(x=mr.Int("@lat"))
        return mr.Csv(names=["x"], x=mr.Int("x"))

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold the steps."""
        step = np.diff(r.x, prepend=r.x[:1])
        first = np.arange(len(r)) == 0
        r = r.without(first, "first")
        step = step[~first]
        down = step < 0
        r = r.without(down, "down")
        return self.steps.fold(step[~down], n=1)
