"""The file beneath the journal: its tables, the seals of its rows, and the check of the whole.

Every row that decides is under a seal, a hash of all it says; a commit's covers the seals of its
splits. The one row of `run` counts the commits, joins their seals and those of a complete listing,
and is under a seal itself: so a row that is changed, missing, doubled or in another's place is
found before it decides anything. A seal finds damage, not a forger. Nothing here locks or waits.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.errors import MapReduceError, UsageError
from mapreduce.plan import Split
from mapreduce.runs.folder import typed
from mapreduce.runs.folder_lock import CLAIM
from mapreduce.runs.seals import (
    NOTHING,
    Head,
    Listing,
    Row,
    chained,
    joined,
    number_bytes,
    sealed,
    split_seal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME: Final = "journal.sqlite"
COMMAND: Final = "command.json"
PENDING: Final = ".command.json"  # that of the journal's run, beside the receipt of a run before
RETRIED: Final = ".kept.sums"  # what a retry that is not finished goes on from
TABLES: Final = {
    "run": "CREATE TABLE run (id blob not null, identity blob not null, listing blob not null,"
    " commits integer not null, total blob not null, chain blob not null, seal blob not null)",
    "splits": "CREATE TABLE splits"
    " (number integer primary key, split blob not null, seal blob not null)",
    "commits": "CREATE TABLE commits (id integer primary key, splits blob not null,"
    " ledger blob not null, cost blob not null, content blob not null, seal blob not null,"
    " partial blob not null)",  # the large one last: the rest is read without it
    "committed": "CREATE TABLE committed (split integer primary key, commit_id integer not null)",
}
NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
UNUSABLE: Final = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
)
SHORT_READ: Final = sqlite3.SQLITE_IOERR | 2 << 8  # the file ends where there is more to read


class DamageError(Exception):
    """What in a journal is not as it was written; whoever knows its path says so to people."""


def create(base: sqlite3.Connection, head: Head) -> None:
    """Make the tables of a new journal, all or none."""
    base.execute("begin immediate")
    for statement in TABLES.values():
        base.execute(statement)
    base.execute("insert into run values (?, ?, ?, ?, ?, ?, ?)", _row(head))
    base.commit()


def note(base: sqlite3.Connection, head: Head) -> None:
    """Write the row of `run` anew, within the transaction that changes what it counts."""
    base.execute(
        "update run set id = ?, identity = ?, listing = ?, commits = ?, total = ?, chain = ?,"
        " seal = ?",
        _row(head),
    )


def is_new(base: sqlite3.Connection) -> bool:
    """Whether there is nothing in the file yet."""
    return base.execute("select 1 from sqlite_master").fetchone() is None


def check(base: sqlite3.Connection, *, whole: bool) -> Head:
    """Check every row, and that none is missing or too many; `whole`: the partials as well.

    Raises
    ------
    DamageError
        Saying what is not as it was written.
    sqlite3.DatabaseError
        Where SQLite itself finds that.
    """
    if dict(base.execute("select name, sql from sqlite_master")) != TABLES:
        raise DamageError("its tables are not those of a journal of this version")
    if whole:
        (said,) = base.execute("pragma quick_check(1)").fetchone()
        if said != "ok":
            raise DamageError(f"its pages: {' '.join(str(said).split())}")
    head = _head(base)
    _check_splits(base, head)
    _check_commits(base, head, whole=whole)
    return head


def split_in(base: sqlite3.Connection, number: int) -> tuple[bytes, bytes] | None:
    """Give a split as it was packed, and its seal; None where there is none."""
    row = base.execute("select split, seal from splits where number = ?", (number,)).fetchone()
    if row is None:
        return None
    raw, seal = row
    return _sealed_split(number, raw, seal), seal


def numbers_of(base: sqlite3.Connection, row: Row, seal: bytes) -> tuple[int, ...]:
    """Give the splits of a commit, once its seal is seen to be right."""
    try:
        numbers = msgspec.msgpack.decode(row.splits, type=tuple[int, ...])
        found = [split_in(base, number) for number in numbers]
    except (msgspec.MsgspecError, OverflowError):  # no list, or a number beyond int64
        raise DamageError(f"commit {row.id}") from None
    if row.seal([split[1] for split in found if split is not None]) != seal:
        raise DamageError(f"commit {row.id}")
    return numbers


def commit_in(values: Sequence[object]) -> tuple[Row, bytes]:
    """Give a commit and its seal as a query for all but its partial gave them."""
    number = values[0]
    if not isinstance(number, int):
        raise DamageError("a commit's number")
    splits, ledger, cost, content, seal = (_blob(v, f"commit {number}") for v in values[1:6])
    return Row(number, splits, ledger, cost, content), seal


def check_partial(number: int, partial: object, content: bytes) -> bytes:
    """Give a commit's partial, if it is what was committed."""
    raw = _blob(partial, f"the partial of commit {number}")
    if sealed("partial", raw) != content:
        raise DamageError(f"the partial of commit {number}")
    return raw


