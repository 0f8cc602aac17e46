"""Kill a process at each rename and removal by which it puts a run's files in place.

Run as a program: `killed_publishing.py FOLDER` says, a line of JSON for each kill, what is left.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from mapreduce.commands import run_folder
from mapreduce.errors import MapReduceError
from mapreduce.ledger import Cost, Ledger
from mapreduce.plan import Piece, Split
from mapreduce.runs.journal import Journal, Listing
from mapreduce.runs.report import published, write_account, write_receipt
from tests.mapreduce.test_receipt_file import SAID

LISTS = {"quarantine.csv", "dropped.csv"}
EVENTS = {"os.rename", "os.remove", "os.rmdir"}


def publish(folder: Path, name: str, *tables: str) -> None:
    """Run the end of a run: its files, its receipt."""
    folder.mkdir(exist_ok=True)
    journal = Journal(folder, "{}")
    journal.plan(Split(0, (Piece(0, "k", 5, "e"),)))
    journal.planned(Listing(1, 5, 0, 1))
    if not journal.last_commit():
        journal.commit((0,), b"", Ledger(ok=1), Cost())
    journal.close()
    with published(folder) as room:
        for table in tables:
            (room / table).write_text(f"{table} of {name}")
        files = [room / table for table in tables]
        said = {**SAID, "run": journal.run, "job": name}
        write_receipt(room, said, [*files, *write_account(room, Ledger())])


def _kill_at(number: int) -> None:
    left = [number]

    def hear(event: str, _: tuple[Any, ...]) -> None:
        if event in EVENTS:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(hear)


def _asked(look: Any, folder: Path) -> tuple[bool, str]:
    try:
        return True, look(folder)
    except MapReduceError as error:
        return False, str(error)


def _left(folder: Path) -> dict[str, Any]:
    receipt = folder / "receipt.json"
    tables = [path for path in folder.glob("*.csv") if path.name not in LISTS]
    return {
        "receipt": json.loads(receipt.read_text())["job"] if receipt.exists() else None,
        "files": {path.name: path.read_text() for path in tables},
        "status": _asked(run_folder.status, folder),
        "verify": _asked(run_folder.verified, folder),
    }


def main(folder: Path) -> None:
    """Kill at the first, the second, … until there is nothing left to kill at."""
    publish(folder / "before", "before", "same.csv", "old.csv")
    for number in range(100):
        here = folder / f"{number}"
        shutil.copytree(folder / "before", here)
        child = os.fork()
        if not child:
            _kill_at(number)
            publish(here, "after", "same.csv", "new.csv")
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        left = _left(here)
        publish(here, "then", "same.csv", "third.csv")
        sys.stdout.write(json.dumps({"killed": killed, **left, "then": _left(here)}) + "\n")
        if not killed:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
