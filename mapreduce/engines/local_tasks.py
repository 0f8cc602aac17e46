"""What the slots of the local engine share: splits, what came of them, and how processes die."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING

from mapreduce.deaths import Deaths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mapreduce.deaths import Doubt, Guilt, Strike
    from mapreduce.engine import Event
    from mapreduce.objects import Awaited
    from mapreduce.plan import Piece, Split

HERE = ""  # the one host there is


class LocalTasks:
    """Where slots' threads take splits and put down what came of them.

    Attributes
    ----------
    proven
        What was read well last, to be read again for comparison where a process died.
    started
        Whether any process has been ready for work.
    """

    def __init__(self, splits: Iterator[Split], doubt: Doubt | None = None) -> None:
        self.said: queue.Queue[Event | BaseException | None] = queue.Queue()
        self.stopped = threading.Event()
        self.proven: Sequence[Piece] = ()
        self.started = False
        self._splits = splits
        self._taking = threading.Lock()  # whoever takes a split may wait for the listing
        self._lock = threading.Lock()
        self._awaited: dict[int, Awaited] = {}
        self._deaths = Deaths(doubt)
        self.doubt = self._deaths.doubt
        self._gate = threading.Condition()
        self._at_work = 0
        self._wants_alone = 0

    def awaits(self, slot: int, awaited: Awaited) -> None:
        """Tell which node has been silent longest, of those that slots wait for."""
        with self._lock:
            before, self._awaited[slot] = self._awaited.get(slot), awaited
            if awaited.node or (before is not None and before.node):
                self.said.put(max(self._awaited.values(), key=lambda a: a.seconds))

    def take(self) -> Split | None:
        """Give the next split; None where there is none, or the run has stopped."""
        with self._taking:
            return None if self.stopped.is_set() else next(self._splits, None)

    @contextlib.contextmanager
    def beside_others(self) -> Iterator[None]:
        """Work beside other slots, once none of them is to be alone."""
        with self._gate:
            self._gate.wait_for(lambda: not self._wants_alone)
            self._at_work += 1
        try:
            yield
        finally:
            with self._gate:
                self._at_work -= 1
                self._gate.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Work while no other slot does: what fails then fails for no want of memory beside it."""
        with self._gate:
            self._gate.wait_for(lambda: not self._wants_alone)
            self._wants_alone += 1
            self._gate.wait_for(lambda: not self._at_work)
        try:
            yield
        finally:
            with self._gate:
                self._wants_alone -= 1
                self._gate.notify_all()

    def lived(self, ran_s: float) -> None:
        """Take in that an attempt ended well."""
        with self._lock:
            self._deaths.lived(HERE, time.monotonic(), ran_s)

    def died(self, ordinal: int, ran_s: float, *, alone: bool, killed: bool) -> Strike:
        """Take in that a process died at an object."""
        with self._lock:
            now = time.monotonic()
            return self._deaths.died(HERE, now, ordinal, ran_s, alone=alone, killed=killed)

    def died_among(self, ordinals: Iterable[int], ran_s: float) -> None:
        """Take in that a process died, it is not known at which of these objects."""
        with self._lock:
            self._deaths.died_among(HERE, time.monotonic(), ordinals, ran_s)

    def control_died(self, ran_s: float) -> None:
        """Take in that a process died that read what had been read well."""
        with self._lock:
            self._deaths.control_died(HERE, time.monotonic(), ran_s)

    def judge(self, strikes: Sequence[Strike]) -> Guilt:
        """Judge an object by the strikes against it."""
        with self._lock:
            return self._deaths.judge(strikes, time.monotonic(), hosts=1)

    def convict(self, ordinal: int) -> None:
        """Take in that an object is guilty."""
        with self._lock:
            self._deaths.convict(ordinal)
