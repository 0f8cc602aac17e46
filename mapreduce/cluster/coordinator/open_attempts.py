"""Attempts that are given out: located and sent, heard of, received, merged, and forgotten.

What may wait or takes long is done in threads, and its end is reported like anything else that
happens. Attempts reach a worker in the order in which they were assigned.
"""

from __future__ import annotations

import asyncio
import bisect
import dataclasses
import functools
import queue
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Final, Protocol

from mapreduce.cluster.coordinator.results import Given, checked, outcome
from mapreduce.cluster.coordinator.status import RunStatus
from mapreduce.cluster.coordinator.terms import Terms
from mapreduce.cluster.coordinator.worker_session import WorkerSession
from mapreduce.cluster.protocol import messages as msg
from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule.commands import Assign, Commit
from mapreduce.engine import Outcome, located
from mapreduce.errors import PartialError, StoreError
from mapreduce.ledger import Cost, Ledger, Quarantined
from mapreduce.objects import Location
from mapreduce.plan import Piece
from mapreduce.tables.partial import Partial

SMALL_BYTES: Final = 1 << 16  # a partial that is checked sooner than handed to a thread
DOUBTFUL: Final = ("gone", "changed", "unreadable")  # of a shared folder: is it the host's fault?
AT_ONCE: Final = 32  # attempts whose objects are located together


class Loop(Protocol):
    """The coordinator's loop, as far as a server and its attempts know it."""

    said: queue.SimpleQueue[Any]

    @property
    def pool(self) -> Executor:
        """Threads for what takes long."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that takes a while; if it fails, the run ends."""

    def end(self, error: BaseException | None) -> None:
        """End the run."""

    def order(self, wanted: int) -> None:
        """Ask for splits until so many are under way."""


