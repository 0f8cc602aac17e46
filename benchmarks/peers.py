"""Count and mean of speed by link: this project beside its peers, on the same files, in one run.

Every program runs in a fresh process. Rounds are interleaved: the closest (this project and chDB,
two threads each) run nine times over a larger corpus, and there the program of 2019 three times;
all of them run three times over a smaller one. A ratio is the median, over the rounds in which both
ran, of the seconds of one over those of the other. Before the rounds each runs once over a few
files, so that its code is on no one's clock. All answers must agree in every round, or the
measurement fails.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import answers, page
from benchmarks.corpus import Corpus, warm
from benchmarks.processes import Watched, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEW, MANY = 3, 9


@dataclass(frozen=True, slots=True)
class Entrant:
    """A program with so many threads or processes, and in how many rounds it runs."""

    name: str
    program: str
    threads: int
    rounds: int
    package: str = ""

    @property
    def module(self) -> str:
        """Where its program is."""
        return f"benchmarks.programs.{self.program}"

    @property
    def shown(self) -> str:
        """Its name with its version."""
        version = f" {metadata.version(self.package)}" if self.package else ""
        return self.name.replace("%", version)


OURS = Entrant("**this project%**, 2 processes, seven columns", "with_roadspeed", 2, MANY)
CLOSEST = Entrant("chDB%, 2 threads", "with_chdb", 2, MANY, "chdb")
MANUAL = Entrant("chDB%, the manual's way, 2 threads", "with_chdb_rows", 2, MANY, "chdb")
PURE = Entrant("this project%, no compiled code of its own", "with_roadspeed_msgspec", 2, MANY)
SPARK = Entrant("Spark%, the 2019 program, `local[2]`", "with_spark", 2, FEW, "pyspark")
CLOSE = (OURS, CLOSEST, MANUAL, PURE, SPARK)
LARGER = 5  # times as many objects for the closest: a run long enough to be like a real one
ENTRANTS = (
    OURS,
    CLOSEST,
    PURE,
    Entrant("this project%, 1 process", "with_roadspeed", 1, FEW),
    Entrant("chDB%, 1 thread", "with_chdb", 1, FEW, "chdb"),
    MANUAL,
    Entrant("Polars%, 2 threads", "with_polars", 2, FEW, "polars"),
    Entrant("orjson% loop, 1 process", "with_orjson", 1, FEW, "orjson"),
    Entrant("ujson% loop, 1 process", "with_ujson", 1, FEW, "ujson"),
    Entrant("DuckDB%, 2 threads", "with_duckdb", 2, FEW, "duckdb"),
    Entrant("Spark%, schema given, `local[2]`", "with_spark_schema", 2, FEW, "pyspark"),
    SPARK,
)


def measure(
    corpus: Corpus,
    few: Corpus,
    entrants: Sequence[Entrant] = ENTRANTS,
    rounds: int = MANY,
    tell: Callable[[str], None] = print,
) -> dict[Entrant, list[Watched]]:
    """Run all rounds over `corpus`, after one over `few`.

    Raises
    ------
    RuntimeError
        Where a program fails or two answers differ.
    """
    warm(corpus)
    runs: dict[Entrant, list[Watched]] = {e: [] for e in entrants}
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "first.csv")
        for entrant in entrants:
            small = str(Path(folder, "few.csv"))
            watched(entrant.module, str(few.folder), small, str(entrant.threads))
        for number in range(rounds):
            for entrant in (e for e in entrants if number < e.rounds):
                out = first if not first.exists() else Path(folder, f"{entrant.program}.csv")
                run = watched(entrant.module, str(corpus.folder), str(out), str(entrant.threads))
                if differs := answers.difference(first, out):
                    raise RuntimeError(f"{entrant.shown} does not agree: {differs}")
                runs[entrant].append(run)
                rate = corpus.size_bytes / 1e6 / run.said["work_s"]
                tell(f"round {number + 1} of {rounds}: {entrant.shown}: {rate:,.0f} MB/s")
    return runs


def report(corpus: Corpus, runs: dict[Entrant, list[Watched]], ours: Entrant = OURS) -> str:
    """Write the table: medians, and our speed over each one's, of paired rounds."""
    rows = []
    for entrant, mine in runs.items():
        pairs = list(zip(mine, runs[ours], strict=False))
        rows.append(
            (
                entrant.shown,
                f"{rate(corpus, mine):,.0f}",
                f"{statistics.median(r.said['work_s'] for r in mine):,.2f}",
                f"{statistics.median(r.whole_s for r in mine):,.2f}",
                f"{statistics.median(r.cpu_s for r in mine):,.2f}",
                f"{max(r.peak_bytes for r in mine) / 1e6:,.0f}",
                _ratio([m.said["work_s"] / o.said["work_s"] for m, o in pairs]),
                _ratio([m.whole_s / o.whole_s for m, o in pairs]),
                _ratio([m.cpu_s / o.cpu_s for m, o in pairs]),
                str(len(mine)),
            )
        )
    head = (
        "program", "MB/s", "work, s", "whole process, s", "processor, s", "peak memory, MB",
        "we are, by work", "by whole process", "by processor", "rounds",
    )  # fmt: skip
    return (
        f"{corpus.told}. Counts are equal and means within {answers.TOLERANCE:g} in all"
        f" {sum(map(len, runs.values()))} runs.\n\n{page.table(head, rows)}"
    )


def rate(corpus: Corpus, runs: Sequence[Watched]) -> float:
    """Give the median MB/s of work."""
    median_s: float = statistics.median(r.said["work_s"] for r in runs)
    return corpus.size_bytes / 1e6 / median_s


def _ratio(ratios: Sequence[float]) -> str:
    low, high = min(ratios), max(ratios)
    digits = 2 if high < 20 else 0
    if low == high:
        return f"{low:.{digits}f} x"
    return f"{statistics.median(ratios):.{digits}f} x ({low:.{digits}f} to {high:.{digits}f})"
