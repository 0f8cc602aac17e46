"""A job that needs a side input: which links to count."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

import mapreduce as mr


class Chosen(mr.Job):
    """Count the fixes on the links that a file lists, as JSON."""

    wanted: mr.SideFile
    note: str = ""  # a file in which each process says where it found the other

    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    @functools.cached_property
    def chosen(self) -> mr.Array:
        """Read once a process."""
        if self.note:
            with Path(self.note).open("a") as out:
                out.write(f"{self.wanted.path}\n")
        return np.array(json.loads(self.wanted.path.read_text()), dtype=np.int64)

    def map(self, r: Any) -> mr.Rows:
        here = np.isin(r.link, self.chosen)
        return self.links.fold(r.link[here], n=1)
