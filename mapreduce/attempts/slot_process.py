"""A slot's process as seen by whoever holds its pipes: started, fed, killed, buried.

It blocks: a thread each. A process that dies is replaced when the next work comes. How it ended,
with what peak memory and at which object, is told and not judged.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Final

import msgspec

from mapreduce.attempts.slot_messages import (
    NO_SCHEMAS,
    OUT_OF_MEMORY,
    Begin,
    Done,
    Failed,
    Reached,
    Ready,
    Work,
    receive,
    send,
)
from mapreduce.errors import JobError, MapReduceError
from mapreduce.interpreter import command
from mapreduce.machine import is_stopped, memory_kills, peak_bytes
from mapreduce.objects import Awaited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mapreduce.tables.table import Schema


STARTS: Final = 3  # tries to start a process, in a row, before whoever holds it gives up
START_PAUSE_S: Final = 0.5
START_PATIENCE_S: Final = 60.0  # where processes could be started before
STOPPED_S: Final = 20.0  # of a process that a signal has stopped while it was at work
# One thread for numpy, since there is a slot a core. Memory of blocks is used again: given back to
# the system after each it would be cleared anew for the next, a sixth of the time of reading CSV.
USUAL: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(16 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}
FRESH: Final = 3  # processes that work is given to, where the one before was stopped


class StartError(MapReduceError):
    """The process ended before it could take work: no object is to blame."""


class StartPatience:
    """How long to try where processes end before they are ready.

    What ends one is not the work's fault. Where none was ever ready it is the job that can't be
    loaded; else something outside ends them, and may stop doing so.

    Attributes
    ----------
    tries
        How many have ended so, in a row.
    """

    def __init__(self) -> None:
        self.tries = 0
        self._until = time.monotonic() + START_PATIENCE_S

    def is_over(self, *, ever: bool) -> bool:
        """Count one more; tell whether to give up. `ever`: whether one was ready before."""
        self.tries += 1
        return self.tries >= STARTS and (not ever or time.monotonic() >= self._until)


class CancelledError(MapReduceError):
    """The work was cancelled before it was done."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a process ended: its exit code (minus the signal), and its peak memory in bytes.

    `ordinal` is the object it last told of, None where it told of none. `bound` is set where the
    peak may have been this process's own: Linux counts in what a parent had when it started one.
    `sent` is set where the kernel is known to have killed nothing for want of memory meanwhile.
    """

    code: int
    peak_bytes: int
    bound: bool = False
    ordinal: int | None = None
    sent: bool = False

    @property
    def signal(self) -> int | None:
        """The signal that ended it, if one did."""
        return -self.code if self.code < 0 else None

    def __str__(self) -> str:
        bound = "at most " if self.bound else ""
        peak = f"{bound}{self.peak_bytes / 2**20:,.0f} MiB"
        return f"{_how(self.code, sent=self.sent)}, peak memory {peak}"


class SlotProcess:
    """One slot.

    Parameters
    ----------
    begin
        What each process is told first.
    environ
        Its environment; None for ours. What it doesn't say of `USUAL` is as there.
    grouped
        Whether it stays in our process group, and so gets our terminal's Ctrl-C.
    said_bytes
        How much of what a process says on standard error is passed on; None for all of it.
    """

    def __init__(
        self,
        begin: Begin,
        environ: Mapping[str, str] | None = None,
        *,
        grouped: bool = False,
        said_bytes: int | None = None,
    ) -> None:
        self._schemas = NO_SCHEMAS
        self._begin = begin
        self._environ = os.environ if environ is None else environ
        self._grouped = grouped
        self._said_bytes = said_bytes
        self.ready_at: float | None = None  # the first process, on the monotonic clock
        self._own_peak_bytes = 0
        self._memory_kills: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()
        self._burial = threading.Lock()  # whoever ends it later waits until it is gone
        self._stopped = False
        self._at: int | None = None  # number of the work it is at
        self._doomed: int | None = None  # number of the work last cancelled
        self._stopped_at: float | None = None  # since when the process has been seen to be stopped
        self._put_down = False  # it was ended for that

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """The job's tables, once a process has been ready."""
        from mapreduce.tables.table import Schema  # noqa: PLC0415 - an agent loads no numpy, and has no use for them

        return msgspec.msgpack.decode(self._schemas, type=tuple[Schema, ...])

    @property
    def pid(self) -> int | None:
        """Id of the present process, if there is one."""
        process = self._process
        return None if process is None else process.pid

    @property
    def alive(self) -> bool:
        """Whether there is a process, and it has not ended."""
        process = self._process
        return process is not None and process.poll() is None

    def cancel(self, number: int) -> None:
        """End the work of this number wherever it is: running, starting, or still to come."""
        with self._guard:
            self._doomed = number
            if self._at == number:
                self._kill()

    def stop(self) -> None:
        """End the process at once, and start none any more."""
        with self._guard:
            self._stopped = True
            self._kill()

    def look_after(self) -> None:
        """End a process that a signal has stopped for long while it was at work: call now and then.

        Nobody may continue it, and the run would wait. Its work is then given to another.
        """
        now = time.monotonic()
        with self._guard:
            process = self._process
            if process is None or self._at is None or not is_stopped(process.pid):
                self._stopped_at = None
            elif self._stopped_at is None:
                self._stopped_at = now
            elif now - self._stopped_at >= STOPPED_S and process.returncode is None:
                self._put_down = True
                process.kill()

    def run(
        self,
        work: Work,
        on_reached: Callable[[Reached], None],
        on_awaited: Callable[[Awaited], None] = lambda _: None,
    ) -> Done | Failed | Death:
        """Have the work done, telling how far it is, and of a store that says nothing meanwhile.

        Raises
        ------
        JobError
            Where the process could not load the job.
        StartError
            Where it ended before it was ready.
        CancelledError
            Where the work was cancelled: its process is gone, if it had begun.
        """
        with self._guard:
            if self._doomed == work.number:
                raise CancelledError(f"work {work.number} was cancelled before it began")
            self._at = work.number
        try:
            for _ in range(FRESH):
                self._put_down = False
                answer = self._run(work, on_reached, on_awaited)
                if not self._put_down:
                    break
            return answer
        finally:
            with self._guard:
                self._at = None
                doomed = self._doomed == work.number
            if doomed:
                self.end()
                raise CancelledError(f"work {work.number} was cancelled")

    def _run(
        self,
        work: Work,
        on_reached: Callable[[Reached], None],
        on_awaited: Callable[[Awaited], None],
    ) -> Done | Failed | Death:
        process = self.start()
        ordinal: int | None = None
        try:
            send(_in(process), work)
            while isinstance(answer := receive(_out(process)), Reached | Awaited):
                if isinstance(answer, Awaited):
                    on_awaited(answer)
                    continue
                ordinal = answer.ordinal
                on_reached(answer)
        except BrokenPipeError:
            answer = None
        if isinstance(answer, Done | Failed):
            return answer
        death = self.end()
        if death is None:
            raise MapReduceError("a slot's process was removed while it was working")
        return replace(death, ordinal=ordinal)

    def _kill(self) -> None:
        """End the process; the guard is held."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def start(self) -> subprocess.Popen[bytes]:
        """Have a process that is ready for work.

        Raises
        ------
        JobError, StartError
            As `run`.
        """
        if self._process is not None:
            if self._process.poll() is None:
                return self._process
            self.end()  # it died with nothing to do, so nothing is to blame
        with self._guard:
            if self._stopped:
                raise MapReduceError("the slot has been stopped")
            if self._at is not None and self._at == self._doomed:
                raise StartError("its work was cancelled")
            path = os.pathsep.join(self._begin.path)
            self._own_peak_bytes = peak_bytes()
            self._memory_kills = memory_kills()
            process = self._process = subprocess.Popen(
                command("mapreduce.attempts.slot"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if self._said_bytes is None else subprocess.PIPE,
                process_group=None if self._grouped else 0,
                env={**USUAL, **self._environ, "PYTHONPATH": path},
            )
        if process.stderr is not None:
            args = (process.stderr, self._said_bytes)
            threading.Thread(target=_pass_on, args=args, name="said", daemon=True).start()
        try:
            send(_in(process), self._begin)
            answer = receive(_out(process))
        except BrokenPipeError:
            answer = None
        if isinstance(answer, Failed):
            self.end()
            raise JobError(f"a worker process could not load the job: {answer.message}")
        if not isinstance(answer, Ready):
            raise StartError(f"a worker process ended before it was ready: {self.end()}")
        self._schemas = answer.schemas
        self.ready_at = self.ready_at or time.monotonic()
        return process

    def end(self) -> Death | None:
        """Close the pipes, wait for the process to end, and say how it did.

        None where there is none, or another thread ended it: it is gone in either case.
        """
        with self._burial:
            with self._guard:
                process, self._process = self._process, None
            return None if process is None else self._buried(process)

    def _buried(self, process: subprocess.Popen[bytes]) -> Death:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        if process.returncode is not None:
            return Death(process.returncode, 0, bound=True, sent=self._is_spared())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        bound = peak <= self._own_peak_bytes
        return Death(process.returncode, peak, bound=bound, sent=self._is_spared())

    def _is_spared(self) -> bool:
        """Whether the kernel is known to have killed nothing since the process was started."""
        return self._memory_kills is not None and self._memory_kills == memory_kills()


def _pass_on(source: IO[bytes], most_bytes: int) -> None:
    """Pass on the first of what a process says, and take in the rest so that it can go on."""
    with source:
        while said := os.read(source.fileno(), 1 << 16):
            if most_bytes <= 0:
                continue
            if len(said) > most_bytes:
                said = said[:most_bytes] + b"\n(it says more, which is left out)\n"
                most_bytes = 0
            most_bytes -= len(said)
            with contextlib.suppress(OSError):  # nobody reads it: no reason to stop
                os.write(2, said)


def _in(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise MapReduceError("a slot was started without pipes")
    return process.stdin


def _out(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise MapReduceError("a slot was started without pipes")
    return process.stdout


def _how(code: int, *, sent: bool) -> str:
    if code == OUT_OF_MEMORY:
        return "out of memory within its limit"
    if code >= 0:
        return f"exit code {code}"
    hint = ""
    if code == -signal.SIGKILL:
        hint = (
            " (sent by another process)"
            if sent
            else " (perhaps by the kernel, because memory was low)"
        )
    return f"signal {signal.Signals(-code).name}{hint}"
