"""One run: list, map, merge, finish, with an account of everything.

`run` is what the command lines and library users call. The listing streams into the engine, each
outcome is committed to the journal before it is merged, and an interrupted run goes on where it
stopped when it is called again with the same folder. It decides nothing about roads or files.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from mapreduce import packed
from mapreduce.attempt import Limits
from mapreduce.claim import made
from mapreduce.engines import Advance, Assignment, Manned, Outcome, Sited, Sites
from mapreduce.engines.named import engine_named
from mapreduce.errors import UsageError
from mapreduce.fetch import entry_of
from mapreduce.gather import Gather, HopelessError
from mapreduce.identity import identity_of
from mapreduce.job import Job, finished
from mapreduce.job_loader import refuse_while_loading
from mapreduce.job_name import job_code, name_of
from mapreduce.journal import Journal, Listing
from mapreduce.listing import Lister, is_divisible
from mapreduce.objects import Awaited, Spread
from mapreduce.objects.directory import Directory, check_apart
from mapreduce.objects.memory import Memory
from mapreduce.objects.selection import Selection
from mapreduce.objects.source import open_store
from mapreduce.place import folder_named
from mapreduce.plan import Cover, Planner
from mapreduce.progress import OnProgress, Progress
from mapreduce.receipt import (
    Phases,
    objects_of,
    records_of,
    rounded,
    selection_of,
    versions,
    work_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from mapreduce.engines import Engine, Manning
    from mapreduce.ledger import Cost, Ledger
    from mapreduce.objects import Store
    from mapreduce.partial import Partial
    from mapreduce.plan import Piece, Split
    from mapreduce.resumed import OnBegun
    from mapreduce.table import Array

Source: TypeAlias = "str | os.PathLike[str] | Store"


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may be told, beside job and source.

    `split_bytes` and `limits` change speed and what is refused, never a sum; `selection` says
    which objects are taken.
    """

    selection: Selection = field(default_factory=Selection)
    limits: Limits = field(default_factory=Limits)
    split_bytes: int | None = None
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave.

    Attributes
    ----------
    tables
        What `finish` gave: table name -> column name -> array.
    digest
        SHA-256 of the merged partial: equal for equal input under any engine, split and order.
    receipt
        The account, as `receipt.json` has it.
    partial
        The merged sums.
    ledger
        Quarantined objects and samples of dropped records.
    """

    tables: dict[str, dict[str, Array]]
    digest: str
    receipt: dict[str, Any]
    partial: Partial
    ledger: Ledger

    @property
    def rows(self) -> dict[str, Array]:
        """The columns of the job's only table, or of its first."""
        return next(iter(self.tables.values()))


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
        files: `mapreduce.accounts.published` removes it then. All of it within
        `mapreduce.claim.holding` keeps others out of the folder in between.
    anew
        Read everything again, whatever an earlier run has committed in `folder`; a damaged journal
        there is removed.

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
        if folder is not None:
            check_apart(folder, self.store)
            made(folder)
        identity = identity_of(self.name, code.meanings, self.store.name, options)
        self.journal = Journal(folder, identity, anew=anew)
        self.before = self.journal.last_commit()  # of an earlier run that was interrupted
        self.resumed = self.journal.resumed()
        self.lister = Lister(self.journal, self.store, options.selection, planner)
        self.gather = Gather(self.schemas, options.limits.max_keys)
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
            listed = self.journal.listing is not None
            if listed:
                self._take_commits(self.before)
            self.lister.start()
            self._map()
            if not listed:  # only now is it known which splits are still the same
                self._take_commits(self.before)
            if self.keep_journal:  # files are to be written, perhaps over those of a better run
                self.gather.check_any_record()
            listing = self._listing()
            merging = time.monotonic()
            partial = self.gather.result()
            self._check_cover(listing)
            digest = packed.digest(partial)
            tables = finished(self.job, partial)
            self.phases.merge = time.monotonic() - merging
            receipt = self._receipt(digest, listing)
            result = Result(tables, digest, receipt, partial, self.gather.ledger)
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
                        self.gather.add(done, raw, ledger, cost)
                        self.bytes_since += sum(s.read_bytes for s in done)
                self._tell()
        self.phases.map = time.monotonic() - started

    def _accept(
        self, splits: list[Split], raw: bytes | bytearray, ledger: Ledger, cost: Cost
    ) -> None:
        self.gather.add(splits, raw, ledger, cost)
        self.mapped_bytes += sum(s.read_bytes for s in splits)
        self.mapped_objects += sum(len(s.pieces) for s in splits)

    def _locate(self, piece: Piece) -> Any:
        return self.store.locate(entry_of(piece))

    def _tell(self) -> None:
        complete = self.journal.listing is not None
        listed = self.lister.objects
        self.gather.listed_objects = listed if complete else None
        silence = "" if complete else str(self.lister.awaited or "")
        self.tell(Progress("list", listed, listed if complete else None, "objects", silence))
        total = self.lister.object_bytes if complete else None
        note = f"{self.mapped_objects:,} of {listed:,}{'' if complete else '+'} objects"
        if self.awaited.node:
            note = f"{note}; {self.awaited}"
        self.tell(Progress("map", self.mapped_bytes, total, "bytes", note))

    def _listing(self) -> Listing:
        """Give what was listed; there is nothing to merge or finish where that is nothing."""
        listing = self.journal.listing or Listing()
        if listing.objects + listing.ignored == 0:
            raise UsageError(
                f"{self.store.name} holds no object"
                + ("" if self.options.selection.whole else " that the selection wants")
                + ": is the folder or prefix right?"
            )
        return listing

    def _check_cover(self, listing: Listing) -> None:
        cover = Cover()
        for split in self.journal.splits():
            cover.add(split)
        cover.close(listing.objects)

    def _manning(self) -> Manning | None:
        return self.engine.manning if isinstance(self.engine, Manned) else None

    def _receipt(self, digest: str, listing: Listing) -> dict[str, Any]:
        ledger, cost = self.gather.ledger, self.gather.cost
        self.phases.list = listing.seconds
        self.phases.total = time.monotonic() - self.started
        whole = self.options.selection.whole
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
            "objects": objects_of(ledger, listed=listing.objects, ignored=listing.ignored),
            "records": records_of(ledger),
            "times_s": rounded(self.phases),
            "resumed": None if self.resumed is None else self.resumed.noted(self.bytes_since),
            "work": work_of(cost, None if self.before else self._manning()),
            "versions": versions(),
        }


def _engine(engine: str | Engine, workers: int | None) -> Engine:
    if not isinstance(engine, str):
        if workers is not None:
            raise UsageError(f"workers={workers} beside an engine that has its own: leave it out")
        return engine
    return engine_named(engine, workers)
