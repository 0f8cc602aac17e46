"""What runs on a worker of another engine: an attempt over one split, and merging what came of it.

Bytes in, bytes out: an order (the job by name, limits, tables) and work in, an answer out, all
msgpack. Job, reader and threads are kept from one task to the next. A fault of the job or store is
an answer, not an exception, so that no engine tries it again. What may kill the worker is run
apart: by the local engine in a process of its own, which narrows it down to the object.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.engine import Assignment, Outcome
from mapreduce.engines.foreign_bundle import release
from mapreduce.engines.local import Local
from mapreduce.errors import ExpiredError, JobError, MapReduceError, StoreError
from mapreduce.job.code_files import tops
from mapreduce.job.code_guard import Watch, watched
from mapreduce.job.name import JobName
from mapreduce.ledger import Cost, merged
from mapreduce.limits import Limits, MapError
from mapreduce.machine import peak_bytes
from mapreduce.objects import Location
from mapreduce.objects.reader import Reader
from mapreduce.plan import Piece, Split
from mapreduce.tables import encoding, partial
from mapreduce.tables.table import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

KEPT: Final = 4  # attempts a thread keeps ready, each for another order
KINDS: Final = ((MapError, "map"), (ExpiredError, "expired"), (StoreError, "store"),
                (JobError, "job"))  # fmt: skip


class Order(msgspec.Struct, frozen=True):
    """What is the same for all tasks of a run.

    `archive` is the file that workers were sent, `release` names this package's part of it;
    `folders` are where the job's files lie on the coordinator's machine.
    """

    archive: str
    release: str
    job: JobName
    limits: Limits
    schemas: tuple[Schema, ...]
    folders: tuple[str, ...] = ()


class Work(msgspec.Struct, frozen=True):
    """Run an attempt over these pieces, those that could be located.

    `divided`: of one object, of which there are more; `apart`: in a process of its own, since
    workers died.
    """

    number: int
    pieces: tuple[Piece, ...]
    locations: tuple[Location, ...]
    apart: bool = False
    divided: bool = False


class Fault(msgspec.Struct, frozen=True):
    """A split that came to nothing: `kind` is the error's consequence."""

    number: int
    kind: str
    message: str


class WorkAnswer(msgspec.Struct, frozen=True):
    """What came of some splits: one outcome of all whole objects, parts of divided ones, faults."""

    whole: Outcome | None = None
    parts: tuple[Outcome, ...] = ()
    faults: tuple[Fault, ...] = ()


encode: Final = msgspec.msgpack.Encoder().encode
_order: Final = msgspec.msgpack.Decoder(Order).decode
_work: Final = msgspec.msgpack.Decoder(Work).decode
decode_answer: Final = msgspec.msgpack.Decoder(WorkAnswer).decode


def run(order: bytes, work: bytes) -> bytes:
    """Run the attempt, and give an `WorkAnswer`."""
    return encode(answered(_order(order), _work(work), order))


def merge(order: bytes, *answers: bytes) -> bytes:
    """Make one `WorkAnswer` of many: partials merged, accounts added."""
    told = _order(order)
    return encode(joined([decode_answer(a) for a in answers], told.schemas, told.limits.max_keys))


def joined(answers: Sequence[WorkAnswer], schemas: Sequence[Schema], max_keys: int) -> WorkAnswer:
    """Merge answers; parts of divided objects are kept apart, since one may be bad."""
    parts = tuple(part for a in answers for part in a.parts)
    faults = tuple(fault for a in answers for fault in a.faults)
    wholes = [a.whole for a in answers if a.whole is not None]
    if len(wholes) <= 1:
        return WorkAnswer(wholes[0] if wholes else None, parts, faults)
    splits = tuple(sorted(n for w in wholes for n in w.splits))
    ledger = merged(w.ledger for w in wholes)
    try:
        total = partial.merge([encoding.unpack(w.partial, schemas) for w in wholes])
        partial.check_keys(total, max_keys, ledger.ok + len(ledger.quarantined), None)
    except MapReduceError as error:
        return WorkAnswer(None, parts, (*faults, Fault(splits[0], "job", str(error))))
    cost = sum((w.cost for w in wholes), Cost())
    return WorkAnswer(Outcome(splits, encoding.pack(total), ledger, cost), parts, faults)


def answered(order: Order, work: Work, raw_order: bytes) -> WorkAnswer:
    """Run the attempt; whatever goes wrong with it is a fault in the answer."""
    try:
        _check_folders(work.locations)
        _ready(order)
        with watched(_watch(order)):
            outcome = _apart(order, work) if work.apart else _attempt(order, work, raw_order)
    except MemoryError:
        return WorkAnswer(faults=(Fault(work.number, "killed", "out of memory"),))
    except Exception as error:  # noqa: BLE001 - said to the coordinator, whole
        kind = next((name for cls, name in KINDS if isinstance(error, cls)), "bug")
        message = str(error) if isinstance(error, MapReduceError) else _traced(error)
        return WorkAnswer(faults=(Fault(work.number, kind, message),))
    if work.divided:
        return WorkAnswer(parts=(outcome,))
    return WorkAnswer(outcome)


