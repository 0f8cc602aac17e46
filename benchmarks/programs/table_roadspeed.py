"""Our own job, whole, all seven columns; spawning its processes is part of the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mapreduce as mr
from benchmarks.answers import answer
from roadspeed.speeds import Speeds

if TYPE_CHECKING:
    from benchmarks.answers import Rows


def speeds(workers: int, folder: str) -> Rows:
    """Run the job in so many processes."""
    job = Speeds(format=folder.rpartition("-")[2], link="link", speed="speed")
    rows = mr.run(job, folder, workers=workers).rows
    return zip(rows["link"].tolist(), rows["fixes"].tolist(), rows["mean"].tolist(), strict=True)


if __name__ == "__main__":
    answer(lambda workers: workers, speeds)
