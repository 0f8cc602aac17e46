"""A run's folder, held by one process while it works there.

The kernel lets go of the lock with the process, however that ends; the file names the process. It
is removed while it is held, so whoever locks one that is not the folder's any more asks anew.
Steps of one run claim it one after the other: within `holding` nobody else comes in between.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Final, Self

from mapreduce.errors import MapReduceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLAIM: Final = "journal.lock"
FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)

_kept: ContextVar[dict[Path, IO[str]] | None] = ContextVar("kept", default=None)


class FolderLock:
    """A folder that is held until this is closed, or the `holding` ends within which it is."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path = path
        self._file: IO[str] | None = file

    def close(self) -> None:
        """Let go of it; within `holding`, leave it to the next step."""
        file, self._file = self._file, None
        kept = _kept.get()
        if file is not None and kept is not None:
            kept[self._path] = file
        elif file is not None:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def holding() -> Iterator[None]:
    """Keep folders that are claimed within, by this thread, until the end of the block."""
    kept: dict[Path, IO[str]] = {}
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)
        for file in kept.values():
            file.close()


def made(folder: Path) -> None:
    """Make a run's folder where there is none.

    Raises
    ------
    UsageError, MapReduceError
        As `unusable` gives them.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(folder, error) from None


def unusable(folder: Path, error: OSError) -> MapReduceError:
    """Give what is said of a run's folder that cannot be written in: what to type or to mend."""
    if error.errno in NO_ROOM:
        return MapReduceError(
            f"the disk of {folder} is full: free some space there and type the same command"
            " again; it resumes the run"
        )
    if isinstance(error, FileExistsError | NotADirectoryError):
        return UsageError(f"--out {folder} is not a folder, or is below a file: choose another")
    return UsageError(
        f"--out {folder} is not writable ({error.strerror}): choose a folder in which you may write"
    )


def claimed(folder: Path) -> FolderLock:
    """Keep others from running in this folder until what is given is closed.

    Raises
    ------
    UsageError
        Where another run is running in it, or nobody may write in it.
    MapReduceError
        Where its disk is full.
    """
    path = folder.resolve() / CLAIM
    before = (_kept.get() or {}).pop(path, None)
    if before is not None:
        if _is_at(before, path):
            return FolderLock(path, before)
        before.close()  # the step before has removed it: the run was over
    while True:
        claim = _opened(path)
        if not _locked(claim, fcntl.LOCK_EX):
            run = not _locked(claim, fcntl.LOCK_SH)  # else somebody only asks, for a moment
            claim.close()
            if run:
                raise UsageError(
                    f"another run is running in {folder}: choose another --out, or wait for it"
                )
            continue
        if _is_at(claim, path):
            _sign(claim, folder)
            return FolderLock(path, claim)
        claim.close()  # whoever had it has removed it since


def _locked(claim: IO[str], how: int) -> bool:
    try:
        fcntl.flock(claim, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _opened(path: Path) -> IO[str]:
    try:
        return os.fdopen(os.open(path, FLAGS, 0o600), "a")  # others may not even lock it
    except OSError as error:
        raise unusable(path.parent, error) from None


def _sign(claim: IO[str], folder: Path) -> None:
    """Write down whose claim it is."""
    try:
        claim.truncate(0)
        os.write(claim.fileno(), str(os.getpid()).encode())
    except OSError as error:
        claim.close()
        raise unusable(folder, error) from None


def claimant(folder: Path) -> int | None:
    """Tell which process last had a folder for itself, if any did."""
    try:
        return int((folder / CLAIM).read_text())
    except (OSError, ValueError):
        return None


def holder(folder: Path) -> int | None:
    """Tell which process is at work in a folder now: None where none is, 0 where it has no name."""
    try:
        with (folder / CLAIM).open() as claim:
            return None if _locked(claim, fcntl.LOCK_SH) else int(claim.read() or 0)
    except (OSError, ValueError):
        return None


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
