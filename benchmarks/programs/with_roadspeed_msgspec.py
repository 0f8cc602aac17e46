"""Our own job as where its compiled scanner is not built: msgspec reads all."""

from __future__ import annotations

import os

from benchmarks.answers import answer
from benchmarks.programs.with_roadspeed import speeds
from mapreduce.formats.scanner import SWITCH

if __name__ == "__main__":
    os.environ[SWITCH] = "0"
    answer(lambda workers: workers, speeds)
