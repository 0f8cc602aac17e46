"""The local engine: a spawned process a slot, a thread to talk with each.

A process that dies costs a retry in a fresh one, which tells of each object before it decodes it;
if it dies too, the object it died at is tried alone, twice, and quarantined as `crashed` if it dies
there. One that dies before it is ready is started again, thrice in a row at most. Faults of the job
or of the store end the run at once. No slot outlives the run: each ends when its pipe closes.
"""

from __future__ import annotations

import os
import queue
import resource
import threading
import time
from typing import TYPE_CHECKING, Final

from mapreduce import packed, partial
from mapreduce.attempt import MapError
from mapreduce.engines import (
    PULSE_S,
    STILL,
    Advance,
    Assignment,
    Event,
    Manning,
    Outcome,
    located,
)
from mapreduce.errors import ExpiredError, JobError, MapReduceError, StoreError, UsageError
from mapreduce.interpreter import import_path
from mapreduce.ledger import Cost, Ledger, Quarantined, merged
from mapreduce.memory import total_bytes
from mapreduce.objects import Awaited
from mapreduce.slot import Begin, Done, Failed, Reached, Work
from mapreduce.slot_process import START_PAUSE_S, STARTS, SlotProcess, StartError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from mapreduce.plan import Piece, Split

JOIN_S: Final = 1.0
LEAST_MEMORY_BYTES: Final = 256 << 20  # numpy and the stacks of its threads alone take half
WORKER_BYTES: Final = 64 << 20  # of a process that waits for work
WORKER_FILES: Final = 4  # pipes here to each
OTHER_FILES: Final = 64
SIGNATURES: Final = 3  # times to sign anew before an expired URL is the store's fault
FAULTS: Final = {"map": MapError, "job": JobError, "store": StoreError}


def default_workers() -> int:
    """As many slots as cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked_workers(workers: int | None) -> int:
    """Give how many processes there are to be here; None for one a core.

    Raises
    ------
    UsageError
        Where there cannot be so many.
    """
    if workers is None:
        return default_workers()
    if workers < 1:
        raise UsageError(f"--workers is at least 1, got {workers}")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = min(total_bytes() // WORKER_BYTES, (files - OTHER_FILES) // WORKER_FILES)
    most = max(default_workers(), room)
    if workers > most:
        raise UsageError(
            f"--workers {workers:,} is more than this machine has room for: it has"
            f" {default_workers()} cores, {total_bytes() / 1e9:,.1f} GB of memory (a process takes"
            f" {WORKER_BYTES >> 20} MiB before it reads anything) and {files:,} open files a"
            f" process; name at most {most:,}, or leave --workers out for one a core"
        )
    return workers


def checked_memory(memory_bytes: int) -> int:
    """Give the memory a slot may use; 0 for no limit of ours.

    Raises
    ------
    UsageError
        Where it could not even start with that.
    """
    if memory_bytes and memory_bytes < LEAST_MEMORY_BYTES:
        raise UsageError(
            f"--worker-memory is 0 (no limit) or at least {LEAST_MEMORY_BYTES >> 20} MiB, got"
            f" {memory_bytes / 2**20:g}"
        )
    return memory_bytes


class Local:
    """Runs attempts in processes on this machine.

    Parameters
    ----------
    workers
        Number of processes; None for one a core.
    memory_bytes
        Memory each may have; 0 for no limit.

    Attributes
    ----------
    manning
        Slots and their time, of the last run.
    """

    name = "local"

    def __init__(self, workers: int | None = None, memory_bytes: int = 0) -> None:
        self.workers = checked_workers(workers)
        self.memory_bytes = checked_memory(memory_bytes)
        self.manning: Manning | None = None

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        """Run every split once, giving outcomes and advances as they come.

        Raises
        ------
        JobError, StoreError, MapReduceError
            What ended the run; processes are gone by then.
        """
        desk = _Desk(splits)
        slots = [_Slot(assignment, desk, self.memory_bytes) for _ in range(self.workers)]
        for slot in slots:
            slot.thread.start()
        try:
            running = len(slots)
            while running:
                try:
                    said = desk.said.get(timeout=PULSE_S)
                except queue.Empty:
                    said = STILL
                if said is None:
                    running -= 1
                elif isinstance(said, BaseException):
                    raise said
                else:
                    yield said
        finally:
            desk.stopped.set()
            self.manning = Manning(len(slots), sum(slot.ready_s for slot in slots))
            for slot in slots:
                slot.stop()
            until = time.monotonic() + JOIN_S
            for slot in slots:
                slot.thread.join(max(0.0, until - time.monotonic()))
            for slot in slots:  # a thread may still be waiting for the listing; its process is not
                slot.end()


class _Desk:
    """Where slots' threads take splits and put down what came of them."""

    def __init__(self, splits: Iterator[Split]) -> None:
        self.said: queue.Queue[Event | BaseException | None] = queue.Queue()
        self.stopped = threading.Event()
        self._splits = splits
        self._lock = threading.Lock()
        self._awaited: dict[int, Awaited] = {}

    def awaits(self, slot: int, awaited: Awaited) -> None:
        """Tell which node has been silent longest, of those that slots wait for."""
        with self._lock:
            before, self._awaited[slot] = self._awaited.get(slot), awaited
            if awaited.node or (before is not None and before.node):
                self.said.put(max(self._awaited.values(), key=lambda a: a.seconds))

    def take(self) -> Split | None:
        with self._lock:
            return None if self.stopped.is_set() else next(self._splits, None)


