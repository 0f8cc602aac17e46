"""Our own job, plain or with all measures at once; the answer is a line of JSON.

`FOLDER WORKERS plain|all`: fixes and mean by link; or also by hour, hour of the week, and direction
and hour of the week, each with percentiles, traversals and theirs, free flow and posted limits.
"""

from __future__ import annotations

import json
import sys
import time

import mapreduce as mr
from mapreduce.machine import peak_bytes
from roadspeed.speeds import Speeds

ALL = Speeds(
    by=("hour", "week-hour", "direction-week-hour"),
    zone=mr.SideFile(mr.zone_file("Europe/London")),
    direction_from="field",
    direction="dbResponse.dirTravel",
    direction_values="F=forward,T=backward",
    speed_limit="dbResponse.speedLimit",
)


def main() -> None:
    """Run the job over a folder in so many processes."""
    folder, workers, what = sys.argv[1:]
    began_s = time.perf_counter()
    result = mr.run(ALL if what == "all" else Speeds(), folder, workers=int(workers))
    said = {
        "work_s": time.perf_counter() - began_s,
        "kept": result.receipt["records"]["kept"],
        "fixes": {
            name: int(columns["fixes"].sum())
            for name, columns in result.tables.items()
            if "fixes" in columns
        },
        "rows": {name: len(columns["link"]) for name, columns in result.tables.items()},
        "worker_bytes": result.receipt["work"]["worker_peak_bytes"],
        "parent_bytes": peak_bytes(),
        "times_s": result.receipt["times_s"],
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
