"""What a run offers to its workers, and asks of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mapreduce.cluster.coordinator.locations import Locations
from mapreduce.job.name import JobName
from mapreduce.limits import Limits
from mapreduce.tables.table import Schema


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What a run offers to its workers, and asks of them."""

    run: str
    job: JobName
    schemas: tuple[Schema, ...]  # of the tables that the job makes
    limits: Limits  # what an attempt may use
    release: str  # the code that every worker must run, and the job's own
    overlay: str
    places: Locations  # where a piece is read: may wait, and is asked beside the loop
    names: Mapping[str, JobName]  # of the job at workers where it is named otherwise
    memory_bytes: int = 0  # that a slot may use; 0 for what its host allows
