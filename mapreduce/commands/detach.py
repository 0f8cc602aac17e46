"""A run in the background: the same command again, without `--detach`, in a session of its own.

No terminal that closes ends it. What it says is in `run.log` in the run's folder. It is waited for
until it has that folder for itself; one that ends before tells why, as if it had run here. How to
follow it, to stop it and to go on with it is told; nothing here knows what runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

from mapreduce.commands.once import DETACH
from mapreduce.commands.saved_command import become
from mapreduce.interpreter import command, environment
from mapreduce.output import say
from mapreduce.runs.folder import typed as typed_path
from mapreduce.runs.folder_lock import claimant, made, unusable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mapreduce.commands.saved_command import Typed

LOG: Final = "run.log"
POLL_S: Final = 0.05
LAST_BYTES: Final = 1 << 14


def leave_running(folder: Path, program: str, *, hosts: bool, typed: Typed | None = None) -> None:
    """Start the command that was typed anew, and say how to follow it.

    Parameters
    ----------
    folder
        The run's.
    program
        `mapreduce` or `roadspeed`.
    hosts
        Whether it runs over hosts, so that its control socket stops it.
    typed
        Another command than this process' own.
    """
    words = sys.argv[1:] if typed is None else typed.arguments
    new = not folder.exists()
    made(folder)
    path = folder / LOG
    with _appended(path) as log:
        before = log.tell()
        process = _started(program, words, log, None if typed is None else typed.folder)
    while claimant(folder) != process.pid:
        code = _polled(process)
        if code is None:
            continue
        said = path.read_bytes()[before:].decode(errors="replace")
        if code and not before:
            path.unlink()
        if code and new:
            with suppress(OSError):  # it left something: that stays
                folder.rmdir()
        say(said, end="", err=bool(code))
        raise SystemExit(code)
    process.returncode = 0  # it is left to itself: nobody waits for it
    shown = typed_path(folder)
    end = f"mapreduce cluster stop --out {shown}" if hosts else f"kill {process.pid}"
    say(
        f"running in the background as process {process.pid}; its output is in {path}\n"
        f"  progress        mapreduce status {shown}\n"
        f"  watch           tail -f {typed_path(path)}\n"
        f"  stop            {end}\n"
        f"  resume          mapreduce resume {shown}"
    )


def type_again(folder: Path, typed: Typed, *, detach: bool) -> None:
    """Type a command of a run again, here or in the background."""
    if detach:
        leave_running(folder, typed.program, hosts=typed.over_hosts, typed=typed)
    else:
        become(typed.program, typed.arguments, typed.folder)


def _polled(process: subprocess.Popen[bytes]) -> int | None:
    """Wait a moment; nothing is left behind by whoever is interrupted before it was told of it."""
    try:
        time.sleep(POLL_S)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    return process.poll()


def _appended(path: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise unusable(path.parent, error) from None


def last_words(folder: Path) -> str | None:
    """Give the last line that a run in the background said, where there is one."""
    try:
        with (folder / LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)


def _started(
    program: str, words: Sequence[str], log: IO[bytes], folder: str | None
) -> subprocess.Popen[bytes]:
    words = [word for word in words if word != DETACH]
    return subprocess.Popen(
        command(f"{program}.cli", *words),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
