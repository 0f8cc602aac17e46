"""What a program under measurement answers: its seconds on standard output, its rows in a file.

Work is timed from the call with the folder's name to the last row in hand; imports and the start
of an engine come before it. `read` and `difference` are for whoever compares answers.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Rows = Iterable[tuple[int, int, float]]

TOLERANCE = 1e-6  # in the unit of the speeds


def answer(start: Callable[[int], Any], speeds: Callable[[Any, str], Rows]) -> None:
    """Run a program as its command line says, and tell.

    Parameters
    ----------
    start
        Takes the number of threads (or processes), gives the engine: start-up, not work.
    speeds
        Takes the engine and the folder of trips, gives (link, count, mean): the work.
    """
    folder, out, threads = sys.argv[1:]
    engine = start(int(threads))
    began_s = time.perf_counter()
    rows = sorted(speeds(engine, folder))
    work_s = time.perf_counter() - began_s
    with Path(out).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows((link, count, repr(mean)) for link, count, mean in rows)
    print(json.dumps({"work_s": work_s}), flush=True)


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Give the file's (link, count) as int64[n, 2] and its means as float64[n]."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    counts = np.array([(int(r[0]), int(r[1])) for r in rows], dtype=np.int64).reshape(-1, 2)
    return counts, np.array([float(r[2]) for r in rows])


def difference(one: Path, other: Path) -> str:
    """Say how two answers differ; empty where counts are equal and means within 1e-6."""
    (counts, means), (others, other_means) = read(one), read(other)
    if counts.shape != others.shape:
        return f"{len(counts)} links in {one.name}, {len(others)} in {other.name}"
    if len(wrong := np.flatnonzero((counts != others).any(axis=1))):
        at = wrong[0]
        return f"(link, count) {tuple(counts[at])} in {one.name}, {tuple(others[at])} there"
    worst = float(np.max(np.abs(means - other_means), initial=0.0))
    if not worst <= TOLERANCE:
        return f"means of {one.name} and {other.name} are up to {worst:g} apart"
    return ""