class OpenAttempts:
    """The attempts that are out."""

    def __init__(
        self,
        loop: Loop,
        watch: RunStatus,
        connections: Mapping[str, WorkerSession],
        happen: Callable[[ev.Event], None],
        tell_failed: Callable[[str, msg.Failed], None],
        brought: Callable[[Outcome], None],
        terms: Terms,
    ) -> None:
        self._loop, self._watch, self._connections = loop, watch, connections
        self._happen, self._tell_failed, self._brought = happen, tell_failed, brought
        self._places, self._schemas = terms.places, terms.schemas
        self._given: dict[int, Given] = {}
        self._checking = asyncio.Lock()
        self._unsent: dict[str, deque[Given]] = {}

    def give(self, command: Assign) -> None:
        """Send an attempt to its worker, once it is known where its objects are."""
        given = Given(command.attempt, command.task, command.worker, command.pieces)
        self._given[given.attempt] = given
        unsent = self._unsent.get(given.worker)
        if unsent is not None:
            unsent.append(given)
            return
        self._unsent[given.worker] = deque((given,))
        self._loop.spawn(self._send_all(given.worker))

    def offered(self, worker: str, attempt: int, ledger: Ledger, cost: Cost) -> None:
        """Keep the account that came with an offer."""
        given = self._known(worker, attempt)
        if given is not None:
            given.offered = (ledger, cost)

    def progressed(self, worker: str, told: msg.Progress) -> None:
        """Count what a worker says it has done."""
        given = self._known(worker, told.attempt)
        if given is not None and not given.body:
            objects, read_bytes = given.total
            self._count(given, min(told.objects, objects), min(told.read_bytes, read_bytes))

    def arrived(self, worker: str, attempt: int, body: bytearray) -> None:
        """Check what a worker sent, and report whether it is sound."""
        given = self._known(worker, attempt)
        if given is None or given.body:  # too late, or again: the schedule knows
            self._happen(ev.Received(worker, attempt))
        elif len(body) > SMALL_BYTES or (given.by_path and given.offered[0].quarantined):
            self._loop.spawn(self._check_beside(given, body))
        else:
            ledger, cost = given.offered
            try:
                part = checked(body, ledger, given.sent, self._schemas)
            except PartialError as error:
                self._happen(ev.Damaged(worker, attempt, str(error)))
            else:
                self._received(given, body, part, ledger, cost)

    def failed(self, worker: str, told: msg.Failed) -> None:
        """Report how an attempt failed, once it is known whose fault that is."""
        given = self._known(worker, told.attempt)
        if given is not None and given.by_path and told.kind == "store":
            self._loop.spawn(self._look(given, told))
        else:
            self._tell_failed(worker, told)

    def piece(self, worker: str, attempt: int, ordinal: int) -> Piece | None:
        """Give a piece that was sent to this worker and is not forgotten."""
        given = self._known(worker, attempt)
        pieces = () if given is None else given.sent
        at = bisect.bisect_left(pieces, ordinal, key=lambda p: p.ordinal)
        return pieces[at] if at < len(pieces) and pieces[at].ordinal == ordinal else None

    def commit(self, command: Commit) -> None:
        """Make a task's outcome of what its attempts brought."""
        given = [self._given[number] for number in command.attempts]
        for crashed in command.crashed:
            self._watch.moved(None, 1, crashed.piece.read_bytes)
        if len(given) > 1:
            self._loop.spawn(self._merge_beside(command, given))
        else:
            made = outcome(command.task, given, command.crashed, self._schemas)
            self._brought(made)

    def accepted(self, attempt: int) -> None:
        """Forget an attempt that is committed: what it did stays done."""
        self._given.pop(attempt, None)

    def forget(self, worker: str, attempt: int) -> None:
        """Forget an attempt that is for nothing."""
        given = self._known(worker, attempt)
        if given is not None:
            del self._given[attempt]
            self._count(given, 0, 0)

    def _known(self, worker: str, attempt: int) -> Given | None:
        given = self._given.get(attempt)
        return given if given is not None and given.worker == worker else None

    def _count(self, given: Given, objects: int, read_bytes: int) -> None:
        before, given.told = given.told, (objects, read_bytes)
        self._watch.moved(given.worker, objects - before[0], read_bytes - before[1])

    def _received(
        self, given: Given, raw: bytearray, part: Partial, ledger: Ledger, cost: Cost
    ) -> None:
        if not given.body:
            given.body, given.part, given.ledger, given.cost = raw, part, ledger, cost
            self._count(given, *given.total)
        self._happen(ev.Received(given.worker, given.attempt))

    async def _check_beside(self, given: Given, body: bytearray) -> None:
        ledger, cost = given.offered
        loop = asyncio.get_running_loop()
        try:
            async with self._checking:  # one after the other: it takes memory
                pool = self._loop.pool
                part = await loop.run_in_executor(
                    pool, checked, body, ledger, given.sent, self._schemas
                )
                why = await loop.run_in_executor(pool, self._unseen, given, ledger)
        except PartialError as error:
            self._happen(ev.Damaged(given.worker, given.attempt, str(error)))
        else:
            if why is None:
                self._received(given, body, part, ledger, cost)
            else:
                self._tell_unseen(given, why)

    def _unseen(self, given: Given, ledger: Ledger) -> str | None:
        """Say so where an object is set aside that this machine sees, and the worker's does not."""
        if not given.by_path:
            return None
        pieces = {p.ordinal: p for p in given.sent}
        doubtful = (q for q in ledger.quarantined if q.reason in DOUBTFUL)
        said = (
            self._places.unseen(given.worker, pieces[q.ordinal], f"{q.key}: {q.reason}")
            for q in doubtful
        )
        return next(filter(None, said), None)

    async def _look(self, given: Given, told: msg.Failed) -> None:
        """Find out whose fault it is that the folder was not to be read."""
        why = await asyncio.get_running_loop().run_in_executor(
            self._loop.pool, self._places.unseen, given.worker, given.sent[0], told.message
        )
        if why is None:
            self._tell_failed(given.worker, told)
        else:
            self._tell_unseen(given, why)

    def _tell_unseen(self, given: Given, why: str) -> None:
        self._watch.say(given.worker, "sees no input", why)
        self._happen(ev.Unseen(given.worker, given.attempt, why))

    async def _merge_beside(self, command: Commit, given: Sequence[Given]) -> None:
        made = await asyncio.get_running_loop().run_in_executor(
            self._loop.pool, outcome, command.task, given, command.crashed, self._schemas
        )
        self._brought(made)

    async def _send_all(self, worker: str) -> None:
        loop, unsent = asyncio.get_running_loop(), self._unsent[worker]
        while unsent:
            some = [unsent.popleft() for _ in range(min(AT_ONCE, len(unsent)))]
            connection = self._connections.get(worker)
            if connection is None:
                continue  # the schedule has heard of it
            found = await loop.run_in_executor(self._loop.pool, self._located, some)
            for given, places in zip(some, found, strict=True):
                if self._given.get(given.attempt) is given:
                    self._send(connection, given, places)
        del self._unsent[worker]

    def _located(self, some: Sequence[Given]) -> list[_Found | StoreError]:
        found: list[_Found | StoreError] = []
        for given in some:
            at = functools.partial(self._places.there, given.worker, given.attempt)
            try:
                found.append(_Found(*located(given.pieces, at)))
            except StoreError as error:
                found.append(error)
        return found

    def _send(self, connection: WorkerSession, given: Given, found: _Found | StoreError) -> None:
        if isinstance(found, StoreError):
            self._happen(ev.Failed(given.worker, given.attempt, "store", str(found)))
            self.forget(given.worker, given.attempt)
            return
        given.sent, given.set_aside = tuple(found.pieces), found.set_aside
        given.by_path = any(place.path is not None for place in found.locations)
        connection.send(msg.Task(given.task, given.attempt, given.sent, tuple(found.locations)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    pieces: list[Piece]
    locations: list[Location]
    set_aside: list[Quarantined]
