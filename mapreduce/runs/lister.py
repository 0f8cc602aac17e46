"""The source listed into the journal, in a thread of its own, ahead of the work.

Ignored objects are counted and left out; the rest become splits. A listing that fails is told to
whoever waits for splits. It reads no object.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from mapreduce.errors import StoreError
from mapreduce.objects import Networked
from mapreduce.objects.listing import objects_of, prefix_of
from mapreduce.objects.selection import ignored
from mapreduce.runs.journal import Journal, Listing
from mapreduce.tables.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mapreduce.job.job import Job
    from mapreduce.objects import Awaited, Entry, Store
    from mapreduce.plan import Planner

NOTICE_S: Final = 5.0  # how long a page under way may take to notice that the run is over


class ObjectChoice(Protocol):
    """Which of the listed objects are wanted."""

    def take(self, entries: Iterable[Entry], prefix: str | None = "") -> Iterator[Entry]:
        """Give them, and what is ignored."""


class Lister:
    """Lists a store into a journal.

    Parameters
    ----------
    journal
        Where splits go; one that has a complete listing already is left as it is.
    store, selection
        What is listed, and which of it is wanted.
    planner
        Packs objects into splits.
    """

    def __init__(
        self, journal: Journal, store: Store, selection: ObjectChoice, planner: Planner
    ) -> None:
        self._journal = journal
        self._store = store
        self._selection = selection
        self._planner = planner
        self._known = journal.listing
        self._ignored = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._list, name="list", daemon=True)

    @property
    def objects(self) -> int:
        """How many objects are listed so far."""
        return self._planner.objects if self._known is None else self._known.objects

    @property
    def object_bytes(self) -> int:
        """How many bytes they have together."""
        return self._planner.object_bytes if self._known is None else self._known.object_bytes

    @property
    def awaited(self) -> Awaited | None:
        """The node of the store that the listing waits for, where it has been silent for long."""
        return self._store.awaited if isinstance(self._store, Networked) else None

    def start(self) -> None:
        """Begin, unless an earlier run has listed everything."""
        if self._known is None:
            self._thread.start()

    def stop(self) -> None:
        """End, and let nobody wait for more splits."""
        self._stopped.set()
        self._journal.fail(StoreError("the run has ended"))
        if self._thread.ident is not None:
            self._thread.join(timeout=NOTICE_S)

    def _list(self) -> None:
        started, planner = time.monotonic(), self._planner
        try:
            wanted = self._selection.take(objects_of(self._store), prefix_of(self._store))
            for split in planner.splits_of(self._without_ignored(wanted)):
                if self._stopped.is_set():
                    return
                self._journal.plan(split)
            seconds = time.monotonic() - started
            self._journal.planned(
                Listing(
                    planner.objects,
                    planner.object_bytes,
                    self._ignored,
                    planner.splits,
                    seconds,
                    at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                )
            )
        except BaseException as error:  # noqa: BLE001 - raised again where splits are taken
            self._journal.fail(error)

    def _without_ignored(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        prefix = prefix_of(self._store)
        for entry in entries:
            if ignored(entry.key, prefix):
                self._ignored += 1
            else:
                yield entry


def is_divisible(job: Job) -> bool:
    """Whether large objects may be divided: nothing needs to see all of one."""
    rules = [rule for table in job.tables().values() for rule in table.values.values()]
    needs_all = job.records.unit == "document" or job.whole_objects or Rule.DISTINCT in rules
    return not needs_all
