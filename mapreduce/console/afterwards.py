"""`status`, `verify`, `resume`: what the folder of a run tells, during it and afterwards.

A run is finished where there is a receipt, and can be gone on with where there is a journal. Where
there is neither, what is left of it is told, never that it is finished. Nothing is written here.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from mapreduce.accounts import RECEIPT, file_digest
from mapreduce.console import typed
from mapreduce.console.background import LOG, last_words
from mapreduce.console.summary import summary
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.journal import NAME, progress_of

if TYPE_CHECKING:
    from pathlib import Path


def status(folder: Path) -> str:
    """Say whether a run is finished or how far it is.

    Raises
    ------
    UsageError
        Where the folder is no run's.
    """
    if (folder / NAME).exists():
        done = progress_of(folder)
        known = "" if done.listed else " so far (the listing is not complete)"
        return (
            f"not finished: {done.committed:,} of {done.splits:,} splits{known} are committed."
            f"{_last_words(folder)}"
            f"\nIf it is not running any more: mapreduce resume {folder}"
        )
    told = f"finished\n{summary(_receipt(folder))}"
    log = folder / LOG
    if log.exists() and log.stat().st_mtime > (folder / RECEIPT).stat().st_mtime:
        said = last_words(folder) or ""
        if said.startswith("error:"):
            told += f"\nA later run, in the background, failed.{_last_words(folder)}"
    return told


def to_resume(folder: Path) -> typed.Typed | None:
    """Give the command that goes on with the run of a folder; None where that is finished.

    Raises
    ------
    UsageError
        Where the folder is no run's, or that run ended and left nothing to go on with.
    """
    if (folder / NAME).exists():
        return typed.remembered(folder)
    if (folder / RECEIPT).exists():
        return None
    raise _nothing_in(folder)


def verified(folder: Path) -> str:
    """Check a finished run's account and files.

    Raises
    ------
    MapReduceError
        Naming the file or number that is not as it was written.
    """
    receipt = _receipt(folder)
    objects, records = receipt["objects"], receipt["records"]
    if objects["listed"] != objects["ok"] + objects["quarantined"] + objects["ignored"]:
        raise MapReduceError(f"{folder / RECEIPT}: the objects do not balance: {objects}")
    if records["read"] != records["kept"] + sum(records["dropped"].values()):
        raise MapReduceError(f"{folder / RECEIPT}: the records do not balance: {records}")
    for name, written in receipt["files"].items():
        path = folder / name
        if not path.exists():
            raise MapReduceError(f"{path} is missing; run again to write it anew")
        if file_digest(path) != written["sha256"]:
            raise MapReduceError(
                f"{path} is not what the run wrote ({written['bytes']:,} bytes then,"
                f" {path.stat().st_size:,} now); run again to write it anew"
            )
    return f"the account balances and {len(receipt['files'])} files are as they were written"


def _nothing_in(folder: Path) -> UsageError:
    """Say what there is where there is neither receipt nor journal, and what to do."""
    if not ((folder / typed.NAME).exists() or (folder / LOG).exists()):
        return UsageError(f"{folder} is not the --out of a run: it has no {RECEIPT}")
    told = f"{folder} holds no run: the one begun there ended and left nothing to go on with."
    told += _last_words(folder)
    if (folder / typed.NAME).exists():
        said = typed.remembered(folder)
        told += f"\nThe command was: {shlex.join([said.program, *said.arguments])}"
    return UsageError(f"{told}\nMend what ended it and type the command again")


def _last_words(folder: Path) -> str:
    said = last_words(folder)
    return "" if said is None else f"\nThe last line of {folder / LOG}: {said}"


def _receipt(folder: Path) -> dict[str, Any]:
    path = folder / RECEIPT
    if not path.exists():
        raise _nothing_in(folder)
    try:
        receipt = json.loads(path.read_text())
    except ValueError as error:
        raise MapReduceError(f"{path} is not a receipt: {error}") from None
    if not isinstance(receipt, dict) or not {"objects", "records", "files"} <= set(receipt):
        raise MapReduceError(f"{path} is not a receipt: it has no objects, records and files")
    return receipt
