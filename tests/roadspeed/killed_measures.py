"""A program that is killed in the middle of a run of all measures: `FOLDER OUT`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import mapreduce as mr
from mapreduce.runs.driver import Options
from mapreduce.runs.journal_file import progress_of
from tests.roadspeed.measured_trips import job


def die(progress: mr.Progress) -> None:
    """Die by a signal that nobody can catch, once something is committed."""
    if progress.phase == "map" and progress_of(Path(sys.argv[2])).committed:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    options = Options(split_bytes=1)
    mr.run(
        job(), sys.argv[1], folder=Path(sys.argv[2]), workers=2, options=options, on_progress=die
    )
