"""What is left by whoever is interrupted: a journal to go on with, or a run that is over.

A run ends undisturbed. Files are put in place in a few renames. A signal to end that comes between
them is held back until all are there; from then on the run is over, and nothing is left to go on
with.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_over: list[Path] = []  # the folder of the run that this process has finished
_kept: list[Path] = []  # the folder whose journal keeps what this process does


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold signals to end back until the block is left; elsewhere than in the main thread, none."""
    held: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        held.append(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for told in SIGNALS:
            if signal.getsignal(told) not in (signal.SIG_IGN, None):
                before[told] = signal.signal(told, hold)
    try:
        yield
    finally:
        for heard, handler in before.items():
            signal.signal(heard, handler)
    for first in held[:1]:
        signal.raise_signal(first)


def begin() -> None:
    """Forget what was kept and finished before: another command begins."""
    _over.clear()
    _kept.clear()


def keep(folder: Path) -> None:
    """Note that a journal in a folder keeps what is done from now on."""
    _kept[:] = [folder]


def is_kept() -> bool:
    """Tell whether the same command would go on with what is done."""
    return bool(_kept)


def finish(folder: Path) -> None:
    """Note that the run of a folder has its receipt."""
    _over[:] = [folder]


def finished() -> Path | None:
    """Give the folder of the run that is over, if one is."""
    return _over[0] if _over else None
