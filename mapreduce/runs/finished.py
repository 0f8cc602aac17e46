"""A finished run as its folder has it: a receipt that was checked, and files that are its own.

Whoever reads what a run wrote comes by here, so that nothing is made of files that were changed,
cut off, or are another run's. Nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mapreduce.errors import MapReduceError, UsageError
from mapreduce.runs import receipt_file
from mapreduce.runs.folder import typed
from mapreduce.runs.journal_file import NAME as JOURNAL
from mapreduce.runs.receipt_file import RECEIPT
from mapreduce.runs.report import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from mapreduce.runs.receipt_file import Receipt


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that has its receipt."""

    folder: Path
    receipt: Receipt
    said: dict[str, Any]
    """All that the receipt says."""

    def has(self, name: str) -> bool:
        """Whether the run wrote a file of this name."""
        return name in self.receipt.files

    def file(self, name: str) -> Path:
        """Give one of its files, once it is seen to be what the run wrote.

        Raises
        ------
        MapReduceError
            Where it is missing or was changed.
        """
        path, written = self.folder / name, self.receipt.files[name]
        if not path.is_file():
            raise MapReduceError(f"{path} is missing; run again to write it again")
        if (size := path.stat().st_size) != written.bytes:
            raise _changed(path, f"{written.bytes:,} bytes were written, there are {size:,} now")
        if (now := file_digest(path)) != written.sha256:
            raise _changed(
                path, f"the size is equal, but SHA-256 was {written.sha256}, and is {now} now"
            )
        return path


def finished_run(folder: Path) -> FinishedRun:
    """Give the finished run of a folder.

    Raises
    ------
    UsageError
        Where there is none, or one that is not finished.
    MapReduceError
        Where its receipt was changed.
    """
    if not (folder / RECEIPT).is_file():
        if (folder / JOURNAL).exists():
            raise UsageError(
                f"the run in {folder} is not finished: mapreduce resume {typed(folder)}"
            )
        raise UsageError(f"{folder} is not the --out folder of a run: it has no {RECEIPT}")
    return FinishedRun(folder, *receipt_file.read(folder / RECEIPT))


def _changed(path: Path, how: str) -> MapReduceError:
    return MapReduceError(f"{path} is not what the run wrote ({how}); run again to write it again")
