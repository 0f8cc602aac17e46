"""The local engine: a spawned process a slot, a thread to talk with each.

What a slot does with its splits, and with what kills its process, is in `local_slot`. Faults of the
job or of the store end the run at once. No slot outlives the run: each ends when its pipe closes.
"""

from __future__ import annotations

import queue
import resource
import time
from typing import TYPE_CHECKING, Final

from mapreduce.engine import PULSE_S, STILL, Assignment, Event, Manning
from mapreduce.engines.local_slot import Slot
from mapreduce.engines.local_tasks import LocalTasks
from mapreduce.errors import UsageError
from mapreduce.machine import default_workers, total_bytes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from mapreduce.plan import Split

JOIN_S: Final = 1.0
LEAST_MEMORY_BYTES: Final = 256 << 20  # numpy and the stacks of its threads alone take half
WORKER_BYTES: Final = 64 << 20  # of a process that waits for work
WORKER_FILES: Final = 4  # pipes here to each
OTHER_FILES: Final = 64


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
            f"--workers {workers:,} is more than this machine can run: it has"
            f" {default_workers()} cores, {total_bytes() / 1e9:,.1f} GB of memory (a process needs"
            f" {WORKER_BYTES >> 20} MiB at its start) and {files:,} open files per process; use"
            f" at most {most:,}, or leave out --workers to use one per core"
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
        desk = LocalTasks(splits)
        slots = [Slot(assignment, desk, self.memory_bytes) for _ in range(self.workers)]
        for slot in slots:
            slot.thread.start()
        try:
            running, looked = len(slots), time.monotonic()
            while running:
                try:
                    said = desk.said.get(timeout=PULSE_S)
                except queue.Empty:
                    said = STILL
                looked = _looked_after(slots, looked)
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


def _looked_after(slots: Sequence[Slot], looked: float) -> float:
    """Look after processes once a pulse; give when that was done last."""
    now = time.monotonic()
    if now - looked < PULSE_S:
        return looked
    for slot in slots:
        slot.look_after()
    return now
