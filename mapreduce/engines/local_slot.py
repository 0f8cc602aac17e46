"""A slot of the local engine: a thread, and the process it feeds.

A process that dies costs a retry in a fresh one, which tells of each object before it decodes it;
if it dies too, the object it died at is tried alone, while no other slot works, and quarantined as
`crashed` once `mapreduce.deaths` finds it guilty. After each such death it is seen how others fare.
A process that dies before it is ready is started again: thrice where none was ever ready, for a
minute where some were.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from mapreduce.attempts.slot_messages import Begin, Done, Failed, Reached, Work
from mapreduce.attempts.slot_process import START_PAUSE_S, SlotProcess, StartError, StartPatience
from mapreduce.deaths import Guilt, is_killed
from mapreduce.engine import Advance, Assignment, Outcome, located
from mapreduce.errors import ExpiredError, JobError, MapReduceError, StoreError
from mapreduce.interpreter import import_path
from mapreduce.ledger import Cost, Ledger, Quarantined, merged
from mapreduce.limits import MapError
from mapreduce.objects import Awaited
from mapreduce.tables import encoding, partial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mapreduce.attempts.slot_messages import Reached
    from mapreduce.attempts.slot_process import Death
    from mapreduce.deaths import Strike
    from mapreduce.engines.local_tasks import LocalTasks
    from mapreduce.plan import Piece

SIGNATURES: Final = 3  # times to sign anew before an expired URL is the store's fault
FAULTS: Final = {"map": MapError, "job": JobError, "store": StoreError}
LONGEST_STAND_S: Final = 2.0  # of a process that stands ready, before the next is read


class DeathError(MapReduceError):
    """The slot's process ended without an answer: how, with what peak memory, and how soon."""

    def __init__(self, how: str, ran_s: float, *, killed: bool) -> None:
        super().__init__(how)
        self.ran_s = ran_s
        self.killed = killed


