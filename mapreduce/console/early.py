"""Ctrl-C while a command still loads: one line, and its exit code.

Imported before all else by a module that is a command, and of no effect anywhere else. Nothing is
open yet that would have to be closed. `consequences` takes over for the time of the work.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

COMMANDS: Final = ("mapreduce", "roadspeed")
CODE: Final = 130


def end(_: int, __: FrameType | None) -> None:
    """End at once."""
    os.write(2, b"interrupted\n")
    os._exit(CODE)


def _is_command() -> bool:
    """Whether this process is a command line of ours, as a program or by `python -m`."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    named = Path(sys.argv[0]).name if sys.argv else ""
    if spec is None:
        return named in COMMANDS
    return str(spec.name) in {f"{name}.cli" for name in COMMANDS}


if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end)
