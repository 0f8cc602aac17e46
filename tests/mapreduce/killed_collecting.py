"""A collection that prints a worker's process id and then waits, for a test that kills it."""

from __future__ import annotations

import time
from typing import Any

import mapreduce as mr
from mapreduce.runs.collect import collect
from tests.jobs.leaving import LeavingProcess


def waits(_: str, process: Any) -> None:
    """Tell the process of a worker, and go no further."""
    print(process, flush=True)  # noqa: T201 - for the test
    time.sleep(600)


if __name__ == "__main__":
    collect(LeavingProcess(), mr.Memory({"a": b'{"id": 1}\n'}), waits, workers=1)
