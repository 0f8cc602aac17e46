"""`status`, `verify`, `resume`: what the folder of a run tells, during it and afterwards.

A run is finished where there is its receipt, and can be gone on with where there is its journal;
both may be there, of two runs. Where there is neither, what is left of it is told, never that it is
finished. Nothing is written here.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mapreduce.commands import saved_command
from mapreduce.commands.detach import LOG, last_words
from mapreduce.commands.once import RETRY
from mapreduce.console.summary import summary
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.runs import receipt_file
from mapreduce.runs.finished import finished_run
from mapreduce.runs.folder import typed as typed_path
from mapreduce.runs.folder_lock import holder
from mapreduce.runs.journal import NAME, progress_of
from mapreduce.runs.journal_file import COMMAND
from mapreduce.runs.receipt_file import RECEIPT
from mapreduce.runs.report import REPLACED
from mapreduce.runs.sums import PARTIAL

if TYPE_CHECKING:
    from pathlib import Path


def status(folder: Path) -> str:
    """Say whether a run is finished, at work, or how far it was when it ended.

    Raises
    ------
    UsageError
        Where the folder is no run's.
    MapReduceError
        Where its journal or receipt is damaged.
    """
    unfinished = _unfinished(folder)
    if not (folder / RECEIPT).exists():
        if unfinished is None:
            raise _nothing_in(folder)
        return unfinished
    receipt, said = receipt_file.read(folder / RECEIPT)
    if unfinished is not None:
        return (
            f"{unfinished}\nThe files here belong to an earlier run, {receipt.run}, which is"
            " finished"
        )
    told = f"finished\n{summary(said)}"
    log = folder / LOG
    if log.exists() and log.stat().st_mtime > (folder / RECEIPT).stat().st_mtime:
        words = last_words(folder) or ""
        if words.startswith("error:"):
            told += f"\nA later run in the background failed.{_last_words(folder)}"
    return told


def to_resume(folder: Path) -> saved_command.Typed | None:
    """Give the command that goes on with the run of a folder; None where that is finished.

    Raises
    ------
    UsageError
        Where the folder is no run's, or that run ended and left nothing to go on with.
    MapReduceError
        Where the receipt of a finished run is damaged.
    """
    if (folder / NAME).exists():
        return saved_command.remembered(folder)
    if (folder / RECEIPT).exists():
        receipt_file.read(folder / RECEIPT)
        return None
    raise _nothing_in(folder)


def to_retry(folder: Path) -> saved_command.Typed | None:
    """Give the command that tries quarantined objects again; None where there are none.

    Raises
    ------
    UsageError
        Where the folder holds no finished run, or one that is not finished.
    """
    unfinished = _unfinished(folder)
    if unfinished is not None:
        raise UsageError(f"the run in {folder} is {unfinished}")
    if not (folder / RECEIPT).exists():
        raise _nothing_in(folder)
    receipt, said = receipt_file.read(folder / RECEIPT)
    if said.get("added"):
        runs = ", ".join(one["folder"] for one in said["added"])
        raise UsageError(
            f"{folder} was made of other runs by `add`: retry those ({runs}), and add them again"
        )
    return saved_command.remembered(folder).told(RETRY) if receipt.objects.quarantined else None


def verified(folder: Path) -> str:
    """Check a finished run's receipt, its account and its files.

    Raises
    ------
    MapReduceError
        Naming the file or number that is not as it was written, or saying that no run is finished.
    """
    unfinished = _unfinished(folder)
    if not (folder / RECEIPT).exists():
        if unfinished is None:
            raise _nothing_in(folder)
        raise MapReduceError(
            f"there is nothing to verify yet: no {RECEIPT}: the run is {unfinished}"
        )
    run = finished_run(folder)
    receipt = run.receipt
    for name in receipt.files:
        run.file(name)
    sums = receipt.files.get(PARTIAL)
    if sums is not None and receipt.digest != f"sha256:{sums.sha256}":
        raise MapReduceError(
            f"{folder / PARTIAL} does not hold the sums of this run: its SHA-256 is"
            f" {sums.sha256}, and the digest in the receipt is {receipt.digest}"
        )
    told = (
        f"the receipt of run {receipt.run} is complete and balances, and"
        f" {len(receipt.files)} files are unchanged"
    )
    return told if unfinished is None else f"{told}\nA later run in this folder is {unfinished}"


def _unfinished(folder: Path) -> str | None:
    """Say how far a run is that has no receipt yet; None where there is none."""
    if not (folder / NAME).exists():
        return None
    process = holder(folder)
    done = progress_of(folder, whole=process is None)
    receipt = folder / RECEIPT
    if process is None and receipt.exists() and receipt_file.read(receipt)[0].run == done.run:
        return None  # it ended between its receipt and the end of its journal
    known = "" if done.listed else " so far (the listing is not complete)"
    far = f"{done.committed:,} of {done.splits:,} splits{known} are committed"
    if process is not None:
        who = f" as process {process}" if process else ""
        return f"not finished: {far}; it is running{who}.{_last_words(folder)}"
    return (
        f"not finished: {far}; it is not running.{_mixed(folder)}{_last_words(folder)}"
        f"\nTo resume it: mapreduce resume {typed_path(folder)}"
    )


def _nothing_in(folder: Path) -> UsageError:
    """Say what there is where there is neither receipt nor journal, and what to do."""
    if not any((folder / name).exists() for name in (COMMAND, LOG, REPLACED)):
        return UsageError(f"{folder} is not the --out folder of a run: it has no {RECEIPT}")
    told = (
        f"{folder} holds no run: the run that was started there ended before anything was"
        " committed."
    )
    told += _mixed(folder) + _last_words(folder)
    if (folder / COMMAND).exists():
        said = saved_command.remembered(folder)
        told += f"\nThe command was: {shlex.join([said.program, *said.arguments])}"
    return UsageError(f"{told}\nCorrect the cause and type the command again")


def _mixed(folder: Path) -> str:
    """Tell of a run that was killed while it put its files in place."""
    if (folder / RECEIPT).exists() or not (folder / REPLACED).exists():
        return ""
    return "\nIt ended while its files were being replaced: the files here may belong to two runs."


def _last_words(folder: Path) -> str:
    said = last_words(folder)
    return "" if said is None else f"\nThe last line of {folder / LOG}: {said}"
