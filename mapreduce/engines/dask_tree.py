"""A run on Dask as a tree of tasks: splits in at the leaves, outcomes out at the roots.

Merging begins as soon as enough splits are done, in whatever order; what is merged is fetched when
it covers many splits, or after half a minute, so that it can be committed. Dask tries again what a
lost worker had. A split whose worker keeps dying is run apart, where the local engine finds the
object; one whose address expired is located anew. A fault of the job or store ends the run at once.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import secrets
import time
import traceback
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from distributed.scheduler import KilledWorker

from mapreduce.engine import Advance
from mapreduce.engines.foreign_driver import Ended, Feed, explained
from mapreduce.engines.foreign_task import Fault, decode_answer, encode, merge, run
from mapreduce.errors import MapReduceError
from mapreduce.plan import Split

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from distributed import Client, Future

    from mapreduce.engine import Event
    from mapreduce.engines.foreign_driver import PendingWork

FAN_IN: Final = 8  # answers that one task merges
ROOT: Final = 2  # tier whose answers come back: each covers at most FAN_IN ** ROOT splits
COMMIT_S: Final = 30.0
WORKERS_S: Final = 60.0  # how long there may be no worker at all
LOOK_S: Final = 5.0
WAITING_A_THREAD: Final = 3  # splits handed over for each thread of the cluster
RESUMES: Final = "Commits are kept: the same command resumes the run."


class FaultError(Exception):
    """How a task tells at once of a split that came to nothing; Dask need not try it again."""


def attempt(order: bytes, work: bytes) -> bytes:
    """Run the attempt, on a worker.

    Raises
    ------
    FaultError
        With the fault as msgpack.
    """
    answer = run(order, work)
    for fault in decode_answer(answer).faults:
        raise FaultError(encode(fault))
    return answer


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """A task of the tree and the splits beneath it; tier 0 are attempts."""

    tier: int
    numbers: tuple[int, ...]
    future: Future[bytes] = field(repr=False)


class TaskTree:
    """One run's tasks.

    Parameters
    ----------
    client
        Connected, with our sources on its workers.
    desk
        Makes work of splits.
    splits
        The splits, as they are listed.
    """

    def __init__(self, client: Client, desk: PendingWork, splits: Iterator[Split]) -> None:
        self._client = client
        self._desk = desk
        self._said: queue.Queue[Any] = queue.Queue()
        self._feed = Feed(splits, self._said, FAN_IN)
        self._tiers: list[list[_Node]] = [[] for _ in range(ROOT)]
        self._flying: set[_Node] = set()
        self._anew: set[int] = set()  # splits that had landed, and are run once more
        self._names = map("{}-{}".format, itertools.repeat(secrets.token_hex(8)), itertools.count())
        self._looked: float | None = None
        self._committed = self._seen_workers = time.monotonic()

    def events(self) -> Generator[Event]:
        """Run until the splits have ended and all of them have come back."""
        ended = False
        while not ended or self._desk:
            self._look()
            if (ended and not self._flying) or time.monotonic() - self._committed > COMMIT_S:
                self._merge([node for tier in self._tiers for node in tier], ROOT)
                self._tiers = [[] for _ in range(ROOT)]
                self._committed = time.monotonic()
            try:
                said = self._said.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if isinstance(said, Ended):
                ended = True
            elif isinstance(said, Split):
                self._attempt(said)
            elif isinstance(said, _Node):
                yield from self._landed(said)
            else:
                raise said

    def close(self) -> None:
        """Take no more splits and drop what is under way."""
        self._feed.close()
        # The scheduler may be gone, and its connections (RuntimeError) with it.
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):
            self._client.cancel([node.future for node in self._flying], force=True)

    def _attempt(self, split: Split, *, apart: bool = False) -> None:
        work = self._desk.work(split, apart=apart)
        self._fly(0, (split.number,), attempt, [work], priority=10 if apart else 0)

    def _merge(self, nodes: Sequence[_Node], tier: int) -> None:
        if not nodes:
            return
        numbers = tuple(n for node in nodes for n in node.numbers)
        self._fly(tier, numbers, merge, [node.future for node in nodes], priority=10)

    def _fly(
        self, tier: int, numbers: tuple[int, ...], task: Any, given: Sequence[Any], priority: int
    ) -> None:
        key = f"{'merge' if tier else 'attempt'}-{next(self._names)}"
        future = self._client.submit(task, self._desk.order, *given, key=key, priority=priority)
        node = _Node(tier, numbers, future)
        self._flying.add(node)
        future.add_done_callback(lambda _: self._said.put(node))

    def _landed(self, node: _Node) -> Iterator[Event]:
        self._flying.discard(node)
        if node.future.status != "finished":
            yield from self._lost(node)
            return
        if node.tier == 0:
            self._feed.landed(len(set(node.numbers) - self._anew))
            self._anew -= set(node.numbers)
            yield self._desk.advance(node.numbers)
        if node.tier == ROOT:
            yield from self._taken(node)
            return
        tier = self._tiers[node.tier]
        tier.append(node)
        if len(tier) == FAN_IN:
            self._tiers[node.tier] = []
            self._merge(tier, node.tier + 1)

    def _taken(self, node: _Node) -> Iterator[Event]:
        try:
            raw = node.future.result(timeout=WORKERS_S)
        except (KilledWorker, CancelledError, TimeoutError):  # lost since: its worker has died
            yield from self._lost(node)
            return
        answer = decode_answer(raw)
        yield from self._desk.outcomes(answer)
        for fault in answer.faults:
            self._desk.again(fault)

    def _lost(self, node: _Node) -> Iterator[Event]:
        """Run anew what came to nothing, or raise why that would not help."""
        error = node.future.exception() if node.future.status == "error" else CancelledError()
        if self._client.status != "running":
            raise MapReduceError(f"the connection to the Dask scheduler was lost. {RESUMES}")
        if isinstance(error, FaultError):
            faults = [msgspec.msgpack.decode(error.args[0], type=Fault)]
        elif isinstance(error, KilledWorker | CancelledError):
            told = (
                f"a split was lost with its worker again and again, even when it ran apart: {error}"
            )
            faults = [Fault(number, "killed", told) for number in node.numbers]
        else:
            raise explained("Dask", "".join(traceback.format_exception(error)).rstrip())
        if node.tier:
            self._anew |= set(node.numbers)
            done = self._desk.advance(node.numbers)
            yield Advance(-done.objects, -done.read_bytes)
        for number in set(node.numbers) - {fault.number for fault in faults}:
            self._attempt(self._desk.split(number))  # merged with one that failed when run anew
        for fault in faults:
            self._attempt(self._desk.split(fault.number), apart=self._desk.again(fault))

    def _look(self) -> None:
        """See that there are workers, and keep each of their threads busy."""
        now = time.monotonic()
        if self._looked is not None and now - self._looked < LOOK_S:
            return
        self._looked = now
        try:
            threads = sum(self._client.nthreads().values())
        except (OSError, CancelledError, TimeoutError, RuntimeError) as error:
            raise MapReduceError(
                f"the connection to the Dask scheduler was lost ({error}). {RESUMES}"
            ) from error
        if threads:
            self._seen_workers = now
            self._feed.widen(FAN_IN + WAITING_A_THREAD * threads)
        elif now - self._seen_workers > WORKERS_S:
            raise MapReduceError(
                f"the Dask cluster has had no worker for {WORKERS_S:.0f} s: start one by"
                f" `dask worker ADDRESS --nthreads 1`. {RESUMES}"
            )
