"""Our job on each engine, beside that engine's own program: same trips, same two cores.

The engine (Java, Dask's workers) is started before the clock of the work; the whole process has
everything. A ratio is the median over rounds that ran one after the other.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from benchmarks import answers, page
from benchmarks.peers import FEW, OURS, Entrant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.corpus import Corpus
    from benchmarks.processes import Watched

WANTED: Final = 5.0  # times faster than the engine's own program, by work
DASK: Final = Entrant("**our job on Dask%**", "with_roadspeed_dask", 2, FEW, "distributed")
BAG: Final = Entrant("Dask% bag, ujson", "with_dask_bag", 2, FEW, "distributed")
SPARK: Final = Entrant("**our job on Spark%**", "with_roadspeed_spark", 2, FEW, "pyspark")
SQL: Final = Entrant("Spark% SQL, the 2019 program", "with_spark", 2, FEW, "pyspark")
SQL_SCHEMA: Final = Entrant("Spark% SQL, schema given", "with_spark_schema", 2, FEW, "pyspark")
ENTRANTS: Final = (OURS, DASK, BAG, SPARK, SQL, SQL_SCHEMA)
PAIRS: Final = ((DASK, BAG), (SPARK, SQL), (SPARK, SQL_SCHEMA))


def report(corpus: Corpus, runs: dict[Entrant, list[Watched]]) -> str:
    """Write the tables: medians, and ratios within each engine."""
    rows = []
    for entrant, mine in runs.items():
        work_s = statistics.median(r.said["work_s"] for r in mine)
        rows.append(
            (
                entrant.shown,
                f"{corpus.size_bytes / 1e6 / work_s:,.0f}",
                f"{work_s:,.1f}",
                f"{statistics.median(r.whole_s for r in mine):,.1f}",
                f"{statistics.median(r.cpu_s for r in mine):,.0f}",
                f"{max(r.peak_bytes for r in mine) / 1e6:,.0f}",
            )
        )
    head = ("program", "MB/s", "work, s", "whole process, s", "processor, s", "peak memory, MB")
    ratios = [_ratio(ours, theirs, runs) for ours, theirs in PAIRS if theirs in runs]
    return (
        f"{corpus.told}. Counts are equal and means within {answers.TOLERANCE:g} in all"
        f" {sum(map(len, runs.values()))} runs.\n\n{page.table(head, rows)}\n\n"
        + page.table(("faster by", "work", "whole process", "processor"), ratios)
    )


def broken(runs: dict[Entrant, list[Watched]]) -> list[str]:
    """Say which of the two figures wanted were not reached."""
    said = []
    for ours, theirs in PAIRS[:2]:
        got = statistics.median(_paired(ours, theirs, runs, lambda r: r.said["work_s"]))
        if got < WANTED:
            said.append(f"Broken: {ours.shown} is {got:.1f} x {theirs.shown}, wanted {WANTED:g} x")
    return said


def _ratio(ours: Entrant, theirs: Entrant, runs: dict[Entrant, list[Watched]]) -> Sequence[str]:
    measures = (lambda r: r.said["work_s"], lambda r: r.whole_s, lambda r: r.cpu_s)
    texts = [f"{ours.shown} over {theirs.shown}"]
    for measure in measures:
        found = _paired(ours, theirs, runs, measure)
        texts.append(f"{statistics.median(found):.1f} x ({min(found):.1f} to {max(found):.1f})")
    return texts


def _paired(
    ours: Entrant,
    theirs: Entrant,
    runs: dict[Entrant, list[Watched]],
    measure: Callable[[Watched], float],
) -> list[float]:
    pairs = zip(runs[ours], runs[theirs], strict=False)
    return [measure(other) / measure(own) for own, other in pairs]
