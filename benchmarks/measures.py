"""All measures at once beside the plain mean, over the same trips, in interleaved rounds.

All: by hour, by hour of the week and by direction and hour of the week, each with percentiles,
traversals and theirs; free flow and posted limits. Limits that are broken are named, and make the
command fail.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import page
from benchmarks.corpus import Corpus, warm
from benchmarks.processes import Watched, watched

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "benchmarks.programs.with_measures"
TRIPS, WORKERS = 5_000, 2
RATIO_LIMIT = 2.5  # of the processor's time
WORKER_LIMIT_BYTES = 400e6


@dataclass(frozen=True, slots=True)
class Measured:
    """Pairs of runs: the plain mean, and everything."""

    corpus: Corpus
    pairs: list[tuple[Watched, Watched]]

    def ratios(self, of: Callable[[Watched], float]) -> list[float]:
        """Give everything over plain, of each pair."""
        return [of(all_) / of(plain) for plain, all_ in self.pairs]

    @property
    def worker_bytes(self) -> int:
        """The most any worker had with all measures."""
        return max(all_.said["worker_bytes"] for _, all_ in self.pairs)


def measure(corpus: Corpus, rounds: int, tell: Callable[[str], None] = print) -> Measured:
    """Run all rounds.

    Raises
    ------
    RuntimeError
        Where a run loses a fix.
    """
    warm(corpus)
    pairs = []
    for number in range(rounds):
        plain, all_ = (
            watched(PROGRAM, str(corpus.folder), str(WORKERS), what) for what in ("plain", "all")
        )
        kept = plain.said["kept"]
        for run, tables in ((plain, ("links",)), (all_, ("links", "by_link", "by_hour"))):
            if any(run.said["fixes"][table] != kept for table in tables):
                raise RuntimeError(f"of {kept:,} fixes there are {run.said['fixes']}")
        pairs.append((plain, all_))
        told = f"processor {all_.cpu_s / plain.cpu_s:.2f} x"
        tell(f"round {number + 1} of {rounds}: {told}, clock {_work(all_) / _work(plain):.2f} x")
    return Measured(corpus, pairs)


def report(measured: Measured) -> str:
    """Write the table, with the limits."""
    rows = []
    for name, runs in zip(
        ("the plain mean", "all measures"), zip(*measured.pairs, strict=True), strict=True
    ):
        rows.append(
            [
                name,
                f"{statistics.median(map(_work, runs)):.2f}",
                f"{statistics.median(run.cpu_s for run in runs):.2f}",
                f"{max(run.said['worker_bytes'] for run in runs) / 1e6:.0f}",
                f"{max(run.said['parent_bytes'] for run in runs) / 1e6:.0f}",
                f"{sum(runs[0].said['rows'].values()):,}",
            ]
        )
    head = ["", "work, s", "processor, s", "largest worker, MB", "parent, MB", "rows"]
    cpu, work = measured.ratios(lambda run: run.cpu_s), measured.ratios(_work)
    broken = faults(measured)
    verdict = "All limits hold." if not broken else "Broken: " + "; ".join(broken) + "."
    told = (
        f"{measured.corpus.told}; {WORKERS} processes, {len(cpu)} interleaved pairs. All measures"
        f" take {_spread(cpu)} the processor's time of the plain mean (start-up included; limit"
        f" {RATIO_LIMIT:g}), and {_spread(work)} the time of its work by the clock; a worker may"
        f" have {WORKER_LIMIT_BYTES / 1e6:.0f} MB."
    )
    return f"{told}\n\n{page.table(head, rows)}\n\n{verdict}"


def faults(measured: Measured) -> list[str]:
    """Name every limit that is broken."""
    found = []
    ratio = statistics.median(measured.ratios(lambda run: run.cpu_s))
    if ratio > RATIO_LIMIT:
        found.append(f"all measures take {ratio:.2f} times the processor's time")
    if measured.worker_bytes >= WORKER_LIMIT_BYTES:
        found.append(f"a worker had {measured.worker_bytes / 1e6:.0f} MB")
    return found


def _work(run: Watched) -> float:
    seconds: float = run.said["work_s"]
    return seconds


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
