"""`status` and `verify`: what the folder of a run tells, during it and afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mapreduce.accounts import RECEIPT, file_digest
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
            f"\nIf it is not running any more: mapreduce resume {folder}"
        )
    return f"finished\n{summary(_receipt(folder))}"


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


def _receipt(folder: Path) -> dict[str, Any]:
    path = folder / RECEIPT
    if not path.exists():
        raise UsageError(f"{folder} is not the --out of a run: it has no {RECEIPT}")
    try:
        receipt = json.loads(path.read_text())
    except ValueError as error:
        raise MapReduceError(f"{path} is not a receipt: {error}") from None
    if not isinstance(receipt, dict) or not {"objects", "records", "files"} <= set(receipt):
        raise MapReduceError(f"{path} is not a receipt: it has no objects, records and files")
    return receipt
