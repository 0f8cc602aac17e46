"""The moment in which a run ends: undisturbed, and known to whoever is interrupted after it.

Files are put in place in a few renames. A signal to end that comes between them is held back until
all are there; from then on the run is over, and nothing is left to go on with.
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
    """Forget what was finished before: another command begins."""
    _over.clear()


def finish(folder: Path) -> None:
    """Note that the run of a folder has its receipt."""
    _over[:] = [folder]


def finished() -> Path | None:
    """Give the folder of the run that is over, if one is."""
    return _over[0] if _over else None