def _attempt(order: Order, work: Work, raw_order: bytes) -> Outcome:
    attempt = _bench.attempt(order, raw_order)
    started, waited = time.monotonic(), attempt.waited_s
    result, ledger = attempt.run(work.pieces, work.locations)
    raw = encoding.pack(result)
    waited = attempt.waited_s - waited
    cost = Cost(waited, time.monotonic() - started - waited, peak_bytes())
    return Outcome((work.number,), raw, ledger, cost)


def _apart(order: Order, work: Work) -> Outcome:
    where = {piece.ordinal: place for piece, place in zip(work.pieces, work.locations, strict=True)}
    assignment = Assignment(_placed(order), order.limits, lambda piece: where[piece.ordinal])
    split = Split(work.number, work.pieces)
    with contextlib.closing(Local(1).events(assignment, iter([split]))) as events:
        return next(event for event in events if isinstance(event, Outcome))


class _Bench(threading.local):
    """The attempts that a thread keeps ready."""

    def __init__(self) -> None:
        self._attempts: dict[bytes, AttemptRunner] = {}

    def attempt(self, order: Order, raw_order: bytes) -> AttemptRunner:
        """Give the attempt of an order, made anew where it is not kept."""
        if raw_order not in self._attempts:
            while len(self._attempts) >= KEPT:
                self._attempts.pop(next(iter(self._attempts))).close()
            try:
                job = _placed(order).load()
            except Exception as error:
                message = str(error) if isinstance(error, MapReduceError) else _traced(error)
                raise JobError(f"a worker process could not load the job: {message}") from error
            self._attempts[raw_order] = AttemptRunner(job, _reader(), order.limits)
        return self._attempts[raw_order]


_bench: Final = _Bench()
_guard: Final = threading.Lock()
_release: Final = release()  # of the code that this process has loaded
_kept_reader: list[Reader] = []
_archive_of: dict[str, str] = {}  # top of a job's code -> archive it was last loaded from


def _reader() -> Reader:
    with _guard:
        if not _kept_reader:
            _kept_reader.append(Reader())
        return _kept_reader[0]


def _ready(order: Order) -> None:
    """See that this process runs the coordinator's release, and finds the job's in its archive.

    Workers may outlive a run, and the next one may bring other code under the same names.
    """
    if order.release != _release:
        raise JobError(
            f"a worker runs release {_release} of this program, the coordinator {order.release}:"
            " install the same version there, and restart the workers"
        )
    with _guard:
        others = [t for t in tops(order.job.code) if _archive_of.get(t) != order.archive]
        if not others:
            return
        mine = [p for p in sys.path if Path(p).name == order.archive]
        sys.path[:] = [*mine, *(p for p in sys.path if p not in mine)]
        for top in others:
            loaded = [n for n in sys.modules if n == top or n.startswith(f"{top}.")]
            # Dask loads an archive's packages again, and leaves the modules in them as they were.
            if not all(_is_from(sys.modules[name], mine) for name in loaded):
                for name in loaded:
                    del sys.modules[name]
            _archive_of[top] = order.archive
        importlib.invalidate_caches()


def _watch(order: Order) -> Watch:
    """Watch the files of the archive, and of the folders it was made from: they may be here too."""
    here = [p for p in sys.path if Path(p).name == order.archive]
    return Watch(order.job.code, tuple(Path(one).absolute() for one in (*here, *order.folders)))


def _placed(order: Order) -> JobName:
    """Give the job's name with its side inputs where they are here: beside the archive.

    They are read to the end and compared when the job is loaded.
    """
    if not order.job.files:
        return order.job
    folder = next((Path(p).parent for p in sys.path if Path(p).name == order.archive), None)
    if folder is None:
        raise JobError(
            f"{order.archive}, which the engine should have sent to this worker, is missing"
        )
    files = {
        name: msgspec.structs.replace(seal, path=str(folder / seal.path))
        for name, seal in order.job.files.items()
    }
    return msgspec.structs.replace(order.job, files=files)


def _is_from(module: ModuleType, archives: Sequence[str]) -> bool:
    where = getattr(module, "__path__", None) or [getattr(module, "__file__", "")]
    return any(str(path).startswith(archive) for path in where for archive in archives)


def _check_folders(locations: Sequence[Location]) -> None:
    """See that a folder that is the source is here at all: else every object would seem gone."""
    for folder in {os.path.dirname(at.path) for at in locations if at.path is not None}:  # noqa: PTH120 - there may be thousands
        if not Path(folder).is_dir():
            raise StoreError(
                f"the worker on {os.uname().nodename} has no folder {folder}: a source folder"
                " must be at the same path on every worker (a shared file system); or use S3"
            )


def _traced(error: Exception) -> str:
    return "".join(traceback.format_exception(error)).rstrip()
