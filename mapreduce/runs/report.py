"""A run's account as files: `receipt.json`, `quarantine.csv`, `dropped.csv`.

Each is written whole or not at all. Keys are whatever a bucket holds, so cells are quoted as CSV
does (RFC 4180, section 2); one that a spreadsheet would run as a formula (it begins with `=`,
`+`, `-`, `@`, a tab, a carriage return or an apostrophe) gets an apostrophe before it, and plain
numbers stay as they are. Control characters and what UTF-8 cannot hold are written as escapes.
Nothing is cut.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce.atomic_file import settled, whole
from mapreduce.errors import JobError
from mapreduce.json_file import write_json
from mapreduce.runs import publishing, receipt_file
from mapreduce.runs.folder_lock import CLAIM, claimed
from mapreduce.runs.journal import remove as remove_journal
from mapreduce.runs.journal_file import COMMAND, PENDING
from mapreduce.runs.journal_file import NAME as JOURNAL
from mapreduce.runs.kept import write_kept
from mapreduce.runs.receipt_file import RECEIPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mapreduce.ledger import Ledger
    from mapreduce.runs.kept import Kept

QUARANTINE: Final = ("key", "etag", "reason", "place")
DROPPED: Final = ("reason", "key", "place", "value")
REPLACED: Final = ".replaced.json"  # while files are put in place: which ones may be there

_RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "'")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # but tab and line ends
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)


@contextlib.contextmanager
def published(folder: Path, *, keep_journal: bool = False) -> Iterator[Path]:
    """Give a hidden folder to write a run's files in; put them in place together, receipt last.

    With that the run is over, and its journal goes, unless it is kept for files that are to be
    written again: the same command then goes on from it, and reads nothing. Where the block raises,
    the journal and the files of the run before stay as they are. What that run wrote and this one
    did not is removed, since it would tell of other input. Its receipt goes first: whoever is
    killed in between leaves no receipt, and a journal, with which the files are written anew.

    Raises
    ------
    UsageError
        Where another run is running in the folder.
    """
    with contextlib.closing(claimed(folder)):
        for left in folder.glob(".run.*.partial"):  # by a run that was killed while it wrote
            shutil.rmtree(left)
        try:
            with _room_in(folder) as room:
                yield room
                with publishing.undisturbed():
                    _put_in_place(room, folder)
                    publishing.finish(folder)
                    if (folder / PENDING).exists():
                        (folder / PENDING).replace(folder / COMMAND)
                    if not keep_journal:
                        remove_journal(folder)
        finally:
            if not (folder / JOURNAL).exists():  # nothing is left to go on with
                (folder / CLAIM).unlink(missing_ok=True)


@contextlib.contextmanager
def _room_in(folder: Path) -> Iterator[Path]:
    room = Path(tempfile.mkdtemp(prefix=".run.", suffix=".partial", dir=folder))
    try:
        yield room
    finally:
        shutil.rmtree(room)


def _put_in_place(room: Path, folder: Path) -> None:
    """Move all files at once, and remove what the run before wrote and this one did not."""
    before = _files_of(folder / RECEIPT) | _files_of(folder / REPLACED)
    written = {path.name for path in room.iterdir()} - {RECEIPT}
    # What may lie here until the new receipt does, for who is to write it after us.
    write_json(folder / REPLACED, {"files": dict.fromkeys(sorted(before | written))})
    (folder / RECEIPT).unlink(missing_ok=True)
    settled(folder)
    for name in sorted(written):
        (room / name).replace(folder / name)
    for name in before - written:
        (folder / name).unlink(missing_ok=True)
    settled(folder)  # the receipt is there only where all that it lists is
    if (room / RECEIPT).exists():
        (room / RECEIPT).replace(folder / RECEIPT)
    (folder / REPLACED).unlink()
    settled(folder)


def _files_of(list_: Path) -> set[str]:
    """Names of the files that a receipt lists: plain names alone are believed."""
    try:
        said = msgspec.json.decode(list_.read_bytes(), type=_Files)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()
    return {name for name in said.files if Path(name).name == name}


class _Files(msgspec.Struct):
    files: dict[str, Any]


def write_account(folder: Path, ledger: Ledger, kept: Kept | None = None) -> list[Path]:
    """Write `quarantine.csv` and `dropped.csv`; a record's place is its number in the object.

    Both tell of single objects: they are for their owner alone. So is what the run kept, for who
    tries the quarantined ones again.
    """
    quarantine, dropped = folder / "quarantine.csv", folder / "dropped.csv"
    set_aside = ((q.key, q.etag, q.reason, q.place) for q in ledger.quarantined)
    write_rows(quarantine, QUARANTINE, set_aside, private=True)
    samples = ((d.reason, d.key, d.row, d.value) for d in ledger.samples)
    write_rows(dropped, DROPPED, samples, private=True)
    return [quarantine, dropped, *([] if kept is None else [write_kept(folder, kept)])]


def write_receipt(folder: Path, receipt: Mapping[str, Any], files: Iterable[Path]) -> Path:
    """Write `receipt.json`, the last file of a run: with the size and SHA-256 of the others."""
    listed = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_digest(path)} for path in files
    }
    return receipt_file.write(folder, {**receipt, "files": listed})


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_rows(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    private: bool = False,
) -> None:
    """Write a table of text cells as CSV."""
    with (
        whole(path, private=private) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for number, row in enumerate(rows):
            if len(row) != len(header):
                raise JobError(f"{path}: row {number} has {len(row)} cells, not {len(header)}")
            writer.writerow([escaped(cell) for cell in row])


def escaped(cell: object) -> str:
    """Give a cell's text, with an apostrophe before what a spreadsheet would run."""
    text = "" if cell is None else _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}", str(cell))
    if text.startswith(_RISKY) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def unescaped(text: str) -> str:
    """Take off the apostrophe that `escaped` put before a text; other escapes stay."""
    return text.removeprefix("'")
