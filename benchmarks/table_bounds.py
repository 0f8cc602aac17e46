"""What bounds a run over CSV and Parquet: each step of one process alone, over one table.

Every step does what the one above it in its format does, and more. All run in this one process and
thread, interleaved; medians of processor time, which other programs on the machine change least.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks import page
from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.formats import line_blocks
from mapreduce.formats.parquet import BATCH_ROWS, PAGE_BYTES
from mapreduce.formats.scanner.lines import line_scanner
from mapreduce.job.views import Records
from mapreduce.limits import Limits
from mapreduce.objects import Location
from mapreduce.objects.file_body import file_etag
from mapreduce.objects.reader import Reader
from mapreduce.plan import Piece
from roadspeed.speeds import Speeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mapreduce.formats.parsed import Parsed

ROUNDS: Final = 7
WANTED: Final = ("link", "speed")

Steps = dict[str, "Callable[[], object]"]


def measured(tables: dict[str, Path], rounds: int = ROUNDS) -> str:
    """Measure the steps of each format (csv, parquet) over its table; give the page's table."""
    steps = {
        (format_, name): step
        for format_, path in tables.items()
        for name, step in _STEPS[format_](path).items()
    }
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for _ in range(rounds):
        for key, step in steps.items():
            began_s = time.process_time()
            step()
            seconds[key].append(time.process_time() - began_s)
    rows = pq.read_metadata(tables["parquet"]).num_rows
    told = [
        (format_, name, f"{statistics.median(taken) / rows * 1e9:.1f}")
        for (format_, name), taken in seconds.items()
    ]
    return page.table(("format", "one process", "processor, ns a row"), told)


def _csv(path: Path) -> Steps:
    job = _job("csv")
    with path.open("rb") as file:
        names = file.readline().decode().replace('"', "").strip().split(",")
    places = {name: names.index(name) for name in WANTED}
    scan = line_scanner(job.records.fields, places, len(names), ",", ".")
    if scan is None:
        raise RuntimeError("the scanner is not built: run `make setup` where there is a C compiler")

    def blocks() -> Iterator[bytes]:
        with path.open("rb") as file:
            file.readline()
            for block, _ in line_blocks.blocks(file.read):
                yield block

    def arrow(block: bytes) -> None:
        pa.csv.read_csv(
            pa.py_buffer(block),
            pa.csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
            convert_options=pa.csv.ConvertOptions(
                include_columns=WANTED, column_types={"link": pa.int64(), "speed": pa.float64()}
            ),
        )

    def scanned(block: bytes) -> None:
        if scan.read(block) is None:
            raise RuntimeError("the scan gave up: the table is not plain")

    def parsed() -> Iterator[Parsed]:
        parse: Any = job.records.begin()
        with path.open("rb") as file:
            for block, _ in line_blocks.blocks(file.read):
                yield parse(block)

    return {
        "reading, in blocks of whole lines": lambda: sum(map(len, blocks())),
        "or with pyarrow taking the two columns": lambda: list(map(arrow, blocks())),
        "or with our scan taking them": lambda: list(map(scanned, blocks())),
        "and checks and columns": lambda: sum(len(p.rows) for p in parsed()),
        "and the job's `map`": lambda: _map(job, parsed()),
        "an attempt: and ledger, combining": _attempt(job, path),
    }


def _parquet(path: Path) -> Steps:
    job = _job("parquet")

    def arrow() -> int:
        with path.open("rb") as file:
            opened = pq.ParquetFile(file, buffer_size=PAGE_BYTES, pre_buffer=False)
            found = opened.iter_batches(BATCH_ROWS, columns=list(WANTED), use_threads=False)
            return sum(batch.num_rows for batch in found)

    def parsed() -> Iterator[Parsed]:
        with path.open("rb") as file:
            yield from job.records.batches(file)

    return {
        "pyarrow decoding the two columns": arrow,
        "and checks and columns": lambda: sum(len(p.rows) for p in parsed()),
        "and the job's `map`": lambda: _map(job, parsed()),
        "an attempt: and ledger, combining": _attempt(job, path),
    }


_STEPS: Final = {"csv": _csv, "parquet": _parquet}


def _job(format_: str) -> Any:
    return Speeds(format=format_, link="link", speed="speed")


def _map(job: Any, parts: Iterator[Parsed]) -> None:
    piece = Piece(0, "table", 1, "")
    for part in parts:
        job.map(Records(piece, part))


def _attempt(job: Any, path: Path) -> Callable[[], object]:
    runner = AttemptRunner(job, Reader(), Limits())
    status = path.stat()
    piece = Piece(0, str(path), status.st_size, file_etag(status))
    return lambda: runner.run([piece], [Location(path=str(path))])
