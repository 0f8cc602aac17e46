"""`try` and `plan`: one object looked at closely, or a whole run looked at from afar."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from typing import TYPE_CHECKING, Any

from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.attempts.prefetch import entry_of
from mapreduce.cluster.inventory.hosts_toml import StoreTable as Nodes
from mapreduce.commands.run_steps import texts
from mapreduce.console.terminal import amount
from mapreduce.engines.local import checked_workers
from mapreduce.errors import UsageError
from mapreduce.job.job import Job, finished, merged_tables
from mapreduce.limits import Limits
from mapreduce.objects.listing import nothing_in, wanted
from mapreduce.objects.members import located
from mapreduce.objects.reader import Reader
from mapreduce.objects.source import open_store
from mapreduce.plan import OPEN_COST_BYTES, Planner, Split
from mapreduce.runs.lister import is_divisible
from mapreduce.safe_text import PrintedOut, in_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mapreduce.cluster.inventory.inventory import Inventory
    from mapreduce.ledger import Ledger
    from mapreduce.objects import Store
    from mapreduce.plan import Piece
    from mapreduce.runs.driver import Options
    from mapreduce.tables.arrays import Array
    from mapreduce.tables.partial import Partial

SHOWN_ROWS = 10
TIMED_BYTES = 64 << 20


def shown(job: Job, source: str, endpoint: str | None, *, allow_nan: bool = False) -> str:
    """Run a job over one object in this process; tell its account and its partial sums."""
    store = open_store(source, endpoint=endpoint)
    found = list(itertools.islice(wanted(store), 2))
    if len(found) != 1:
        what = "no object" if not found else "more than one object"
        raise UsageError(f"{source}: {what} there; name one, a file or s3://bucket/key")
    entry = found[0]
    split = next(iter(Planner().splits_of([entry])))
    partial, ledger, seconds = _attempt(job, store, split.pieces, Limits(allow_nan=allow_nan))
    lines = [
        f"{in_line(entry.key)}: {amount(entry.size_bytes, 'bytes')} in {seconds * 1e3:,.1f} ms",
        f"records: {ledger.read:,} read, {ledger.kept:,} kept",
    ]
    for reason, count in sorted(ledger.dropped.items()):
        lines.append(f"  dropped {count:,}: {reason}")
        rows = [s for s in ledger.samples if s.reason == reason][:SHOWN_ROWS]
        some = (f"{s.row} ({s.value})" if s.value else str(s.row) for s in rows)
        lines.append(f"  {reason}: for example records {', '.join(some)}")
    if ledger.nan.unused:
        lines.append(
            f"  {ledger.nan.unused:,} hold NaN or Infinity in a field that is not used:"
            " --allow-nan accepts them"
        )
    lines += [f"quarantined as {q.reason}: {q.place}" for q in ledger.quarantined]
    for name, table in merged_tables(job, partial).items():
        lines += ["", f"table {name}: {len(table):,} rows", *_aligned(table.asdict())]
    for name, made in finished(job, partial).items():
        lines += ["", f"finish gives for {name}:", *_aligned(made)]
    return "\n".join(lines)


def planned(
    job: Job,
    source: str,
    options: Options,
    workers: int | None,
    inventory: Inventory | None = None,
) -> str:
    """List a source and time a little of it; tell what a run would do, here or over hosts."""
    nodes = inventory.store if inventory is not None else Nodes()
    store = open_store(
        source, endpoint=options.endpoint, region=nodes.region, endpoints=nodes.endpoints
    )
    planner = Planner(split_bytes=options.split_bytes, divisible=is_divisible(job))
    first: Split | None = None
    started = time.monotonic()
    for split in planner.splits_of(wanted(store, options.selection)):
        first = first or split
    listed_s = time.monotonic() - started
    if first is None:
        raise nothing_in(store, options.selection)
    slots, who = _workers(workers, inventory)
    sampled = _up_to(first.pieces, TIMED_BYTES)
    _, _, seconds = _attempt(job, store, sampled, Limits(allow_nan=options.limits.allow_nan))
    timed = sum(p.read_bytes for p in sampled)
    rate = timed / max(seconds, 1e-6)
    needed = planner.object_bytes / rate / slots
    found = (
        f"{planner.objects:,} objects, {amount(planner.object_bytes, 'bytes')},"
        f" listed in {listed_s:.1f} s"
    )
    asked = (
        f"{planner.splits:,} splits, {max(planner.objects, planner.splits):,} read requests"
        f" (each is estimated as {OPEN_COST_BYTES >> 10} KiB of additional data)"
    )
    place = "" if inventory is None else " on this machine"
    time_needed = (
        f"about {needed:,.0f} s with {who}, at the {rate / 1e6:,.0f} MB/s measured with the"
        f" first {len(sampled)} objects in one process{place}"
    )
    return f"{found}\n{asked}\n{time_needed}"


def _workers(workers: int | None, inventory: Inventory | None) -> tuple[int, str]:
    """Give how many attempts go at once, and whose they are."""
    if workers is not None or inventory is None:
        count = checked_workers(workers)
        return count, f"{count} workers"
    told = [host.slots for host in inventory.hosts]
    count = sum(slots or 1 for slots in told)
    odd = told.count(None)
    reckoned = f" ({odd} of them have no slots in {inventory.path}, counted as one slot each)"
    return count, f"{count} slots of {len(told)} hosts{reckoned if odd else ''}"


def _attempt(
    job: Job, store: Store, pieces: Sequence[Piece], limits: Limits
) -> tuple[Partial, Ledger, float]:
    printed: Any = PrintedOut(sys.stdout)  # the job's own prints may be data
    with (
        contextlib.redirect_stdout(printed),
        Reader() as reader,
        contextlib.closing(AttemptRunner(job, reader, limits)) as attempt,
    ):
        locations = [located(store, entry_of(p)) for p in pieces]
        started = time.monotonic()
        partial, ledger = attempt.run(pieces, locations)
        return partial, ledger, time.monotonic() - started


def _up_to(pieces: Sequence[Piece], most_bytes: int) -> list[Piece]:
    taken: list[Piece] = []
    for piece in pieces:
        if taken and sum(p.read_bytes for p in taken) + piece.read_bytes > most_bytes:
            break
        taken.append(piece)
    return taken


def _aligned(columns: Mapping[str, Array]) -> list[str]:
    """Give the first rows as text, columns aligned."""
    cells = [
        [name, *(in_line(str(cell)) for cell in texts(c[:SHOWN_ROWS]))]
        for name, c in columns.items()
    ]
    widths = [max(map(len, column)) for column in cells]
    rows = zip(*cells, strict=True)
    return ["  ".join(v.rjust(w) for v, w in zip(row, widths, strict=True)) for row in rows]