class _DeathError(MapReduceError):
    """The slot's process ended without an answer: how, and with what peak memory."""


class _Slot:
    """A thread and the process it feeds; the process is replaced when it dies."""

    def __init__(self, assignment: Assignment, desk: _Desk, memory_bytes: int) -> None:
        self.thread = threading.Thread(target=self._work, daemon=True, name="slot")
        self._assignment = assignment
        self._desk = desk
        begin = Begin(assignment.job, assignment.limits, import_path(), memory_bytes)
        self._process = SlotProcess(begin)
        self._reached: int | None = None  # ordinal of the object last told of

    @property
    def ready_s(self) -> float:
        """For how long it could work by now, in seconds."""
        at = self._process.ready_at
        return 0.0 if at is None else time.monotonic() - at

    def stop(self) -> None:
        """End the process at once; its thread then sees the end of its pipe."""
        self._process.stop()

    def end(self) -> None:
        """See the process out."""
        self._process.end()

    def _work(self) -> None:
        try:
            while (split := self._desk.take()) is not None:
                done = self._survivors(split.number, split.pieces, tries=2)
                self._desk.said.put(self._outcome(split.number, done))
        except BaseException as error:  # noqa: BLE001 - raised again where the run waits
            if not self._desk.stopped.is_set():
                self._desk.said.put(error)
        finally:
            self.end()
            self._desk.said.put(None)

    def _survivors(self, number: int, pieces: Sequence[Piece], tries: int) -> list[Done]:
        """Run the pieces; where processes die, part them at the object they died at."""
        if not pieces:
            return []
        tries = 2 if len(pieces) == 1 else tries
        for left in reversed(range(tries)):
            try:
                return [self._attempt(number, pieces, careful=left == 0)]
            except _DeathError as death:
                if self._desk.stopped.is_set():
                    raise
                last = str(death)
        if len(pieces) == 1:
            return [self._crashed(number, pieces[0], last)]
        at = [p.ordinal for p in pieces].index(self._reached) if self._reached is not None else 0
        parts = (pieces[:at], pieces[at : at + 1], pieces[at + 1 :])
        return [done for part in parts for done in self._survivors(number, part, tries=1)]

    def _outcome(self, number: int, done: Sequence[Done]) -> Outcome:
        cost = sum((d.cost for d in done), Cost())
        if len(done) == 1:
            return Outcome((number,), done[0].partial, done[0].ledger, cost)
        whole = partial.merge([packed.unpack(d.partial, self._process.schemas) for d in done])
        return Outcome((number,), packed.pack(whole), merged(d.ledger for d in done), cost)

    def _crashed(self, number: int, piece: Piece, how: str) -> Done:
        nothing = packed.pack(partial.empty(self._process.schemas))
        bad = Quarantined(piece.ordinal, piece.key, piece.etag, "crashed", how)
        return Done(number, nothing, merged((Ledger(quarantined=[bad]),)), Cost())

    def _attempt(self, number: int, pieces: Sequence[Piece], *, careful: bool) -> Done:
        message = ""
        for _ in range(SIGNATURES):
            found, locations, set_aside = located(pieces, self._assignment.locate)
            work = Work(number, tuple(found), tuple(locations), careful)
            answer = self._answer(work, pieces)
            if isinstance(answer, Done):
                answer.ledger.quarantined += set_aside
                return answer
            message = answer.message
            if answer.kind != "expired":
                raise FAULTS.get(answer.kind, MapReduceError)(message)
        raise ExpiredError(message)

    def _answer(self, work: Work, pieces: Sequence[Piece]) -> Done | Failed:
        objects = read_bytes = 0
        self._reached = None

        def on_reached(told: Reached) -> None:
            nonlocal objects, read_bytes
            self._say(told.objects - objects, told.read_bytes - read_bytes)
            objects, read_bytes = told.objects, told.read_bytes

        try:
            self._start()
            answer = self._process.run(work, on_reached, lambda a: self._desk.awaits(id(self), a))
        finally:
            self._desk.awaits(id(self), Awaited())
        if isinstance(answer, Done):
            total = sum(p.read_bytes for p in pieces)
            self._say(len(pieces) - objects, total - read_bytes)
            return answer
        self._say(-objects, -read_bytes)
        if isinstance(answer, Failed):
            return answer
        self._reached = answer.ordinal
        raise _DeathError(str(answer))

    def _start(self) -> None:
        """Have a process that is ready; what ends one before that is not the work's fault."""
        for left in reversed(range(STARTS)):
            try:
                self._process.start()
            except StartError as error:
                if not left:
                    raise StartError(f"{error}; {STARTS} in a row did") from None
                if self._desk.stopped.wait(START_PAUSE_S):
                    raise
            else:
                return

    def _say(self, objects: int, read_bytes: int) -> None:
        if objects or read_bytes:
            self._desk.said.put(Advance(objects, read_bytes))
