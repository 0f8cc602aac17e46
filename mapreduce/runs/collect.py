"""What a job leaves of each object, collected in the order of the listing: for files, not for sums.

A run adds up, so what it gives is small, and no order shows. Here each object's records, as the job
sees them, may give anything that can be pickled: rows for a file, say. Objects are read as in a
run, some at a time in processes of this machine, with the same account. Nothing is kept of a
collection that is interrupted: it begins again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.attempts.prefetch import entry_of
from mapreduce.engines.local import checked_workers
from mapreduce.errors import MapReduceError, ObjectError
from mapreduce.job.loader import loading
from mapreduce.job.name import JobName, name_of
from mapreduce.ledger import Ledger, Quarantined, absorb
from mapreduce.objects.listing import nothing_in, objects_of, prefix_of
from mapreduce.objects.members import located
from mapreduce.objects.reader import Reader
from mapreduce.objects.selection import ignored
from mapreduce.objects.source import open_store
from mapreduce.plan import Piece
from mapreduce.runs.aggregator import check_any_record
from mapreduce.runs.progress import Progress
from mapreduce.runs.receipt import objects_of as counted_objects
from mapreduce.runs.receipt import records_of, selection_of
from mapreduce.runs.result import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from mapreduce.job.job import Job
    from mapreduce.limits import Limits
    from mapreduce.objects import Location, Store
    from mapreduce.runs.progress import OnProgress

AHEAD: Final = 3  # objects a process that are read or wait to be taken
TELL_EVERY_S: Final = 0.2


class Leaving(Protocol):
    """A job whose `map` leaves something of an object; it must see whole objects."""

    def taken(self) -> Any:
        """Give what `map` has left since this was last asked, None for nothing, and forget it."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a collection covered: as in a run's receipt, and single objects and records."""

    receipt: dict[str, Any]
    ledger: Ledger


def collect(
    job: Job,
    source: str | Store,
    take: Callable[[str, Any], None],
    *,
    workers: int | None = None,
    options: Options | None = None,
    on_progress: OnProgress = lambda _: None,
) -> Account:
    """Have a job map each object, and take what it leaves of the good ones.

    Parameters
    ----------
    job
        A `Leaving`, which sees whole objects (`whole_objects`).
    take
        Called here, in the order of the listing, with an object's key and what was left of it;
        not for an object without a record that could be mapped.
    workers
        Number of processes; None for one a core.

    Raises
    ------
    MapReduceError
        Any of its kinds, as `mapreduce.run`: where no record was kept, too, or a process dies.
    """
    options = options or Options()
    store = open_store(source, endpoint=options.endpoint, region=options.region)
    count = checked_workers(workers)
    pieces = _Pieces(store, options)
    ledger = Ledger(dropped={}, quarantined=[], samples=[], refused_keys={})
    began = told = time.monotonic()
    for piece, found, left in _mapped(job, store, pieces, count, options.limits):
        if left is not None:
            take(piece.key, left)
        absorb(ledger, found)
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            on_progress(Progress("map", ledger.ok, pieces.total, "objects"))
    if pieces.listed + pieces.ignored == 0:
        raise nothing_in(store, options.selection)
    check_any_record(ledger)
    done = ledger.ok + len(ledger.quarantined)
    on_progress(Progress("map", done, done, "objects"))
    seconds = round(time.monotonic() - began, 3)
    receipt = {
        "objects": counted_objects(ledger, listed=pieces.listed, ignored=pieces.ignored),
        "records": records_of(ledger),
        "selection": selection_of(options.selection),
        "times_s": {"map": seconds, "total": seconds},
        "work": {},
    }
    return Account(receipt, ledger)


class _Pieces:
    """The objects of a source, each a piece."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._selection = options.selection
        self.listed = self.ignored = 0
        self.total: int | None = None

    def __iter__(self) -> Iterator[Piece]:
        prefix = prefix_of(self._store)
        for entry in self._selection.take(objects_of(self._store), prefix):
            if ignored(entry.key, prefix):
                self.ignored += 1
                continue
            yield Piece(self.listed, entry.key, entry.size_bytes, entry.etag)
            self.listed += 1
        self.total = self.listed


def _mapped(
    job: Job, store: Store, pieces: _Pieces, workers: int, limits: Limits
) -> Iterator[tuple[Piece, Ledger, Any]]:
    """Give each piece's account and what was left of it, in order, some being read ahead."""
    waiting: deque[tuple[Piece, Future[tuple[Ledger, Any]] | Ledger]] = deque()
    context = multiprocessing.get_context("spawn")
    settled = (name_of(job), limits)
    last: Piece | None = None
    with ProcessPoolExecutor(workers, context, _settle, settled) as pool:
        try:
            for last in pieces:
                waiting.append((last, _asked(pool, store, last)))
                if len(waiting) >= workers * AHEAD:
                    yield _answer(*waiting[0])
                    waiting.popleft()
            while waiting:
                yield _answer(*waiting[0])
                waiting.popleft()
        except BrokenProcessPool:
            at = waiting[0][0] if waiting else last
            raise MapReduceError(
                f"a worker process died at {at and at.key!r} or one of the objects behind it"
                " (perhaps memory was low): use fewer --workers, or leave the object out by"
                " --exclude"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _asked(
    pool: ProcessPoolExecutor, store: Store, piece: Piece
) -> Future[tuple[Ledger, Any]] | Ledger:
    try:
        location = located(store, entry_of(piece))
    except ObjectError as error:
        bad = Quarantined(piece.ordinal, piece.key, piece.etag, error.reason, error.place)
        return Ledger(quarantined=[bad])
    return pool.submit(_attempt, piece, location)


def _answer(piece: Piece, answer: Future[tuple[Ledger, Any]] | Ledger) -> tuple[Piece, Ledger, Any]:
    if isinstance(answer, Ledger):
        return piece, answer, None
    return (piece, *answer.result())


_here: list[tuple[Job, AttemptRunner]] = []  # of a spawned process


def _settle(name: JobName, limits: Limits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the parent, which ends us
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    with loading(name.reference):  # no run may begin
        job = name.load()
    _here[:] = [(job, AttemptRunner(job, Reader(), limits))]


def _end_with_parent() -> None:
    """End as soon as the parent has, however that was: nobody else would tell this process."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this process was spawned
    parent.join()
    os._exit(1)


def _attempt(piece: Piece, location: Location) -> tuple[Ledger, Any]:
    job, runner = _here[0]
    leaving: Leaving = job  # type: ignore[assignment] # what `collect` asks of a job
    _, ledger = runner.run([piece], [location])
    left = leaving.taken()  # of a bad object too, or the next would be given it
    return ledger, left if ledger.ok else None
