"""What bounds a run: each step of one process alone, from reading to the whole, on the same files.

Steps add up: every one does what the one above it does, and more. All run in this one process and
thread, interleaved, medians; the last is a whole run with its process started. Then the arithmetic
of eight times chDB.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import mapreduce as mr
from benchmarks import page
from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.formats.salvage import MAX_RECORDS
from mapreduce.formats.scanner import scanner
from mapreduce.job.views import Records
from mapreduce.limits import Limits
from mapreduce.objects import Location
from mapreduce.objects.file_body import file_etag
from mapreduce.objects.reader import Reader
from mapreduce.plan import Piece
from roadspeed.speeds import Speeds

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.corpus import Corpus

ROUNDS = 5
SIMDJSON_MBS = 3040  # C++ simdjson 3.12 On-Demand taking the two fields, one core of this machine
TIMES = 8  # what is asked of us, in chDBs


class _Skipped(msgspec.Struct):
    """A document of which nothing is wanted: how fast msgspec passes over JSON."""


class _Response(msgspec.Struct, gc=False):
    """The two wanted fields, as `Speeds` has them decoded."""

    linkID: int | str | None = None  # noqa: N815 - as in the document


class _Fix(msgspec.Struct, gc=False):
    dbResponse: _Response | None = None  # noqa: N815
    absVelocity: float | int | str | None = None  # noqa: N815


class _Trip(msgspec.Struct):
    data: list[_Fix]


def measure(corpus: Corpus, rounds: int = ROUNDS) -> dict[str, float]:
    """Give MB/s of each step, in the order they build on each other."""
    paths = [str(p) for p in sorted(corpus.folder.glob("*/*.json"))[: corpus.files]]
    pieces, locations = [], []
    for number, path in enumerate(paths):
        status = Path(path).stat()
        pieces.append(Piece(number, path, status.st_size, file_etag(status)))
        locations.append(Location(path=path))
    job = Speeds()
    parser = job.records
    skip = msgspec.json.Decoder(_Skipped).decode
    bare = msgspec.json.Decoder(_Trip).decode
    quick = scanner(parser.at, parser.fields, MAX_RECORDS)
    if quick is None:
        raise RuntimeError("the scanner is not built: run `make setup` where there is a C compiler")
    attempt = AttemptRunner(job, Reader(), Limits())

    def each(step: Callable[[bytes], object]) -> Callable[[], None]:
        def run() -> None:
            for path in paths:
                step(Path(path).read_bytes())

        return run

    steps: dict[str, Callable[[], object]] = {
        "reading the files": each(len),
        "and msgspec passing over the document": each(skip),
        "or msgspec decoding the two wanted fields": each(bare),
        "or the scanner taking them into columns": each(quick.read),
        "and checks and columns (`Json.parse`)": each(parser.parse),
        "and the job's `map`": each(lambda d: job.map(Records(pieces[0], parser.parse(d)))),
        "an attempt: and fetching ahead, ledger, combining": lambda: attempt.run(pieces, locations),
        "a run of all objects, 1 process, with its start": lambda: mr.run(
            job, corpus.folder, workers=1
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began_s = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began_s)
    attempt.close()
    read_mb = sum(p.size_bytes for p in pieces) / 1e6
    whole_mb = corpus.size_bytes / 1e6
    return {
        name: (whole_mb if name.startswith("a run") else read_mb) / statistics.median(taken)
        for name, taken in seconds.items()
    }


def report(rates: dict[str, float], chdb_mbs: float | None) -> str:
    """Write the table, and how far the bound is."""
    scan = next(v for k, v in rates.items() if "scanner" in k)
    rows = [
        (name, f"{rate:,.0f}", f"{1e3 / rate:.2f}", f"{scan / rate:.2f}")
        for name, rate in rates.items()
    ]
    text = page.table(("one process", "MB/s", "ms a MB", "in scans"), rows)
    if chdb_mbs is None:
        return text
    return f"{text}\n\n{_arithmetic(rates, chdb_mbs)}"


def _arithmetic(rates: dict[str, float], chdb_mbs: float) -> str:
    reading = 1e3 / rates["reading the files"]
    wanted = TIMES * chdb_mbs
    budget = 2e3 / wanted  # ms a MB and core, with two cores
    scan = 1e3 / SIMDJSON_MBS
    ours = 1e3 / next(v for k, v in rates.items() if "scanner" in k)
    verdict = "within" if reading + scan <= budget else "beyond"
    return (
        f"{TIMES} times chDB's {chdb_mbs:,.0f} MB/s is {wanted:,.0f} MB/s, so {budget:.2f} ms a MB"
        f" on each of two cores. Reading takes {reading:.2f} of them, and the fastest known"
        f" scan (C++ simdjson On-Demand, {SIMDJSON_MBS:,} MB/s) {scan:.2f}: together"
        f" {reading + scan:.2f}, {verdict} the budget, with {budget - reading - scan:+.2f} left for"
        f" everything else. Reading and our scanner take {reading + ours:.2f}: no more than"
        f" {2e3 / (reading + ours) / chdb_mbs:.1f} times chDB could be had even if all else were"
        " free."
    )
