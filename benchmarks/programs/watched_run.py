"""A run that tells how it went: the receipt, progress by the clock, and this process's memory."""

from __future__ import annotations

import json
import sys
import time

import mapreduce as mr
from mapreduce.machine import peak_bytes
from roadspeed.speeds import Speeds


def main() -> None:
    """Run the job over a folder with so many processes; the answer is one line of JSON."""
    folder, workers = sys.argv[1:]
    began_s = time.perf_counter()
    progress: list[tuple[float, int]] = []

    def told(step: mr.Progress) -> None:
        if step.phase == "map":
            progress.append((time.perf_counter() - began_s, step.done))

    result = mr.run(Speeds(), folder, workers=int(workers), on_progress=told)
    said = {
        "work_s": time.perf_counter() - began_s,
        "receipt": result.receipt,
        "progress": progress,
        "parent_bytes": peak_bytes(),
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