def damaged(path: Path | None, what: object) -> MapReduceError:
    """Say that a journal is damaged, where, and how to go on."""
    folder = "DIR" if path is None else typed(path.parent)
    return MapReduceError(
        f"the journal {path} is damaged: {what} has changed since it was written. The journal"
        " was not used. To start again and read everything, type the run's command with --anew,"
        f" or: mapreduce resume {folder} --anew"
    )


def told(path: Path | None, error: sqlite3.Error, *, reading: bool = False) -> MapReduceError:
    """Say what follows from an error of SQLite's."""
    code = int(getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR)
    full = code & 0xFF in NO_ROOM and code != SHORT_READ
    if reading and (full or code & 0xFF in UNUSABLE):
        return UsageError(
            f"the journal {path} cannot be read: {error}. Do you have permission to read it, and"
            " to write in its folder?"
        )
    if full:
        return MapReduceError(
            f"the journal {path} cannot be written: {error}. Free some space there and type the"
            " same command again: it resumes the run."
        )
    if code & 0xFF in UNUSABLE:
        return UsageError(
            f"the journal {path} cannot be used: {error}. Is its disk read-only, or is it not"
            " writable for you? Correct that, or choose another --out"
        )
    return damaged(path, f"what SQLite read ({error})")


def remove(folder: Path) -> None:
    """Remove the journal of a folder, and then the claim on it."""
    forget(folder)
    (folder / PENDING).unlink(missing_ok=True)
    (folder / CLAIM).unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Remove the journal of a folder that is claimed."""
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm", RETRIED):
        (folder / name).unlink(missing_ok=True)


def splits_in(folder: Path) -> Iterator[Split]:
    """Give the manifest of the journal in a folder, in order, each split checked.

    Raises
    ------
    MapReduceError
        Where it is damaged or cannot be read.
    """
    path = folder / NAME
    try:
        with contextlib.closing(_to_read(path)) as base:
            rows = base.execute("select number, split, seal from splits order by number")
            for number, raw, seal in rows:
                yield msgspec.msgpack.decode(_sealed_split(number, raw, seal), type=Split)
    except DamageError as error:
        raise damaged(path, error) from None
    except sqlite3.DatabaseError as error:
        raise told(path, error, reading=True) from None


def _sealed_split(number: int, raw: object, seal: object) -> bytes:
    """Give a split as it was packed, if it is under its seal."""
    packed = _blob(raw, f"split {number}")
    if split_seal(number, packed) != seal:
        raise DamageError(f"split {number}")
    return packed


def _to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def private(path: Path) -> None:
    """Make the file, or have it, readable by its owner alone: it tells keys and places."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.suppress(OSError):  # another's: then it cannot be written either
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