class Slot:
    """A thread and the process it feeds; the process is replaced when it dies."""

    def __init__(self, assignment: Assignment, desk: LocalTasks, memory_bytes: int) -> None:
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

    def look_after(self) -> None:
        """See that the process is not stopped."""
        self._process.look_after()

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
        struck: list[Strike] = []
        for left in reversed(range(tries)):
            try:
                with self._desk.beside_others():
                    return [self._attempt(number, pieces, careful=left == 0)]
            except DeathError as death:
                struck = self._struck(pieces, death, alone=False)
        if len(pieces) == 1:
            return [self._suspect(number, pieces[0], struck)]
        at = [p.ordinal for p in pieces].index(struck[-1].ordinal) if struck else 0
        before, suspect, behind = pieces[:at], pieces[at], pieces[at + 1 :]
        return [
            *self._survivors(number, before, tries=1),
            self._suspect(number, suspect, struck),
            *self._survivors(number, behind, tries=1),
        ]

    def _struck(self, pieces: Sequence[Piece], death: DeathError, *, alone: bool) -> list[Strike]:
        """Take in a death: a strike, where it is known against which object."""
        if self._desk.stopped.is_set():
            raise death
        at = pieces[0].ordinal if len(pieces) == 1 else self._reached
        if at is None:
            self._desk.died_among((p.ordinal for p in pieces), death.ran_s)
            return []
        return [self._desk.died(at, death.ran_s, alone=alone, killed=death.killed)]

    def _suspect(self, number: int, piece: Piece, strikes: list[Strike]) -> Done:
        """Try an object at which processes died by itself, until it is read or found guilty."""
        desk, doubt = self._desk, self._desk.doubt
        while True:
            try:
                with desk.alone():
                    return self._attempt(number, (piece,), careful=True)
            except DeathError as death:
                strikes += self._struck((piece,), death, alone=True)
                how = str(death)
            self._compare(number, strikes[-1])
            while (guilt := desk.judge(strikes)) is Guilt.LIKELY:
                self._wait(doubt.settle_s / 4)
            if guilt is Guilt.SURE:
                desk.convict(piece.ordinal)
                return self._crashed(number, piece, f"alone, while other processes lived: {how}")
            if doubt.hopeless(strikes):
                raise MapReduceError(
                    f"worker processes died {len(strikes)} times at {piece.key!r}, and other"
                    f" processes died at about the same time: {how}. The cause may be the object"
                    " or this machine. When the machine has recovered, the same command resumes"
                    " the run; --exclude skips the object"
                )
            self._wait(doubt.pause_s(sum(s.alone for s in strikes)))

    def _compare(self, number: int, strike: Strike) -> None:
        """See how others fare: read again what was read well, and have its process stand a while.

        What other slots do meanwhile counts as well.
        """
        desk, until = self._desk, time.monotonic() + 2 * strike.wanted_s
        while desk.proven and not strike.seen and time.monotonic() < until:
            began = time.monotonic()
            try:
                with desk.beside_others():
                    self._attempt(number, desk.proven, careful=False, counts=False)
                    self._wait(min(strike.wanted_s, LONGEST_STAND_S))
                lives = self._process.alive
            except DeathError:
                lives = False
            if lives:
                desk.lived(time.monotonic() - began)
            else:
                desk.control_died(time.monotonic() - began)

    def _wait(self, seconds: float) -> None:
        if self._desk.stopped.wait(seconds):
            raise MapReduceError("the run has stopped")

    def _outcome(self, number: int, done: Sequence[Done]) -> Outcome:
        cost = sum((d.cost for d in done), Cost())
        if len(done) == 1:
            return Outcome((number,), done[0].partial, done[0].ledger, cost)
        whole = partial.merge([encoding.unpack(d.partial, self._process.schemas) for d in done])
        return Outcome((number,), encoding.pack(whole), merged(d.ledger for d in done), cost)

    def _crashed(self, number: int, piece: Piece, how: str) -> Done:
        nothing = encoding.pack(partial.empty(self._process.schemas))
        bad = Quarantined(piece.ordinal, piece.key, piece.etag, "crashed", how)
        return Done(number, nothing, merged((Ledger(quarantined=[bad]),)), Cost())

    def _attempt(
        self, number: int, pieces: Sequence[Piece], *, careful: bool, counts: bool = True
    ) -> Done:
        """Run the pieces; what is read for comparison does not count."""
        message = ""
        for _ in range(SIGNATURES):
            found, locations, set_aside = located(pieces, self._assignment.locate)
            work = Work(number, tuple(found), tuple(locations), careful)
            answer = self._answer(work, pieces, counts=counts)
            if isinstance(answer, Done):
                answer.ledger.quarantined += set_aside
                return answer
            message = answer.message
            if answer.kind != "expired":
                raise FAULTS.get(answer.kind, MapReduceError)(message)
        raise ExpiredError(message)

    def _answer(self, work: Work, pieces: Sequence[Piece], *, counts: bool) -> Done | Failed:
        objects = read_bytes = 0
        self._reached = None

        def on_reached(told: Reached) -> None:
            nonlocal objects, read_bytes
            if not counts:
                return
            self._say(told.objects - objects, told.read_bytes - read_bytes)
            objects, read_bytes = told.objects, told.read_bytes

        try:
            began, answer = self._run(work, on_reached)
        finally:
            self._desk.awaits(id(self), Awaited())
        ran_s = time.monotonic() - began
        if isinstance(answer, Done) and not counts:
            return answer
        if isinstance(answer, Done):
            self._desk.lived(ran_s)
            self._desk.proven = pieces[:1]
            total = sum(p.read_bytes for p in pieces)
            self._say(len(pieces) - objects, total - read_bytes)
            return answer
        self._say(-objects, -read_bytes)
        if isinstance(answer, Failed):
            return answer
        self._reached = answer.ordinal
        killed = is_killed(answer.signal, answer.code if answer.code >= 0 else None)
        raise DeathError(str(answer), ran_s, killed=killed)

    def _run(
        self, work: Work, on_reached: Callable[[Reached], None]
    ) -> tuple[float, Done | Failed | Death]:
        """Run work in a process that is ready; give when that began, and what came of it.

        A process that ends before it is ready is followed by another: also where one that was ready
        has ended since, with nothing to do.
        """
        patience = StartPatience()
        while True:
            try:
                self._process.start()
                self._desk.started = True
                began = time.monotonic()
                return began, self._process.run(
                    work, on_reached, lambda a: self._desk.awaits(id(self), a)
                )
            except StartError as error:
                if patience.is_over(ever=self._desk.started):
                    raise StartError(
                        f"{error}; {patience.tries} processes in a row failed"
                    ) from None
                if self._desk.stopped.wait(START_PAUSE_S):
                    raise

    def _say(self, objects: int, read_bytes: int) -> None:
        if objects or read_bytes:
            self._desk.said.put(Advance(objects, read_bytes))
