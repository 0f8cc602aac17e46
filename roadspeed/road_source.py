"""The roads of a run: where they are, and their lines as a side input of its job."""

from __future__ import annotations

import filecmp
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mapreduce import Progress, SideFile, UsageError
from roadspeed.roads import Named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from roadspeed.speeds import Speeds

COURSES = ".courses.npz"  # in the folder of a run whose directions are told by the roads


@dataclass(frozen=True, slots=True)
class RoadSource:
    """Where geometry comes from, and what is called how there; see `roadspeed.roads.join`."""

    where: str
    named: Named = field(default_factory=Named)


def with_courses(
    job: Speeds, roads: RoadSource | None, out: Path, tell: Callable[[Progress], None]
) -> Speeds:
    """Give the job with the lines of links, if it tells directions by them.

    They are written into the folder of the run, where a run that goes on finds them as they were.

    Raises
    ------
    UsageError
        There are no roads.
    """
    if not job.holds_direction or job.courses is not None:
        return job
    if roads is None:
        raise UsageError(f"--direction-from {job.direction_from} needs --roads: the lines of links")
    from roadspeed.roads import courses  # noqa: PLC0415 - shapely loads when it is needed

    def on_rows(done: int, total: int | None) -> None:
        tell(Progress("courses", done, total, "roads"))

    out.mkdir(parents=True, exist_ok=True)
    path = out / COURSES
    made = path.with_name(f"{COURSES}.{os.getpid()}")
    courses(roads.where, roads.named, on_progress=on_rows).write(made)
    if path.exists() and filecmp.cmp(made, path, shallow=False):
        made.unlink()  # a run that goes on has it as it was
    else:
        made.replace(path)
    return replace(job, courses=SideFile(path))
