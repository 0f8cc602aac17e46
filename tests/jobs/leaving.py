"""A job that leaves the values of each object, and dies where it is told to."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr


class Leaving(mr.Job):
    """Leaves each object's values."""

    whole_objects: ClassVar[bool] = True
    records: ClassVar[mr.JsonLines] = mr.JsonLines(value=mr.Int("id"))
    table: ClassVar[mr.Table] = mr.Table(key="value", n=mr.Sum)

    @cached_property
    def _left(self) -> list[list[int]]:
        return []

    def taken(self) -> Any:
        return self._left.pop() if self._left else None

    def map(self, r: mr.Records) -> mr.Rows:
        if (r.value == 666).any():
            os._exit(9)
        self._left[:] = [r.value.tolist()]
        return self.table.fold(np.zeros(0, np.int64), n=1)

    def finish(self, t: mr.Columns) -> dict[str, mr.Array]:
        return {"value": t.value}


class LeavingProcess(Leaving):
    """Leaves the id of the process that read an object."""

    def taken(self) -> Any:
        return os.getpid()
