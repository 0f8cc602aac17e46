"""Our own job as where nothing of it is compiled: msgspec reads all, numpy sums all."""

from __future__ import annotations

import os

from benchmarks.answers import answer
from benchmarks.programs.with_roadspeed import speeds
from mapreduce.formats import scanner
from mapreduce.tables import grouping

if __name__ == "__main__":
    os.environ |= {scanner.SWITCH: "0", grouping.SWITCH: "0"}  # for the processes that work
    answer(lambda workers: workers, speeds)
