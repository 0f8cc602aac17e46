"""The run on disk: the manifest as splits, and each split's commit, so that a run can resume.

One SQLite file in the run's folder. A split is committed once: a second commit of the same split
is refused. Commits survive the death of the process at any point. The manifest lives here and not
in memory, so a run's memory does not grow with the number of objects. Secrets never enter.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.claim import CLAIM, claimed
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.identity import difference
from mapreduce.ledger import Cost, Ledger
from mapreduce.plan import Split
from mapreduce.resumed import Resumed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "journal.sqlite"
NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
UNREADABLE: Final = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
)
SCHEMA: Final = """
create table if not exists run (identity text not null, listing text);
create table if not exists splits (number integer primary key, split blob not null);
create table if not exists commits
    (id integer primary key autoincrement,
     partial blob not null, ledger blob not null, cost blob not null);
create table if not exists committed (split integer primary key, commit_id integer not null);
"""


class Listing(msgspec.Struct, frozen=True):
    """What listing the source gave, once it is complete."""

    objects: int = 0
    object_bytes: int = 0
    ignored: int = 0
    splits: int = 0
    seconds: float = 0.0
    at: str = ""  # when it was complete: UTC, as ISO 8601 has it


class Journal:
    """Record of a run's manifest and commits.

    Parameters
    ----------
    folder
        The run's folder; None keeps the journal in memory, for runs that need not resume.
    identity
        What must be the same for a resumed run, as `mapreduce.identity` tells it.

    Raises
    ------
    UsageError
        Where the folder holds a journal of another run, or of another process still at work.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self._path = None if folder is None else folder / NAME
        where = ":memory:" if self._path is None else str(self._path)
        self._lock = threading.Lock()
        self._grown = threading.Condition(self._lock)
        self._planned = 0  # splits known to be of the present listing
        self._listing: Listing | None = None
        self._failed: BaseException | None = None
        self._claim = None if folder is None else claimed(folder)
        self._base = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            self._open(where, identity)
        except sqlite3.OperationalError as error:
            self.close()
            if _primary(error) in NO_ROOM:
                raise self._unwritten(error) from None
            raise UsageError(
                f"the journal {where} cannot be used: {error}. Is its disk read-only, or may you"
                " not write there? Mend that or choose another --out"
            ) from None
        except sqlite3.DatabaseError as error:
            self.close()
            raise UsageError(f"{where} is not a journal ({error}): choose another --out") from None
        except UsageError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; what was committed stays."""
        with self._lock:
            self._base.close()
        if self._claim is not None:
            self._claim.close()

    def discard(self) -> None:
        """Remove the journal: the run is complete, or nothing in it is worth going on with."""
        with self._lock:
            self._base.close()
        if self._path is not None:
            remove(self._path.parent)
        self.close()  # only now may others begin in the folder

    @property
    def listing(self) -> Listing | None:
        """What the listing gave; None while it is not complete."""
        return self._listing

    def plan(self, split: Split) -> None:
        """Add the next split of the manifest; listed again, it must be what it was.

        Where a resumed listing differs, what was planned and committed from there on is dropped.
        """
        raw = msgspec.msgpack.encode(split)
        with self._grown, self._written():
            known = self._split(split.number)
            if known != raw:
                if known is not None:
                    self._drop_from(split.number)
                self._base.execute("insert into splits values (?, ?)", (split.number, raw))
            self._planned = split.number + 1
            self._grown.notify_all()

    def planned(self, listing: Listing) -> None:
        """Note that the manifest is complete, durably; of a longer one before, the rest goes."""
        with self._grown, self._written():
            self._drop_from(listing.splits)
            self._base.execute(
                "update run set listing = ?", (msgspec.json.encode(listing).decode(),)
            )
            self._base.commit()
            self._listing = listing
            self._grown.notify_all()

    def fail(self, error: BaseException) -> None:
        """Note that listing failed: whoever waits for splits gets this error."""
        with self._grown:
            self._failed = error
            self._grown.notify_all()

    def waiting(self) -> Iterator[Split]:
        """Give every split that is not committed, in order, waiting for the listing to go on."""
        number = 0
        while True:
            with self._grown:
                while number >= self._planned:
                    if self._failed is not None:
                        raise self._failed
                    if self._listing is not None:
                        return
                    self._grown.wait()
                raw = self._split(number)
                done = self._base.execute(
                    "select 1 from committed where split = ?", (number,)
                ).fetchone()
            number += 1
            if raw is not None and not done:
                yield msgspec.msgpack.decode(raw, type=Split)

    def split(self, number: int) -> Split:
        """Give one split of the manifest."""
        with self._lock:
            raw = self._split(number)
        if raw is None:
            raise MapReduceError(f"the journal knows no split {number}. Please report this.")
        return msgspec.msgpack.decode(raw, type=Split)

    def splits(self) -> Iterator[Split]:
        """Give the whole manifest as far as it is planned."""
        number = 0
        while True:
            with self._lock:
                raw = self._split(number)
            if raw is None:
                return
            number += 1
            yield msgspec.msgpack.decode(raw, type=Split)

    def commit(
        self, splits: tuple[int, ...], packed: bytes | bytearray, ledger: Ledger, cost: Cost
    ) -> None:
        """Accept one partial as the result of splits, durably, once.

        Without a folder nothing can be resumed, and the partial itself is not kept.

        Raises
        ------
        MapReduceError
            Where one of the splits is committed already.
        """
        encode = msgspec.msgpack.encode
        with self._lock, self._written():
            try:
                cursor = self._base.execute(
                    "insert into commits (partial, ledger, cost) values (?, ?, ?)",
                    (b"" if self._path is None else packed, encode(ledger), encode(cost)),
                )
                self._base.executemany(
                    "insert into committed values (?, ?)", [(s, cursor.lastrowid) for s in splits]
                )
            except sqlite3.IntegrityError:
                self._base.rollback()
                raise MapReduceError(f"splits {splits} were committed before") from None
            self._base.commit()

    def last_commit(self) -> int:
        """Give the number of the newest commit, 0 where there is none."""
        with self._lock:
            (last,) = self._base.execute("select coalesce(max(id), 0) from commits").fetchone()
        return int(last)

    def resumed(self) -> Resumed | None:
        """Give how far the run was that this one goes on with; None where there is none."""
        with self._lock:
            (done,) = self._base.execute("select count(*) from committed").fetchone()
        if self._listing is None:
            return Resumed(done) if done else None
        return Resumed(done, self._listing.splits, self._listing.at)

    def commits(self, last: int) -> Iterator[tuple[tuple[int, ...], bytes, Ledger, Cost]]:
        """Give every commit there is, up to number `last`."""
        with self._lock:
            found = self._base.execute("select id from commits where id <= ? order by id", (last,))
            ids = [i for (i,) in found]
        for number in ids:
            with self._lock:
                raw, ledger, cost = self._base.execute(
                    "select partial, ledger, cost from commits where id = ?", (number,)
                ).fetchone()
                splits = self._base.execute(
                    "select split from committed where commit_id = ? order by split", (number,)
                ).fetchall()
            decode = msgspec.msgpack.decode
            yield (
                tuple(s for (s,) in splits),
                raw,
                decode(ledger, type=Ledger),
                decode(cost, type=Cost),
            )

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Say what follows from a disk that takes no more."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._unwritten(error) from None

    def _unwritten(self, error: sqlite3.Error) -> MapReduceError:
        return MapReduceError(
            f"the journal {self._path} cannot be written: {error}. Make room there and type"
            " the same command again: it goes on where it stopped."
        )

    def _open(self, where: str, identity: str) -> None:
        if self._path is not None:
            self._base.close()
            self._base = sqlite3.connect(where, check_same_thread=False, timeout=2.0)
        self._base.execute("pragma journal_mode = wal")
        self._base.execute("pragma synchronous = normal")
        self._base.executescript(SCHEMA)
        self._begin(identity)

    def _begin(self, identity: str) -> None:
        row = self._base.execute("select identity, listing from run").fetchone()
        if row is None:
            self._base.execute("insert into run values (?, null)", (identity,))
        elif row[0] != identity and not self._any_commit():
            for table in ("run", "splits", "commits", "committed"):
                self._base.execute(f"delete from {table}")  # noqa: S608 - four literal names
            self._base.execute("insert into run values (?, null)", (identity,))
        elif row[0] != identity:
            raise UsageError(
                f"{self._path} belongs to another run, which is not finished:"
                f" {difference(row[0], identity)}. Choose another --out, or remove that file to"
                " begin anew."
            )
        elif row[1] is not None:
            self._listing = msgspec.json.decode(row[1], type=Listing)
            (self._planned,) = self._base.execute("select count(*) from splits").fetchone()
        self._base.commit()

    def _any_commit(self) -> bool:
        return self._base.execute("select 1 from commits limit 1").fetchone() is not None

    def _drop_from(self, number: int) -> None:
        stale = "(select commit_id from committed where split >= ?)"
        self._base.execute(f"delete from commits where id in {stale}", (number,))  # noqa: S608 - ours
        self._base.execute(f"delete from committed where commit_id in {stale}", (number,))  # noqa: S608 - ours
        self._base.execute("delete from splits where number >= ?", (number,))

    def _split(self, number: int) -> bytes | None:
        row = self._base.execute("select split from splits where number = ?", (number,)).fetchone()
        return None if row is None else row[0]


def _primary(error: sqlite3.Error) -> int:
    """Give SQLite's result code without what more it says in the upper bits."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def remove(folder: Path) -> None:
    """Remove the journal of a folder whose run is complete and has its receipt."""
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm", CLAIM):
        (folder / name).unlink(missing_ok=True)


class Committed(msgspec.Struct, frozen=True):
    """How far a run is: splits committed and planned, and whether the listing is complete."""

    committed: int
    splits: int
    listed: bool


def progress_of(folder: Path) -> Committed:
    """Look into a run's journal, also while the run is at work."""
    path = folder / NAME
    try:
        where = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(where, uri=True)) as base:
            (committed,) = base.execute("select count(*) from committed").fetchone()
            (splits,) = base.execute("select count(*) from splits").fetchone()
            (listing,) = base.execute("select listing from run").fetchone()
    except (sqlite3.DatabaseError, TypeError) as error:
        if isinstance(error, sqlite3.Error) and _primary(error) in UNREADABLE:
            raise UsageError(
                f"{path} cannot be read: {error}. May you read it, and write in its folder?"
            ) from None
        raise UsageError(f"{path} is not the journal of a run: {error}") from None
    return Committed(committed, splits, listing is not None)
