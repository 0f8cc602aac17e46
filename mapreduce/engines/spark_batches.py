"""A run on Spark as a few batches at a time, each one job: attempts, then `treeReduce`.

A batch is what was listed while those before it ran, so that listing streams into dispatch and
what is done can be committed. Executors note each split as it is done, in an accumulator: for
progress, and so that a fault of the job or store ends the run at once. A batch that Spark gives up
because workers die is run again apart, where the local engine finds the object.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pyspark import AccumulatorParam

from mapreduce.engine import Advance
from mapreduce.engines.foreign_driver import NO_MODULE, Ended, Feed, explained
from mapreduce.engines.foreign_task import Fault, decode_answer, encode, merge, run
from mapreduce.errors import MapReduceError
from mapreduce.plan import Split

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pyspark import Accumulator, SparkContext

    from mapreduce.engine import Event
    from mapreduce.engines.foreign_driver import PendingWork

BATCHES: Final = 2  # at once: one fills the cores that the last tasks of another leave idle
MOST_SPLITS: Final = 512  # in a batch
SPLITS_A_CORE: Final = 32  # in a batch
TASKS_A_CORE: Final = 2  # in a batch: each costs Spark some 80 ms, whatever it does
FLAT: Final = 16  # most tasks whose answers the driver merges by itself; a tree takes more tasks
DEPTH: Final = 2  # of the tree
LOOK_S: Final = 0.2  # how long to wait for more splits before those that wait are sent
EXECUTORS_S: Final = 60.0  # how long there may be no executor at all


class Note(msgspec.Struct, frozen=True, array_like=True):
    """A split is done, or came to nothing."""

    batch: int
    number: int
    fault: Fault | None = None


class Notes(AccumulatorParam[list[bytes]]):
    """Notes of all executors, in one list."""

    def zero(self, value: list[bytes]) -> list[bytes]:
        """Begin with none."""
        del value
        return []

    def addInPlace(self, value1: list[bytes], value2: list[bytes]) -> list[bytes]:  # noqa: N802 - Spark's name
        """Add some."""
        value1 += value2
        return value1


def noted(order: bytes, notes: Accumulator[list[bytes]], batch: int, work: bytes) -> bytes:
    """Run the attempt, on an executor, and note it."""
    raw = run(order, work)
    answer = decode_answer(raw)
    done = answer.parts if answer.whole is None else (answer.whole,)
    told = [Note(batch, n) for outcome in done for n in outcome.splits]
    told += [Note(batch, fault.number, fault) for fault in answer.faults]
    notes.add([encode(note) for note in told])
    return raw


@dataclass(frozen=True, slots=True)
class _Batch:
    """Splits that are one job of Spark's."""

    id: int
    splits: tuple[Split, ...]
    apart: bool


@dataclass(frozen=True, slots=True)
class _Landed:
    """What came of a batch: an answer, or how Spark gave it up."""

    batch: _Batch
    answer: bytes | BaseException


