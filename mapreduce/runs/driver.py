"""One run: list, map, merge, finish, with an account of everything.

`run` is what the command lines and library users call. The listing streams into the engine, each
outcome is committed to the journal before it is merged, and an interrupted run goes on where it
stopped when it is called again with the same folder. It decides nothing about roads or files.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from mapreduce.attempts.prefetch import entry_of
from mapreduce.engine import Advance, Assignment, CheckedOutcome, Manned, Outcome, Sited, Sites
from mapreduce.engines.registry import engine_named
from mapreduce.errors import UsageError
from mapreduce.job.job import Job, finished
from mapreduce.job.loader import refuse_while_loading
from mapreduce.job.name import job_code, name_of
from mapreduce.ledger import merged
from mapreduce.objects import Awaited, Spread
from mapreduce.objects.directory import Directory, check_apart
from mapreduce.objects.listing import base_of, nothing_in
from mapreduce.objects.members import located
from mapreduce.objects.memory import Memory
from mapreduce.objects.source import open_store
from mapreduce.plan import Cover, Planner
from mapreduce.runs.aggregator import Aggregator, HopelessError, check_any_record
from mapreduce.runs.fingerprint import identity_of
from mapreduce.runs.folder import folder_named
from mapreduce.runs.folder_lock import made
from mapreduce.runs.journal import Journal, Listing
from mapreduce.runs.kept import Kept, hold, kept_in
from mapreduce.runs.lister import Lister, is_divisible
from mapreduce.runs.object_list import Coverage
from mapreduce.runs.progress import OnProgress, Progress
from mapreduce.runs.receipt import (
    Phases,
    objects_of,
    records_of,
    rounded,
    selection_of,
    versions,
    work_of,
)
from mapreduce.runs.result import Options, Result
from mapreduce.runs.retry import Retry
from mapreduce.runs.sums import OBJECTS, planned, retried, small_files
from mapreduce.tables import encoding

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from mapreduce.engine import Engine, Manning, Packed
    from mapreduce.ledger import Cost, Ledger
    from mapreduce.objects import Store
    from mapreduce.plan import Piece, Split
    from mapreduce.runs.progress import OnBegun
    from mapreduce.tables.partial import Partial

Source: TypeAlias = "str | os.PathLike[str] | Store"


__all__ = ["Options", "Result", "Source", "run"]


def run(
    job: Job,
    source: Source,
    *,
    engine: str | Engine = "local",
    workers: int | None = None,
    folder: Path | str | None = None,
    options: Options | None = None,
    on_begun: OnBegun = lambda _: None,
    on_progress: OnProgress = lambda _: None,
    keep_journal: bool = False,
    anew: bool = False,
    retry: bool = False,
) -> Result:
    """Run a job over all objects of a source.

    Parameters
    ----------
    job
        An instance of a class at the top level of a file.
    source
        A folder, `s3://bucket/prefix`, or a store.
    engine
        `"local"`, `"dask"`, `"spark"`, or an engine.
    workers
        Processes on this machine; None for one a core. Not beside an engine, which has its own.
    folder
        Where the journal is kept, so that the run can resume; None for a run that need not.
    options
        Selection, caps, split size, endpoint.
    on_begun
        Called once the folder is this run's, before anything is read; with what an interrupted run
        had done there, or None.
    on_progress
        Called a few times a second.
    keep_journal
        Leave the journal in `folder`, for a caller with more to do that may fail, such as writing
        files: `mapreduce.runs.report.published` removes it then. All of it within
        `mapreduce.runs.folder_lock.holding` keeps others out of the folder in between.
    anew
        Read everything again, whatever an earlier run has committed in `folder`; a damaged journal
        there is removed.
    retry
        Try only the objects that the finished run in `folder` has quarantined.

    Raises
    ------
    UsageError, JobError, StoreError
        See their texts: what to type, what to mend, what to wait for.
    """
    if not isinstance(job, Job):
        what = f"{job.__name__}()" if isinstance(job, type) else "MyJob()"
        raise UsageError(f"run takes an instance of a job, {what}, got {job!r}")
    refuse_while_loading()
    told = options or Options()
    return _Run(
        job,
        source,
        engine,
        workers,
        folder,
        told,
        on_progress,
        keep_journal=keep_journal,
        anew=anew,
        retry=retry,
    ).result(on_begun)


class _Run:
    """State of one run; its steps in the order they are called."""

    def __init__(
        self,
        job: Job,
        source: Source,
        engine: str | Engine,
        workers: int | None,
        folder: Path | str | None,
        options: Options,
        on_progress: OnProgress,
        *,
        keep_journal: bool,
        anew: bool,
        retry: bool,
    ) -> None:
        self.keep_journal = keep_journal
        self.job = job
        code = job_code(job)
        self.name = name_of(job, code)
        self.options = options
        self.tell = on_progress
        self.engine = _engine(engine, workers)
        sites = self.engine.sites if isinstance(self.engine, Sited) else Sites()
        self.store = open_store(
            source,
            endpoint=options.endpoint,
            region=options.region or sites.region,
            endpoints=sites.endpoints,
        )
        self.schemas = job.schemas()
        planner = Planner(split_bytes=options.split_bytes, divisible=is_divisible(job))
        folder = None if folder is None else folder_named(folder, "the run's folder")
        self.folder = folder
        if folder is not None:
            check_apart(folder, self.store)
            made(folder)
        self.identity = identity_of(self.name, code.meanings, self.store.name, options)
        self.retry = _retry(folder, self.identity, anew=anew) if retry else None
        kept = None if self.retry is None else self.retry.kept
        identity = self.identity if kept is None else kept.retry_identity
        self.journal = Journal(folder, identity, anew=anew)
        if folder is not None and kept is not None:
            hold(folder, kept)
        self.before = self.journal.last_commit()  # of an earlier run that was interrupted
        self.resumed = self.journal.resumed()
        self.lister = Lister(self.journal, self.store, self.retry or options.selection, planner)
        self.gather = Aggregator(self.schemas, options.limits.max_keys)
        self.started = time.monotonic()
        self.phases = Phases()
        self.mapped_bytes = 0
        self.bytes_since = 0  # of splits that are not of an earlier run
        self.mapped_objects = 0
        self.awaited = Awaited()

    def result(self, on_begun: OnBegun) -> Result:
        """Run it."""
        try:
            on_begun(self.resumed)
            if self.retry is not None:
                self.retry.begin(self.gather, self.schemas)
            listed = self.journal.listing is not None
            if listed:
                self._take_commits(self.before)
            self.lister.start()
            self._map()
            if not listed:  # only now is it known which splits are still the same
                self._take_commits(self.before)
            self._book_gone()
            if self.keep_journal:  # files are to be written, perhaps over those of a better run
                check_any_record(self.gather.ledger)
            listing = self._listing()
            merging = time.monotonic()
            sums = self.gather.result()
            self._check_cover(listing)
            digest = encoding.digest(sums)
            tables = finished(self.job, sums)
            self.phases.merge = time.monotonic() - merging
            receipt = self._receipt(digest, listing)
            kept = self._kept(sums, listing)
            covers = self._coverage(listing)
            result = Result(tables, digest, receipt, sums, self.gather.ledger, kept, covers)
            if not self.keep_journal:
                self.journal.discard()
        except HopelessError:
            self.journal.discard()  # the corrected command begins anew, in the same folder
            raise
        except UsageError:
            if not self.before:  # what an earlier run has done is never thrown away
                self.journal.discard()  # as above
            raise
        finally:
            self.lister.stop()
            self.journal.close()
        return result

    def _take_commits(self, last: int) -> None:
        """Take what an earlier, interrupted run of this folder has committed, up to `last`."""
        if not last:
            return
        for numbers, raw, ledger, cost in self.journal.commits(last):
            self._accept([self.journal.split(n) for n in numbers], raw, ledger, cost)

    def _map(self) -> None:
        started = time.monotonic()
        store, told = self.store, self.options
        spread = store if isinstance(store, Spread) and told.endpoint is None else None
        asks = not isinstance(store, Directory | Memory)
        assignment = Assignment(self.name, told.limits, self._locate, self.schemas, spread, asks)
        splits: dict[int, Split] = {}

        def remembered() -> Iterator[Split]:
            for split in self.journal.waiting():
                splits[split.number] = split
                yield split

        with contextlib.closing(self.engine.events(assignment, remembered())) as events:
            for event in events:
                match event:
                    case Advance(objects=objects, read_bytes=read_bytes):
                        self.mapped_objects += objects
                        self.mapped_bytes += read_bytes
                    case Awaited():
                        self.awaited = event
                    case Outcome(splits=numbers, partial=raw, ledger=ledger, cost=cost):
                        self.journal.commit(numbers, raw, ledger, cost)
                        done = [splits.pop(n) for n in numbers]
                        came = event.unpacked if isinstance(event, CheckedOutcome) else raw
                        self._gather(done, came, ledger, cost)
                        self.bytes_since += sum(s.read_bytes for s in done)
                self._tell()
        self.phases.map = time.monotonic() - started

    def _accept(
        self, splits: list[Split], raw: bytes | bytearray, ledger: Ledger, cost: Cost
    ) -> None:
        self._gather(splits, raw, ledger, cost)
        self.mapped_bytes += sum(s.read_bytes for s in splits)
        self.mapped_objects += sum(len(s.pieces) for s in splits)

    def _gather(
        self, splits: list[Split], came: Packed | Partial, ledger: Ledger, cost: Cost
    ) -> None:
        ledger = ledger if self.retry is None else self.retry.numbered(ledger)
        self.gather.add(splits, came, ledger, cost)

    def _book_gone(self) -> None:
        """Set aside what was to be tried again and is not listed any more."""
        if self.retry is not None:
            keys = (piece.key for split in self.journal.splits() for piece in split.pieces)
            self.gather.ledger = merged((self.gather.ledger, self.retry.gone(keys)))

    def _locate(self, piece: Piece) -> Any:
        return located(self.store, entry_of(piece))

    def _tell(self) -> None:
        complete = self.journal.listing is not None
        listed = self.lister.objects
        self.gather.listed_objects = listed if complete else None
        silence = "" if complete else str(self.lister.awaited or "")
        self.tell(Progress("list", listed, listed if complete else None, "objects", silence))
        total = self.lister.object_bytes if complete else None
        mapped = min(self.mapped_objects, listed)  # parts of a divided object are told one by one
        note = f"{mapped:,} of {listed:,}{'' if complete else '+'} objects"
        if self.awaited.node:
            note = f"{note}; {self.awaited}"
        done = self.mapped_bytes if total is None else min(total, self.mapped_bytes)
        self.tell(Progress("map", done, total, "bytes", note))

    def _listing(self) -> Listing:
        """Give what was listed; there is nothing to merge or finish where that is nothing."""
        listing = self.journal.listing or Listing()
        if self.retry is None and listing.objects + listing.ignored == 0:
            raise nothing_in(self.store, self.options.selection)
        return listing

    def _check_cover(self, listing: Listing) -> None:
        cover = Cover()
        for split in self.journal.splits():
            cover.add(split)
        cover.close(listing.objects)

    def _kept(self, sums: Partial, listing: Listing) -> Kept | None:
        """Give what it takes to try again what is quarantined."""
        ledger = self.gather.ledger
        if not ledger.quarantined:
            return None
        raw = encoding.pack(sums, compress=True)
        listed, ignored = self._counts(listing)
        return Kept(self.journal.run, self.identity, listed, ignored, ledger, raw)

    def _coverage(self, listing: Listing) -> Coverage | None:
        """Give what the sums are of, as far as the journal, which is kept for that, knows it."""
        folder, ledger, base = self.folder, self.gather.ledger, base_of(self.store)
        if folder is None or not self.keep_journal:
            return None
        listed, ignored = self._counts(listing)
        if self.retry is None:
            objects = partial(planned, folder, base, ledger)
        elif (folder / OBJECTS).exists():
            tried = [bad.key for bad in self.retry.kept.ledger.quarantined]
            objects = partial(retried, folder, base, ledger, tried)
        else:
            return None
        files = small_files(self.name.files)
        return Coverage(self.identity, base, listed, ignored, objects, files)

    def _counts(self, listing: Listing) -> tuple[int, int]:
        """Give how many objects are to be accounted for, and how many were ignored."""
        if self.retry is None:
            return listing.objects, listing.ignored
        return self.retry.kept.listed, self.retry.kept.ignored

    def _manning(self) -> Manning | None:
        return self.engine.manning if isinstance(self.engine, Manned) else None

    def _receipt(self, digest: str, listing: Listing) -> dict[str, Any]:
        ledger, cost = self.gather.ledger, self.gather.cost
        self.phases.list = listing.seconds
        self.phases.total = time.monotonic() - self.started
        whole, retry = self.options.selection.whole, self.retry
        listed, ignored = self._counts(listing)
        return {
            "run": self.journal.run,
            "job": self.name.shown,
            "parameters": self.name.parameters,
            "source": self.store.name,
            "engine": self.engine.name,
            "digest": digest,
            "complete": whole,
            "selection": selection_of(self.options.selection),
            "allow_nan": self.options.limits.allow_nan,
            "objects": objects_of(ledger, listed=listed, ignored=ignored),
            "records": records_of(ledger),
            "times_s": rounded(self.phases),
            "resumed": None if self.resumed is None else self.resumed.noted(self.bytes_since),
            "retried": None if retry is None else retry.noted(ledger, self.bytes_since),
            "work": work_of(cost, self._manning(), whole=not self.before),
            "versions": versions(),
        }


def _retry(folder: Path | None, identity: str, *, anew: bool) -> Retry:
    if folder is None:
        raise UsageError("retry needs the folder of a finished run")
    return Retry(kept_in(folder, anew=anew), identity)


def _engine(engine: str | Engine, workers: int | None) -> Engine:
    if not isinstance(engine, str):
        if workers is not None:
            raise UsageError(
                f"workers={workers} with an engine that has its own workers: leave it out"
            )
        return engine
    return engine_named(engine, workers)
