"""A job that leaves the values of each object, and dies where it is told to."""

from __future__ import annotations

import os
from functools import cached_property
from typing import ClassVar

import numpy as np

import mapreduce as mr


class Leaving(mr.Job):
    """Leaves each object's values, in `left`."""

    whole_objects: ClassVar[bool] = True
    records: ClassVar[mr.JsonLines] = mr.JsonLines(value=mr.Int("id"))
    table: ClassVar[mr.Table] = mr.Table(key="value", n=mr.Sum)

    @cached_property
    def left(self) -> list[int]:
        return []

    def map(self, r: mr.Records) -> mr.Rows:
        if (r.value == 666).any():
            os._exit(9)
        self.left[:] = r.value.tolist()
        return self.table.fold(np.zeros(0, np.int64), n=1)

    def finish(self, t: mr.Columns) -> dict[str, mr.Array]:
        return {"value": t.value}
