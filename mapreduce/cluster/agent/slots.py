"""A worker's slots: a thread and a process each, fed one attempt at a time.

A process that dies is replaced when the next attempt comes; one that cannot even start is tried
again, with patience where it could before, and then the host is at fault, never an object.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, get_args

from mapreduce.attempts.slot_messages import Begin, Done, Reached, Work
from mapreduce.attempts.slot_messages import Failed as NotDone
from mapreduce.attempts.slot_process import (
    START_PAUSE_S,
    CancelledError,
    Death,
    SlotProcess,
    StartError,
    StartPatience,
)
from mapreduce.cluster.protocol.messages import Failed, Kind, Progress, Task
from mapreduce.errors import JobError
from mapreduce.objects import Awaited

JOIN_S: Final = 5.0
CAREFUL_PIECES: Final = 128  # up to so many it tells of each: a message a piece, some 0.2 ms
SAID_BYTES: Final = 1 << 15  # of a process's own words: a job that prints must not fill the card
TEXT: Final = 1 << 14  # characters of an error that are passed on

End: TypeAlias = Done | Failed | CancelledError | BaseException


class Slot:
    """A thread and the process it feeds."""

    def __init__(self, process: SlotProcess, on_end: Callable[[Slot, End], None]) -> None:
        self.process = process
        self.attempt: int | None = None
        self.reached: Reached | None = None
        self.slow_downs = 0
        self.silent_nodes: tuple[str, ...] = ()
        self.awaited = Awaited()
        self._known_slow_downs = 0  # of the present process
        self._on_end = on_end
        self._inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="slot", daemon=True)
        self.thread.start()

    def give(self, task: Task, requests: int) -> None:
        """Have an attempt run."""
        self.attempt = task.attempt
        careful = len(task.pieces) <= CAREFUL_PIECES
        self._inbox.put(Work(task.attempt, task.pieces, task.locations, careful, requests))

    def stop(self) -> None:
        """End the process at once, and the thread after it."""
        self.process.stop()
        self._inbox.put(None)

    def _work(self) -> None:
        try:
            self._start()
            while (work := self._inbox.get()) is not None:
                self._on_end(self, self._end_of(work))
        except BaseException as error:  # noqa: BLE001 - said where the agent waits
            self._on_end(self, error)
        finally:
            self.process.end()

    def _start(self) -> None:
        """Have a process before there is work; what hinders it is said with the first attempt."""
        try:
            self.process.start()
        except (JobError, StartError):
            return

    def _end_of(self, work: Work) -> End:
        self.awaited = Awaited()
        patience = StartPatience()
        while True:
            try:
                answer = self.process.run(work, self._on_reached, self._on_awaited)
                break
            except CancelledError as error:
                return error
            except JobError as error:
                if self.process.ready_at is not None:
                    return error  # it could be loaded before: what lies on this host has changed
                return Failed(work.number, "job", str(error)[:TEXT])
            except StartError:
                if patience.is_over(ever=self.process.ready_at is not None):
                    raise
                time.sleep(START_PAUSE_S)
        if isinstance(answer, Death):
            return _crashed(work, answer)
        self._count(answer)
        if isinstance(answer, Done):
            return answer
        kind: Kind = answer.kind if answer.kind in get_args(Kind) else "bug"  # type: ignore[assignment]  # looked up
        return Failed(work.number, kind, answer.message[:TEXT])

    def _on_reached(self, reached: Reached) -> None:
        self.reached = reached
        self._count(reached)

    def _on_awaited(self, awaited: Awaited) -> None:
        self.awaited = awaited

    def _count(self, told: Reached | Done | NotDone) -> None:
        slow_downs, self.silent_nodes = told.slow_downs, told.silent_nodes
        if slow_downs < self._known_slow_downs:
            self._known_slow_downs = 0  # another process, which counts from 0
        self.slow_downs += slow_downs - self._known_slow_downs
        self._known_slow_downs = slow_downs


class SlotPool:
    """All slots of a worker; each thread hands what came of its attempt to `on_end`."""

    def __init__(
        self,
        count: int,
        begin: Begin,
        environ: Mapping[str, str],
        on_end: Callable[[Slot, End], None],
    ) -> None:
        self.slots = [
            Slot(SlotProcess(begin, environ, grouped=True, said_bytes=SAID_BYTES), on_end)
            for _ in range(count)
        ]
        self._said_slow_downs = 0

    def idle(self) -> Slot | None:
        """Give a slot that has nothing to do."""
        return next((s for s in self.slots if s.attempt is None), None)

    def cancel(self, attempt: int) -> None:
        """End a running attempt; its slot says when it is free again."""
        for slot in self.slots:
            if slot.attempt == attempt:
                slot.process.cancel(attempt)

    def progress(self, attempt: int) -> Progress:
        """Tell how far a running attempt is."""
        for slot in self.slots:
            reached = slot.reached
            if reached is not None and reached.number == attempt:
                return Progress(attempt, reached.objects, reached.read_bytes)
        return Progress(attempt)

    def look_after(self) -> None:
        """See that no process at work has been stopped."""
        for slot in self.slots:
            slot.process.look_after()

    def new_slow_downs(self) -> int:
        """Count the store's pleas for fewer requests since this was last asked."""
        total = sum(s.slow_downs for s in self.slots)
        new, self._said_slow_downs = total - self._said_slow_downs, total
        return new

    @property
    def silent_nodes(self) -> tuple[str, ...]:
        """Nodes of the store that gave no answer here."""
        return tuple(sorted({node for s in self.slots for node in s.silent_nodes}))

    @property
    def awaited(self) -> Awaited:
        """The node that has been silent longest, of those that slots wait for."""
        waiting = (s.awaited for s in self.slots if s.attempt is not None)
        return max(waiting, key=lambda a: a.seconds, default=Awaited())

    def stop(self) -> None:
        """End all processes, and wait for them to be gone."""
        for slot in self.slots:
            slot.stop()
        until = time.monotonic() + JOIN_S
        for slot in self.slots:
            slot.thread.join(max(0.0, until - time.monotonic()))


def _crashed(work: Work, death: Death) -> Failed:
    return Failed(
        work.number,
        "crashed",
        str(death),
        signal=death.signal,
        exit_code=death.code if death.code >= 0 else None,
        peak_bytes=death.peak_bytes or None,
        ordinal=death.ordinal if work.careful else None,
    )