class Batches:
    """One run's jobs.

    Parameters
    ----------
    context
        Running, with our sources on its executors.
    desk
        Makes work of splits.
    splits
        The splits, as they are listed.
    """

    def __init__(self, context: SparkContext, desk: PendingWork, splits: Iterator[Split]) -> None:
        self._context = context
        self._desk = desk
        self._said: queue.Queue[Any] = queue.Queue()
        self._most = min(MOST_SPLITS, SPLITS_A_CORE * context.defaultParallelism)
        self._tasks = TASKS_A_CORE * context.defaultParallelism
        self._feed = Feed(splits, self._said, (BATCHES + 1) * self._most)
        self._group = f"mapreduce-{secrets.token_hex(4)}"
        self._notes = context.accumulator([], Notes())
        self._read = 0  # notes
        self._waiting: list[tuple[Split, bool]] = []
        self._under_way: dict[int, set[int]] = {}  # batch -> numbers noted as done
        self._batches = 0
        self._seen_executors = self._looked = time.monotonic()

    def events(self) -> Generator[Event]:
        """Run until the splits have ended and all of them have come back."""
        ended = False
        while not ended or self._waiting or self._under_way:
            said: Any = None
            with contextlib.suppress(queue.Empty):
                said = self._said.get(timeout=LOOK_S)
            yield from self._news()
            if isinstance(said, Ended):
                ended = True
            elif isinstance(said, Split):
                self._waiting.append((said, False))
            elif isinstance(said, _Landed):
                yield from self._landed(said)
            elif said is not None:
                raise said
            if said is None or ended or len(self._waiting) >= self._most:
                self._launch()
            self._look()

    def close(self) -> None:
        """Take no more splits and end what is under way."""
        self._feed.close()
        if self._under_way:
            self._context.cancelJobGroup(self._group)

    def _launch(self) -> None:
        while self._waiting and len(self._under_way) < BATCHES:
            apart = self._waiting[0][1]
            like = [split for split, alone in self._waiting if alone is apart]
            others = [waiting for waiting in self._waiting if waiting[1] is not apart]
            self._waiting = [(split, apart) for split in like[self._most :]] + others
            self._start(like[: self._most], apart=apart)

    def _start(self, splits: Sequence[Split], *, apart: bool) -> None:
        batch = _Batch(self._batches, tuple(splits), apart)
        self._batches += 1
        works = [self._desk.work(split, apart=apart) for split in splits]
        self._under_way[batch.id] = set()
        threading.Thread(target=self._reduce, args=(batch, works), daemon=True).start()

    def _reduce(self, batch: _Batch, works: list[bytes]) -> None:
        try:
            self._context.setJobGroup(self._group, "mapreduce", interruptOnCancel=True)
            order = self._desk.order
            attempts = functools.partial(noted, order, self._notes, batch.id)
            count = len(works) if batch.apart else min(len(works), self._tasks)
            dealt = [work for first in range(count) for work in works[first::count]]
            answers = self._context.parallelize(dealt, count).map(attempts)
            depth = 1 if count <= FLAT else DEPTH
            answer = answers.treeReduce(functools.partial(merge, order), depth)
        except BaseException as error:  # noqa: BLE001 - looked at where the run waits
            self._said.put(_Landed(batch, error))
        else:
            self._said.put(_Landed(batch, answer))

    def _news(self) -> Iterator[Event]:
        """Tell of what executors have noted; raise at a fault that another try would not mend."""
        found = self._notes.value
        new, self._read = found[self._read :], len(found)
        for raw in new:
            note = msgspec.msgpack.decode(raw, type=Note)
            if note.fault is not None and note.fault.kind not in {"expired", "killed"}:
                self._desk.again(note.fault)
            done = self._under_way.get(note.batch)
            if note.fault is None and done is not None and note.number not in done:
                done.add(note.number)
                yield self._desk.advance([note.number])

    def _landed(self, landed: _Landed) -> Iterator[Event]:
        batch, answer = landed.batch, landed.answer
        told = self._under_way.pop(batch.id)
        if isinstance(answer, BaseException):
            yield from self._given_up(batch, answer, told)
            return
        found = decode_answer(answer)
        failed = {fault.number for fault in found.faults}
        late = [s.number for s in batch.splits if s.number not in told | failed]
        yield self._desk.advance(late)
        yield from self._desk.outcomes(found)
        self._feed.landed(len(batch.splits) - len(failed))
        for fault in found.faults:
            self._waiting.append((self._desk.split(fault.number), self._desk.again(fault)))

    def _given_up(self, batch: _Batch, error: BaseException, told: set[int]) -> Iterator[Event]:
        """Run a batch anew, apart, unless that has been tried or would not help."""
        text = str(error)
        if batch.apart or NO_MODULE.search(text) or not isinstance(error, Exception):
            raise explained("Spark", text) from error
        done = self._desk.advance(told)
        yield Advance(-done.objects, -done.read_bytes)
        self._waiting += [(split, True) for split in batch.splits]

    def _look(self) -> None:
        """See that there are executors: without any, Spark would wait for ever."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        tracker = self._context._jsc.sc().statusTracker()  # noqa: SLF001 - the Python one tells less
        if len(tracker.getExecutorInfos()) > 1 or str(self._context.master).startswith("local"):
            self._seen_executors = now  # one of them is the driver
        elif self._under_way and now - self._seen_executors > EXECUTORS_S:
            raise MapReduceError(
                f"{self._context.master} provided no executor for {EXECUTORS_S:.0f} s: are its"
                " workers running, with enough cores and memory? Commits are kept: the same"
                " command resumes the run"
            )