class Extent(msgspec.Struct, frozen=True):
    """How far a run is: splits committed and planned, and whether the listing is complete."""

    committed: int
    splits: int
    listed: bool
    run: str = ""  # its name, as the receipt will have it


def progress_of(folder: Path, *, whole: bool = False) -> Extent:
    """Look into a run's journal, also while the run is at work; `whole` checks all of it.

    Raises
    ------
    MapReduceError
        Where it is damaged or cannot be read.
    """
    path = folder / NAME
    try:
        with contextlib.closing(_to_read(path)) as base:
            base.execute("begin")  # all of it as it was at one moment
            if is_new(base):
                return Extent(0, 0, listed=False)
            head = check(base, whole=True) if whole else _head(base)
            (committed,) = base.execute("select count(*) from committed").fetchone()
            (splits,) = base.execute("select count(*) from splits").fetchone()
    except DamageError as error:
        raise damaged(path, error) from None
    except sqlite3.DatabaseError as error:
        raise told(path, error, reading=True) from None
    return Extent(committed, splits, head.listing is not None, head.id)


def _head(base: sqlite3.Connection) -> Head:
    """Give the row of `run`, if its seal is right."""
    columns = "id, identity, listing, commits, total, chain, seal"
    rows = base.execute(f"select {columns} from run").fetchall()  # noqa: S608 - literal names
    try:
        ((number, identity, listing, commits, total, chain, _),) = rows
        known = msgspec.json.decode(listing, type=Listing) if listing else None
        head = Head(number.decode(), identity.decode(), known, commits, total, chain)
        if _row(head) == rows[0]:
            return head
    except (ValueError, TypeError, AttributeError, OverflowError, msgspec.MsgspecError):
        pass
    raise DamageError("the row of the run")


def _row(head: Head) -> tuple[bytes, bytes, bytes, int, bytes, bytes, bytes]:
    """Give the row of `run`: the same texts for the same head, its seal at the end."""
    number, identity = head.id.encode(), head.identity.encode()
    listing = b"" if head.listing is None else msgspec.json.encode(head.listing)
    parts = (number, identity, listing, number_bytes(head.commits), head.total, head.chain)
    seal = sealed("run", *parts)
    return number, identity, listing, head.commits, head.total, head.chain, seal


def _check_splits(base: sqlite3.Connection, head: Head) -> None:
    known, seen = NOTHING, 0
    for number, raw, seal in base.execute("select number, split, seal from splits order by number"):
        if number != seen:
            raise DamageError(f"split {seen}")
        if split_seal(number, _blob(raw, f"split {seen}")) != seal:
            raise DamageError(f"split {seen}")
        known, seen = chained(known, seal), seen + 1
    if head.listing is not None and (seen != head.listing.splits or known != head.chain):
        raise DamageError(f"the list of splits ({head.listing.splits:,} planned, {seen:,} here)")


def _check_commits(base: sqlite3.Connection, head: Head, *, whole: bool) -> None:
    commits, total, splits = 0, NOTHING, 0
    columns = "id, splits, ledger, cost, content, seal" + (", partial" if whole else "")
    query = f"select {columns} from commits order by id"  # noqa: S608 - literal names
    for values in base.execute(query):
        row, seal = commit_in(values)
        numbers = numbers_of(base, row, seal)
        for number in numbers:
            asked = base.execute("select commit_id from committed where split = ?", (number,))
            if asked.fetchone() != (row.id,):
                raise DamageError(f"which commit split {number} is of")
        if whole:
            check_partial(row.id, values[6], row.content)
        commits, total, splits = commits + 1, joined(total, seal), splits + len(numbers)
    (committed,) = base.execute("select count(*) from committed").fetchone()
    if (commits, total, committed) != (head.commits, head.total, splits):
        raise DamageError(f"the list of commits ({head.commits:,} made, {commits:,} here)")


def _blob(value: object, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise DamageError(what)
    return value
