"""A slot: the process that runs attempts, one at a time, for whoever holds its pipes.

It reads msgpack messages from standard input and writes them to standard output, each with its
length before it; nothing executable is sent. It ends when its input ends, in the middle of an
attempt too, so no slot outlives its parent. A job sees an empty input, and what it prints goes to
standard error. It decides nothing: a fault is reported, and what follows from it is its parent's
business.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import msgspec

from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.attempts.slot_messages import (
    OUT_OF_MEMORY,
    Begin,
    Done,
    Failed,
    Message,
    Peer,
    Reached,
    Ready,
    Work,
    receive,
    send,
)
from mapreduce.errors import ExpiredError, JobError, MapReduceError, StoreError
from mapreduce.job.code_guard import Guard
from mapreduce.job.loader import loading
from mapreduce.ledger import Cost
from mapreduce.limits import MapError
from mapreduce.machine import peak_bytes
from mapreduce.objects import Awaited
from mapreduce.objects.reader import Reader
from mapreduce.objects.trusted import Trusted
from mapreduce.safe_text import PrintedOut
from mapreduce.tables import encoding

if TYPE_CHECKING:
    from mapreduce.plan import Piece

TELL_EVERY_S: Final = 0.2
WATCH_EVERY_S: Final = 1.0  # of a store that says nothing
LAST_WORDS_S: Final = 1.0  # for an idle slot to end by itself, when its parent is gone


class _Sink:
    """Where messages go, whole, from whichever thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        with self._lock:
            send(self._stream, message)


class _Teller:
    """Tells how far an attempt is: a few times a second, or at each object."""

    def __init__(self, sink: _Sink, work: Work, reader: Reader) -> None:
        self._sink = sink
        self._reader = reader
        self._number = work.number
        self._every_s = 0.0 if work.careful else TELL_EVERY_S
        self._told = time.monotonic()
        self._objects = 0
        self._bytes = 0
        self._last_bytes = 0

    def on_object(self, piece: Piece) -> None:
        """Count the object before this one as done."""
        self._bytes += self._last_bytes
        self._last_bytes = piece.read_bytes
        now = time.monotonic()
        if now - self._told >= self._every_s:
            self._told = now
            told = (piece.ordinal, self._objects, self._bytes)
            reader = self._reader
            of_store = (reader.slow_downs, reader.silent_nodes)
            self._sink.send(Reached(self._number, *told, *of_store))
        self._objects += 1


def _watch(reader: Reader, sink: _Sink) -> None:
    """Tell while nothing comes from a store that is read, which the reading thread cannot."""
    told = False
    with contextlib.suppress(OSError):  # the parent is gone, and this process with it
        while True:
            time.sleep(WATCH_EVERY_S)
            awaited = reader.awaited
            if awaited is not None or told:
                sink.send(awaited or Awaited())
            told = awaited is not None


def serve(source: IO[bytes], stream: IO[bytes]) -> None:
    """Run attempts until the source ends."""
    begin, sink = receive(source), _Sink(stream)
    if not isinstance(begin, Begin):
        return
    inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, inbox), name="listen", daemon=True).start()
    sys.path[:] = [*begin.path, *(p for p in sys.path if p not in begin.path)]
    _stand_back(begin)
    with loading(begin.job.reference):  # in `map`, too, no run may begin
        _attend(begin, sink, inbox)


def _attend(begin: Begin, sink: _Sink, inbox: queue.SimpleQueue[Message | None]) -> None:
    try:
        Guard(begin.job.code, begin.job.reference).install()
        job = begin.job.load()
        reader = _reader(begin.peer)
        attempt, schemas = AttemptRunner(job, reader, begin.limits), job.schemas()
    except Exception as error:  # noqa: BLE001 - a job's module may raise anything
        sink.send(Failed(-1, "job", _told(error)))
        return
    gc.freeze()  # what is loaded by now stays: no collection need look at it again
    sink.send(Ready(msgspec.Raw(msgspec.msgpack.encode(schemas))))
    watched = False
    try:
        while isinstance(work := inbox.get(), Work):
            if not watched and any(place.url is not None for place in work.locations):
                watched = True
                threading.Thread(target=_watch, args=(reader, sink), daemon=True).start()
            answer = _run(attempt, work, _Teller(sink, work, reader))
            of_store = {"slow_downs": reader.slow_downs, "silent_nodes": reader.silent_nodes}
            sink.send(msgspec.structs.replace(answer, **of_store))
            del answer
    finally:
        attempt.close()


def _listen(source: IO[bytes], inbox: queue.SimpleQueue[Message | None]) -> None:
    """Hand on what comes; when nothing can come any more, end this process whatever it is at."""
    while (message := receive(source)) is not None:
        inbox.put(message)
    inbox.put(None)
    time.sleep(LAST_WORDS_S)
    os._exit(0)


def _run(attempt: AttemptRunner, work: Work, teller: _Teller) -> Done | Failed:
    try:
        attempt.set_requests(work.requests)
        started, waited = time.monotonic(), attempt.waited_s
        partial, ledger = attempt.run(work.pieces, work.locations, teller.on_object)
        raw = encoding.pack(partial)
        waited = attempt.waited_s - waited
        cost = Cost(waited, time.monotonic() - started - waited, peak_bytes())
        return Done(work.number, raw, ledger, cost)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # unwinding needs memory too; the parent narrows it down
    except ExpiredError as error:
        return Failed(work.number, "expired", str(error))
    except StoreError as error:
        return Failed(work.number, "store", str(error))
    except MapError as error:
        return Failed(work.number, "map", str(error))
    except JobError as error:
        return Failed(work.number, "job", str(error))
    except Exception as error:  # noqa: BLE001 - said to the parent, whole
        return Failed(work.number, "bug", _told(error))


def _told(error: Exception) -> str:
    if isinstance(error, MapReduceError):
        return str(error)
    return "".join(traceback.format_exception(error)).rstrip()


def _reader(peer: Peer | None) -> Reader:
    if peer is None:
        return Reader()
    from mapreduce.tls import Identity, client_context  # noqa: PLC0415 - on a cluster alone

    pem = (raw.decode("ascii") for raw in (peer.authority, peer.certificate, peer.key))
    context = client_context(Identity("", *pem))
    return Reader(trusted=Trusted(peer.origin, context, peer.server_name))


def _stand_back(begin: Begin) -> None:
    """Keep to the memory and the share of the processor that we may have."""
    if begin.memory_bytes:
        import resource  # noqa: PLC0415 - POSIX only, and only where a limit is asked for

        resource.setrlimit(resource.RLIMIT_DATA, (begin.memory_bytes, begin.memory_bytes))
    if begin.nice > os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, begin.nice)


def main() -> None:
    """Serve on standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the parent, which ends us
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # a job that reads its input must not take our messages
    os.dup2(2, 1)  # a job's print must not end up between messages
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is not None:
            setattr(sys, name, PrintedOut(getattr(sys, name)))
    with contextlib.suppress(BrokenPipeError):
        serve(source, sink)
    for said in (sys.stdout, sys.stderr):  # by the job
        if said is not None:
            with contextlib.suppress(OSError):
                said.flush()
    os._exit(0)  # there is nothing to tidy, and taking numpy down in order takes its time


if __name__ == "__main__":
    main()
