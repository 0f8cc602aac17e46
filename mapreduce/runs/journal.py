"""The run on disk: the manifest as splits, and each split's commit, so that a run can resume.

One SQLite file in the run's folder. A split is committed once: a second commit of the same split
is refused. Commits survive the death of the process at any point. The manifest lives here and not
in memory, so a run's memory does not grow with the number of objects. Secrets never enter.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

import msgspec

from mapreduce.errors import MapReduceError, UsageError
from mapreduce.ledger import Cost, Ledger
from mapreduce.plan import Split
from mapreduce.runs import journal_file, publishing
from mapreduce.runs.fingerprint import difference
from mapreduce.runs.folder_lock import claimed
from mapreduce.runs.journal_file import (
    NAME,
    DamageError,
    Extent,
    progress_of,
    remove,
)
from mapreduce.runs.progress import Resumed
from mapreduce.runs.receipt import run_id
from mapreduce.runs.seals import NOTHING, Head, Listing, Row, chained, sealed, split_seal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["NAME", "Extent", "Journal", "Listing", "progress_of", "remove"]


class Journal:
    """Record of a run's manifest and commits.

    Parameters
    ----------
    folder
        The run's folder; None keeps the journal in memory, for runs that need not resume.
    identity
        What must be the same for a resumed run, as `mapreduce.runs.fingerprint` tells it.
    anew
        Begin anew, whatever journal is there.

    Raises
    ------
    UsageError
        Where the folder holds a journal of another run, or of another process still at work.
    MapReduceError
        Where its journal is damaged.
    """

    def __init__(self, folder: Path | None, identity: str, *, anew: bool = False) -> None:
        self._path = None if folder is None else folder / NAME
        self._lock = threading.Lock()
        self._grown = threading.Condition(self._lock)
        self._planned = 0  # splits known to be of the present listing
        self._chain = NOTHING  # of their seals
        self._failed: BaseException | None = None
        self._head = Head(run_id(), identity)
        self._last = 0  # the newest commit's number: none is used twice
        self._base = sqlite3.connect(":memory:", check_same_thread=False)
        self._claim = None if folder is None else claimed(folder)
        try:
            if folder is not None and anew:
                journal_file.forget(folder)
            with self._using():
                self._open(identity)
        except BaseException:
            self.close()
            raise
        if folder is not None:
            publishing.keep(folder)

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
        return self._head.listing

    @property
    def run(self) -> str:
        """The run's name: that of the receipt."""
        return self._head.id

    def plan(self, split: Split) -> None:
        """Add the next split of the manifest; listed again, it must be what it was.

        Where a resumed listing differs, what was planned and committed from there on is dropped.
        """
        raw = msgspec.msgpack.encode(split)
        seal = split_seal(split.number, raw)
        with self._using():
            known = journal_file.split_in(self._base, split.number)
            if known != (raw, seal):
                if known is not None:
                    self._drop_from(split.number)
                self._base.execute("insert into splits values (?, ?, ?)", (split.number, raw, seal))
            self._planned = split.number + 1
            self._chain = chained(self._chain, seal)
            self._grown.notify_all()

    def planned(self, listing: Listing) -> None:
        """Note that the manifest is complete, durably; of a longer one before, the rest goes."""
        with self._using():
            self._drop_from(listing.splits)
            head = msgspec.structs.replace(self._head, listing=listing, chain=self._chain)
            self._note(head)
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
            with self._using():
                while number >= self._planned:
                    if self._failed is not None:
                        raise self._failed
                    if self._head.listing is not None:
                        return
                    self._grown.wait()
                split = self._split(number)
                done = self._base.execute(
                    "select 1 from committed where split = ?", (number,)
                ).fetchone()
            number += 1
            if not done:
                yield split

    def split(self, number: int) -> Split:
        """Give one split of the manifest."""
        with self._using():
            return self._split(number)

    def splits(self) -> Iterator[Split]:
        """Give the whole manifest as far as it is planned."""
        for number in range(self._planned):
            yield self.split(number)

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
        kept = b"" if self._path is None else packed
        row = Row(
            self._last + 1, encode(splits), encode(ledger), encode(cost), sealed("partial", kept)
        )
        with self._using():
            seal = row.seal([self._known(n)[1] for n in splits])
            try:
                self._base.execute(
                    "insert into commits values (?, ?, ?, ?, ?, ?, ?)",
                    (row.id, row.splits, row.ledger, row.cost, row.content, seal, kept),
                )
                self._base.executemany(
                    "insert into committed values (?, ?)", [(s, row.id) for s in splits]
                )
            except sqlite3.IntegrityError:
                self._base.rollback()
                raise MapReduceError(f"splits {splits} were committed before") from None
            self._note(self._head.with_commit(seal))
            self._last = row.id

    def last_commit(self) -> int:
        """Give the number of the newest commit, 0 where there is none."""
        return self._last

    def resumed(self) -> Resumed | None:
        """Give how far the run was that this one goes on with; None where there is none."""
        with self._using():
            (done,) = self._base.execute("select count(*) from committed").fetchone()
        listing = self._head.listing
        if listing is None:
            return Resumed(done) if done else None
        return Resumed(done, listing.splits, listing.at)

    def commits(self, last: int) -> Iterator[tuple[tuple[int, ...], bytes, Ledger, Cost]]:
        """Give every commit there is, up to number `last`."""
        with self._using():
            found = self._base.execute("select id from commits where id <= ? order by id", (last,))
            ids = [i for (i,) in found]
        decode = msgspec.msgpack.decode
        for number in ids:
            with self._using():
                values = self._base.execute(
                    "select id, splits, ledger, cost, content, seal, partial from commits"
                    " where id = ?",
                    (number,),
                ).fetchone()
                row, seal = journal_file.commit_in(values)
                numbers = journal_file.numbers_of(self._base, row, seal)
                raw = journal_file.check_partial(row.id, values[6], row.content)
            yield numbers, raw, decode(row.ledger, type=Ledger), decode(row.cost, type=Cost)

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        """Have the file for oneself; say what follows where it is damaged or takes no more."""
        with self._lock:
            try:
                yield
            except DamageError as error:
                raise journal_file.damaged(self._path, error) from None
            except sqlite3.DatabaseError as error:
                raise journal_file.told(self._path, error) from None

    def _open(self, identity: str) -> None:
        if self._path is not None:
            self._base.close()
            journal_file.private(self._path)
            where = self._path.absolute()  # "file:x" would be an address
            self._base = sqlite3.connect(where, check_same_thread=False, timeout=2.0)
        self._base.execute("pragma journal_mode = wal")
        self._base.execute("pragma synchronous = normal")
        if journal_file.is_new(self._base):
            journal_file.create(self._base, self._head)
            return
        head = journal_file.check(self._base, whole=True)
        if head.identity == identity:
            self._head = head
            (self._last,) = self._base.execute(
                "select coalesce(max(id), 0) from commits"
            ).fetchone()
            if head.listing is not None:
                self._planned, self._chain = head.listing.splits, head.chain
        elif head.commits:
            raise UsageError(
                f"{self._path} belongs to another run that is not finished:"
                f" {difference(head.identity, identity)}. Choose another --out, or add --anew to"
                " start again"
            )
        else:
            for table in ("splits", "commits", "committed"):
                self._base.execute(f"delete from {table}")  # noqa: S608 - literal names
            self._note(self._head)

    def _note(self, head: Head) -> None:
        """Make what was done durable, with the row that counts it."""
        journal_file.note(self._base, head)
        self._base.commit()
        self._head = head

    def _drop_from(self, number: int) -> None:
        stale = "(select commit_id from committed where split >= ?)"
        found = self._base.execute(f"select seal from commits where id in {stale}", (number,))  # noqa: S608 - ours
        for (seal,) in found.fetchall():
            self._head = self._head.with_commit(seal, taken=-1)
        self._base.execute(f"delete from commits where id in {stale}", (number,))  # noqa: S608 - ours
        self._base.execute(f"delete from committed where commit_id in {stale}", (number,))  # noqa: S608 - ours
        self._base.execute("delete from splits where number >= ?", (number,))
        journal_file.note(self._base, self._head)

    def _split(self, number: int) -> Split:
        return msgspec.msgpack.decode(self._known(number)[0], type=Split)

    def _known(self, number: int) -> tuple[bytes, bytes]:
        found = journal_file.split_in(self._base, number)
        if found is None:
            raise DamageError(f"split {number}")
        return found
