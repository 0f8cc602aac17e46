"""A run's folder, held by one process while it works there.

The kernel lets go of the lock with the process, however that ends; the file names the process. It
is removed while it is held, so whoever locks one that is not the folder's any more asks anew.
"""

from __future__ import annotations

import fcntl
import os
from typing import IO, TYPE_CHECKING, Final

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

CLAIM: Final = "journal.lock"


def claimed(folder: Path) -> IO[str]:
    """Keep others from running in this folder until what is given is closed.

    Raises
    ------
    UsageError
        Where another run is at work in it.
    """
    path = folder / CLAIM
    while True:
        claim = path.open("a")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            claim.close()
            raise UsageError(
                f"another run is at work in {folder}: choose another --out, or wait for it"
            ) from None
        if _is_at(claim, path):
            claim.truncate(0)
            claim.write(str(os.getpid()))
            claim.flush()
            return claim
        claim.close()  # whoever had it has removed it since


def claimant(folder: Path) -> int | None:
    """Tell which process last had a folder for itself, if any did."""
    try:
        return int((folder / CLAIM).read_text())
    except (OSError, ValueError):
        return None


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
