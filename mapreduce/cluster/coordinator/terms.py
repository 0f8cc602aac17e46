"""What a run offers to its workers, and asks of them. Values alone: what follows is elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mapreduce.cluster.coordinator.locations import Locations
from mapreduce.job.name import JobName
from mapreduce.limits import Limits
from mapreduce.tables.table import Schema


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What a run offers to its workers, and asks of them.

    Attributes
    ----------
    schemas
        The tables that the job makes.
    limits
        What an attempt may use.
    release, overlay
        The code that every worker must run.
    places
        Where a piece is read: may wait, and is asked beside the loop.
    names
        For each worker how the job is named there, where that is not as here.
    memory_bytes
        What a slot may use; 0 for what its host allows.
    """

    run: str
    job: JobName
    schemas: tuple[Schema, ...]
    limits: Limits
    release: str
    overlay: str
    places: Locations
    names: Mapping[str, JobName]
    memory_bytes: int = 0
