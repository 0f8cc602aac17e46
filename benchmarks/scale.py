"""52,500 objects with about 85 million fixes in one run, beside a run of 500.

The receipt must balance, the rate hold from start to end, and no process's memory grow with the
number of objects. Each process's peak is the kernel's own (`VmHWM`), sampled ten times a second
from outside and told by the process itself at its end. Limits that are broken are named, and make
the command fail.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import page
from benchmarks.corpus import Corpus, corpus, warm
from benchmarks.processes import watched

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SMALL, LARGE = 500, 52_500  # trips of this town are short: 50,000 have 81 million fixes
WORKER_LIMIT_BYTES, PARENT_LIMIT_BYTES, GROWTH_LIMIT_BYTES = 200e6, 300e6, 50e6
TENTHS = 10
STEADY = 0.25  # how far the first and the last tenths' rates may be from the median's


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: its corpus, receipt, MB/s of each tenth of its bytes, and peaks in bytes."""

    corpus: Corpus
    receipt: dict[str, Any]
    work_s: float
    tenths_mbs: tuple[float, ...]
    parent_bytes: int
    workers_bytes: tuple[int, ...]

    @property
    def worker_bytes(self) -> int:
        """The most any worker had."""
        told: int = self.receipt["work"]["worker_peak_bytes"]
        return max(told, *self.workers_bytes)


def measure(
    root: Path, files: int, sizes: Sequence[int] = (SMALL, LARGE), workers: int = 2
) -> list[Measured]:
    """Run over corpora of so many objects each, in fresh processes."""
    return [_measured(corpus(root, files, objects), workers) for objects in sizes]


def _measured(objects: Corpus, workers: int) -> Measured:
    warm(objects)
    run = watched("benchmarks.programs.watched_run", str(objects.folder), str(workers))
    parent, *others = run.peaks_bytes.values()
    return Measured(
        objects,
        run.said["receipt"],
        run.said["work_s"],
        tenths(run.said["progress"], objects.size_bytes),
        max(parent, run.said["parent_bytes"]),
        tuple(others),
    )


def tenths(progress: Sequence[tuple[float, int]], size_bytes: int) -> tuple[float, ...]:
    """Give MB/s within each tenth of the bytes, from (seconds, bytes done) as they were told.

    The first begins with the run, so listing and the start of processes count in it.
    """
    reached_s = [0.0]
    told = iter(progress)
    for tenth in range(1, TENTHS + 1):
        for second, done in told:
            if done * TENTHS >= tenth * size_bytes:
                reached_s.append(second)
                break
        else:
            reached_s.append(progress[-1][0])
    part_mb = size_bytes / TENTHS / 1e6
    steps = zip(reached_s[1:], reached_s, strict=False)
    return tuple(part_mb / max(end - start, 1e-9) for end, start in steps)


def faults(small: Measured, large: Measured) -> list[str]:
    """Name every limit that is broken."""
    found = []
    for run in (small, large):
        objects, records = run.receipt["objects"], run.receipt["records"]
        counted = objects["ok"] + objects["quarantined"] + objects["ignored"]
        if not objects["listed"] == counted == run.corpus.objects:
            found.append(f"objects do not balance: {objects}")
        if records["read"] != records["kept"] + sum(records["dropped"].values()):
            found.append(f"records do not balance: {records}")
        if run.worker_bytes >= WORKER_LIMIT_BYTES:
            found.append(f"a worker had {run.worker_bytes / 1e6:.0f} MB")
        if run.parent_bytes >= PARENT_LIMIT_BYTES:
            found.append(f"the parent had {run.parent_bytes / 1e6:.0f} MB")
    for name in ("parent_bytes", "worker_bytes"):
        growth = getattr(large, name) - getattr(small, name)
        if growth > GROWTH_LIMIT_BYTES:
            found.append(f"{name} grew by {growth / 1e6:.0f} MB with the number of objects")
    middle = statistics.median(large.tenths_mbs)
    for place in (0, -1):
        if abs(large.tenths_mbs[place] / middle - 1) > STEADY:
            rate = large.tenths_mbs[place]
            found.append(f"the rate is not steady: {rate:,.0f} MB/s, median {middle:,.0f}")
    return found


def report(runs: Sequence[Measured]) -> str:
    """Write the tables, with the limits."""
    head = ["", *(f"{r.corpus.objects:,} objects" for r in runs), "limit"]

    def row(name: str, values: Sequence[str], limit: str = "") -> list[str]:
        return [name, *values, limit]

    growth_mb = GROWTH_LIMIT_BYTES / 1e6
    rows = [
        row("bytes, GB", [f"{r.corpus.size_bytes / 1e9:.1f}" for r in runs]),
        row("fixes read", [f"{r.receipt['records']['read']:,}" for r in runs]),
        row("fixes kept", [f"{r.receipt['records']['kept']:,}" for r in runs]),
        row("objects ok", [f"{r.receipt['objects']['ok']:,}" for r in runs], "all"),
        row("seconds", [f"{r.work_s:.1f}" for r in runs]),
        row("MB/s", [f"{r.corpus.size_bytes / 1e6 / r.work_s:,.0f}" for r in runs]),
        row(
            "parent's peak, MB",
            [f"{r.parent_bytes / 1e6:.0f}" for r in runs],
            f"{PARENT_LIMIT_BYTES / 1e6:.0f}, and {growth_mb:.0f} more than of few",
        ),
        row(
            "largest worker's peak, MB",
            [f"{r.worker_bytes / 1e6:.0f}" for r in runs],
            f"{WORKER_LIMIT_BYTES / 1e6:.0f}, and {growth_mb:.0f} more than of few",
        ),
    ]
    large = runs[-1]
    rates = page.table(
        ["tenth of the bytes", *map(str, range(1, TENTHS + 1))],
        [["MB/s", *(f"{rate:,.0f}" for rate in large.tenths_mbs)]],
    )
    broken = faults(runs[0], large)
    verdict = "All limits hold." if not broken else "Broken: " + "; ".join(broken) + "."
    told = f"Objects are hard links of {large.corpus.files} generated trips, in the page cache."
    return f"{told}\n\n{page.table(head, rows)}\n\n{rates}\n\n{verdict}"
