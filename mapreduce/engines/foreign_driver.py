"""The coordinator's side of engines that are not ours: splits in, work out, answers to events.

A thread takes splits as they are listed, never more than a window ahead of what has come back, so
listing streams into dispatch and memory is bounded. Presigned URLs are made when work is, and made
anew where they expired. It knows no engine.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, Final

from mapreduce.engine import Advance, Assignment, Event, Outcome, located
from mapreduce.engines.foreign_task import Fault, Order, Work, WorkAnswer, encode
from mapreduce.engines.local_slot import FAULTS, SIGNATURES
from mapreduce.errors import ExpiredError, MapReduceError, UsageError
from mapreduce.ledger import Ledger, Quarantined, merged

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Iterable, Iterator

    from mapreduce.engines.foreign_bundle import Shipment
    from mapreduce.plan import Split

DEATHS: Final = 3  # times that a split may be lost with its workers, even apart
NO_MODULE: Final = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '([\w.]+)'")
NEEDED: Final = ("numpy", "msgspec", "urllib3")


class Ended:
    """Said by a feed when there are no more splits."""


class Feed:
    """Takes splits in a thread of its own and says each to `said`, then `Ended` or the error.

    Parameters
    ----------
    splits
        The splits; taking one may wait for the listing.
    window
        Most splits taken and not yet `landed`.
    """

    def __init__(self, splits: Iterator[Split], said: queue.Queue[Any], window: int) -> None:
        self.window = window
        self._splits = splits
        self._said = said
        self._room = threading.Semaphore(window)
        self._stopped = threading.Event()
        threading.Thread(target=self._work, name="feed", daemon=True).start()

    def landed(self, count: int = 1) -> None:
        """Make room for more."""
        if count:
            self._room.release(count)

    def widen(self, window: int) -> None:
        """Make the window as wide as this, never narrower."""
        if window > self.window:
            self._room.release(window - self.window)
            self.window = window

    def close(self) -> None:
        """Take no more."""
        self._stopped.set()
        self._room.release()

    def _work(self) -> None:
        try:
            while True:
                self._room.acquire()
                split = None if self._stopped.is_set() else next(self._splits, None)
                if split is None:
                    break
                self._said.put(split)
            self._said.put(Ended())
        except BaseException as error:  # noqa: BLE001 - raised again where the run waits
            self._said.put(error)


class PendingWork:
    """Makes work of splits and events of answers; remembers what is under way."""

    def __init__(self, assignment: Assignment, shipment: Shipment) -> None:
        self.order = encode(
            Order(
                shipment.archive,
                shipment.release,
                shipment.job,
                assignment.limits,
                assignment.schemas,
                shipment.folders,
            )
        )
        self._locate = assignment.locate
        self._splits: dict[int, Split] = {}
        self._set_aside: dict[int, list[Quarantined]] = {}
        self._tries: dict[int, int] = {}

    def __bool__(self) -> bool:
        """Whether anything is under way."""
        return bool(self._splits)

    def work(self, split: Split, *, apart: bool = False) -> bytes:
        """Make the work of a split, locating its objects now."""
        found, locations, set_aside = located(split.pieces, lambda p: self._locate(p).afar())
        self._splits[split.number] = split
        self._set_aside[split.number] = set_aside
        divided = not split.pieces[0].whole
        return encode(Work(split.number, tuple(found), tuple(locations), apart, divided))

    def split(self, number: int) -> Split:
        """Give a split that is under way."""
        return self._splits[number]

    def advance(self, numbers: Iterable[int]) -> Advance:
        """Say that attempts over these splits are done."""
        splits = [self._splits[n] for n in numbers]
        return Advance(sum(len(s.pieces) for s in splits), sum(s.read_bytes for s in splits))

    def outcomes(self, answer: WorkAnswer) -> Iterator[Event]:
        """Give an answer's outcomes, with what could not be located; they are no longer under way.

        Faults are the caller's business.
        """
        wholes = () if answer.whole is None else (answer.whole,)
        for outcome in (*wholes, *answer.parts):
            aside = [bad for n in outcome.splits for bad in self._set_aside.pop(n, ())]
            ledger = merged((outcome.ledger, Ledger(quarantined=aside)))
            for number in outcome.splits:
                del self._splits[number]
                self._tries.pop(number, None)
            yield Outcome(outcome.splits, outcome.partial, ledger, outcome.cost)

    def again(self, fault: Fault) -> bool:
        """Tell how to run a split anew: False as before, True apart.

        Raises
        ------
        MapReduceError
            Where that would not help: the fault, as the local engine raises it.
        """
        self._tries[fault.number] = tries = self._tries.get(fault.number, 0) + 1
        match fault.kind:
            case "expired" if tries < SIGNATURES:
                return False
            case "expired":
                raise ExpiredError(fault.message)
            case "killed" if tries <= DEATHS:
                return True
            case kind:
                raise FAULTS.get(kind, MapReduceError)(fault.message)


def explained(engine: str, text: str) -> MapReduceError:
    """Make an error of what an engine said: above all, where workers lack a package."""
    missing = NO_MODULE.search(text)
    if missing is not None:
        name = missing[1]
        needed = " ".join(NEEDED) if name.partition(".")[0] in NEEDED else name
        return MapReduceError(
            f"the workers of {engine} have no Python package {name!r}. Install it on the"
            f" workers, and type the same command again: pip install {needed}"
        )
    return MapReduceError(f"{engine} gave up the run: {text}")


def checked(module: str, extra: str, load: Callable[[], Any]) -> Any:
    """Load an engine's own package, or say how to install it."""
    try:
        return load()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--engine {extra} needs the package {module!r} ({error}):"
            f" pip install 'roadspeed[{extra}]'"
        ) from None
