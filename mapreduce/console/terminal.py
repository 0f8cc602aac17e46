"""What a command line shows while it works, and what follows from an error.

Bars with rate and time left on a terminal, plain lines when piped; all of it on standard error,
so that standard output holds results alone. An error of ours is one message and an exit code:
1 failed, 2 wrong use, 3 over a limit, 130 interrupted, 143 ended by SIGTERM. It decides nothing
about the run.
"""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

from mapreduce.console import early
from mapreduce.console.host_table import HostChanges, table
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.output import say
from mapreduce.runs import publishing
from mapreduce.safe_text import in_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import RenderableType
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

    from mapreduce.cluster.coordinator.status import Status
    from mapreduce.runs.progress import Progress

FAILED: Final = 1
WRONG_USE: Final = 2
OVER_LIMIT: Final = 3
INTERRUPTED: Final = 130
PLAIN_EVERY_S: Final = 5.0
MEGA: Final = 1e6


@contextlib.contextmanager
def consequences() -> Iterator[None]:
    """Turn an error, or a signal to end, into its message on standard error and its exit code."""
    try:
        publishing.begin()
        with _heard():
            yield
    except ToldToEnd as told:
        _say(f"ended by {told.name}; {_left()}")
        raise SystemExit(told.code) from None
    except KeyboardInterrupt:
        _say(f"interrupted; {_left()}")
        raise SystemExit(INTERRUPTED) from None
    except UsageError as error:
        _say(f"error: {error}")
        raise SystemExit(WRONG_USE) from None
    except MapReduceError as error:
        _say(f"error: {error}")
        raise SystemExit(FAILED) from None
    except BrokenPipeError:
        raise SystemExit(FAILED) from None
    except MemoryError:
        _say("error: this process ran out of memory")
        raise SystemExit(FAILED) from None
    except OSError as error:
        _say(f"error: {_told(error)}")
        raise SystemExit(FAILED) from None


def _left() -> str:
    """Say what is left to do by whoever was interrupted."""
    folder = publishing.finished()
    if folder is not None:
        return f"the run was already finished: its files and its receipt are in {folder}"
    if publishing.is_kept():
        return "the same command resumes the run"
    return "type the same command again"


def _told(error: OSError) -> str:
    """Say what of this machine failed, where, and what to do, as far as the error knows."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return str(error)
    where = error.filename or (
        "the disk of --out, of temporary files (TMPDIR) or of the redirected output"
    )
    again = "type the same command again" + (": it resumes the run" * publishing.is_kept())
    return f"{where}: {error.strerror}. Free some space there and {again}"


class ToldToEnd(KeyboardInterrupt):
    """A signal to end came, as Ctrl-C does: processes end, and what was committed stays."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.name = signal.Signals(number).name
        self.code = 128 + number


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """Hear SIGTERM and SIGHUP, where nobody else does and whoever started us did not forbid it."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGINT) is early.end:
            before[signal.SIGINT] = early.end
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.SIG_DFL
                signal.signal(number, _end)
    try:
        yield
    finally:
        for heard, handler in before.items():
            signal.signal(heard, handler)


def _end(number: int, _: object) -> None:
    raise ToldToEnd(number)


def _say(text: str) -> None:
    say(text, err=True)


class Terminal:
    """Shows progress of phases: call it with each `Progress`; use it in a `with`.

    Parameters
    ----------
    quiet
        Show nothing.
    engine
        Where attempts run: if it has hosts, they are shown.
    """

    def __init__(self, *, quiet: bool = False, engine: object = None) -> None:
        self._quiet = quiet
        self._engine = engine
        self._hosts = HostChanges()
        self._bars: RichBars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, tuple[float, bool]] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr is not None and sys.stderr.isatty():
            self._bars = _bars(self._status)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show how far a phase is."""
        if self._quiet:
            return
        if self._bars is None:
            self._line(progress)
            status = self._status()
            for line in self._hosts.of(status) if status is not None else ():
                _say(line)
            return
        task = self._tasks.get(progress.phase)
        if task is None:
            task = self._bars.add_task(progress.phase, total=None, unit=progress.unit, note="")
            self._tasks[progress.phase] = task
        self._bars.update(
            task, completed=progress.done, total=progress.total, note=in_line(progress.note)
        )

    def say(self, text: str) -> None:
        """Show a line that stays, above the bars where there are any."""
        if self._quiet:
            return
        if self._bars is None:
            _say(text)
        else:
            self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def _status(self) -> Status | None:
        """Give how the engine's hosts fare, where it has any."""
        status: Status | None = getattr(self._engine, "status", None)
        return status

    def _line(self, progress: Progress) -> None:
        now = time.monotonic()
        last, ended = self._told.get(progress.phase, (self._began, False))
        over = progress.total is not None and progress.done >= progress.total
        waits = ended and bool(progress.note)  # for what is read and not yet handed in
        if (ended and not waits) or ((waits or not over) and now - last < PLAIN_EVERY_S):
            return
        self._told[progress.phase] = (now, over)
        seconds = max(now - self._began, 1e-3)
        parts = [f"{progress.phase}: {_part(progress.done, progress.total, progress.unit)}"]
        if progress.note:
            parts.append(f"({progress.note})")
        parts.append(f"after {seconds:.1f} s")
        _say(" ".join(parts))


def amount(count: float, unit: str) -> str:
    """Give a number with its unit: bytes as MB, the rest with thousands apart."""
    return f"{count / MEGA:,.1f} MB" if unit == "bytes" else f"{count:,.0f} {unit}"


def _part(done: float, total: float | None, unit: str) -> str:
    if total is None:
        return amount(done, unit)
    return f"{amount(done, unit).rpartition(' ')[0]} of {amount(total, unit)}"


def _bars(status: Callable[[], Status | None]) -> RichBars:
    # Rich takes a while to load, and a pipe never needs it.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import (  # noqa: PLC0415 - see above
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text  # noqa: PLC0415 - see above

    class Done(ProgressColumn):
        """How much is done of how much."""

        def render(self, task: Task) -> Text:
            unit = str(task.fields["unit"])
            return Text(_part(task.completed, task.total, unit))

    class Rate(ProgressColumn):
        """How much a second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            unit = str(task.fields["unit"])
            return Text("" if not speed else f"{amount(speed, unit)}/s", style="cyan")

    class Bars(Progress):
        """The bars, and below them the hosts."""

        def get_renderables(self) -> Iterable[RenderableType]:
            yield from super().get_renderables()
            known = status()
            if known is not None:
                yield table(known)

    return Bars(
        TextColumn("{task.description:>5}"),
        BarColumn(bar_width=32),
        Done(),
        Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=Console(stderr=True),
        refresh_per_second=8,
    )
