"""Splits for the schedule, as many as it wants: the listing goes on while work is done.

A thread takes them from an iterator that may wait for the listing, and never takes more than were
ordered. What the iterator raises is handed on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from mapreduce.plan import Split


class SplitFeed:
    """Takes splits in a thread.

    `deliver` is called there with each split, with None at the end, or with what was raised.
    """

    def __init__(
        self, splits: Iterator[Split], deliver: Callable[[Split | BaseException | None], None]
    ) -> None:
        self._splits = splits
        self._deliver = deliver
        self._ordered = threading.Semaphore(0)
        self._over = threading.Event()
        self._outstanding = 0
        self._thread = threading.Thread(target=self._take, name="supply", daemon=True)
        self._thread.start()

    def order(self, wanted: int) -> None:
        """See that as many splits are under way as are wanted now."""
        more = wanted - self._outstanding
        if more > 0:
            self._outstanding += more
            self._ordered.release(more)

    def came(self) -> None:
        """Count one as delivered."""
        self._outstanding -= 1

    def end(self, timeout_s: float) -> None:
        """Take no more; wait a while for the thread, which may be waiting for the listing."""
        self._over.set()
        self._ordered.release()
        self._thread.join(timeout_s)

    def _take(self) -> None:
        try:
            while True:
                self._ordered.acquire()
                if self._over.is_set():
                    return
                split = next(self._splits, None)
                self._deliver(split)
                if split is None:
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the run waits
            self._deliver(error)
