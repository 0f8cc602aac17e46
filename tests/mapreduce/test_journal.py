"""Commits survive, once each; a listing that differs drops what no longer holds."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

import pytest

from mapreduce.errors import MapReduceError, StoreError, UsageError
from mapreduce.ledger import Cost, Ledger
from mapreduce.plan import Piece, Split
from mapreduce.runs.folder_lock import CLAIM, claimant, claimed, holding
from mapreduce.runs.journal import NAME, Extent, Journal, Listing, progress_of
from mapreduce.runs.report import published

if TYPE_CHECKING:
    from pathlib import Path


def _split(number: int, etag: str = "e") -> Split:
    return Split(number, (Piece(number, f"k{number}", 5, etag),))


def _commit(journal: Journal, *numbers: int, ok: int = 1) -> None:
    journal.commit(numbers, b"partial of %d" % numbers[0], Ledger(ok=ok), Cost(1.0))


def _reopened(journal: Journal, folder: Path) -> Journal:
    journal.close()
    return Journal(folder, "me")


def test_a_commit_survives_and_is_not_waited_for_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "me")
    for number in range(3):
        journal.plan(_split(number))
    journal.planned(Listing(3, 15, 0, 3))
    _commit(journal, 1)
    journal = _reopened(journal, tmp_path)
    assert journal.listing == Listing(3, 15, 0, 3)
    assert [s.number for s in journal.waiting()] == [0, 2]
    assert [(c[0], c[1], c[2].ok, c[3]) for c in journal.commits(journal.last_commit())] == [
        ((1,), b"partial of 1", 1, Cost(1.0))
    ]
    journal.close()


def test_a_split_is_committed_once() -> None:
    journal = Journal(None, "me")
    journal.plan(_split(0))
    journal.plan(_split(1))
    _commit(journal, 0)
    with pytest.raises(MapReduceError, match="committed before"):
        _commit(journal, 0)
    journal.planned(Listing(2, 10, 0, 2))
    assert [s.number for s in journal.waiting()] == [1]
    journal.close()


def test_a_listing_that_differs_drops_what_was_committed_from_there_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "me")
    for number in range(4):
        journal.plan(_split(number))
        _commit(journal, number)
    journal = _reopened(journal, tmp_path)  # interrupted while it listed
    old = journal.last_commit()
    journal.plan(_split(0))
    journal.plan(_split(1, "changed"))
    journal.plan(_split(2))
    _commit(journal, 1, ok=7)
    journal.planned(Listing(3, 15, 0, 3))
    assert [s.number for s in journal.waiting()] == [2]
    # Numbers of commits are not used again: else the new one would be taken for an old one.
    assert [c[0] for c in journal.commits(old)] == [(0,)]
    journal.close()


def test_a_listing_that_became_shorter_drops_the_rest(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "me")
    for number in range(4):
        journal.plan(_split(number))
        _commit(journal, number)
    journal = _reopened(journal, tmp_path)
    old = journal.last_commit()
    journal.plan(_split(0))
    journal.planned(Listing(1, 5, 0, 1))
    assert [s.number for s in journal.splits()] == [0]
    assert [c[0] for c in journal.commits(old)] == [(0,)]
    journal.close()


def test_a_commit_of_several_splits_is_dropped_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "me")
    for number in range(3):
        journal.plan(_split(number))
    _commit(journal, 0, 1)
    journal = _reopened(journal, tmp_path)
    journal.plan(_split(0))
    journal.plan(_split(1, "changed"))
    journal.planned(Listing(2, 10, 0, 2))
    assert [s.number for s in journal.waiting()] == [0, 1]
    journal.close()


def test_without_a_folder_partials_are_not_kept() -> None:
    journal = Journal(None, "me")
    journal.plan(_split(0))
    journal.commit((0,), bytes(1 << 20), Ledger(), Cost())
    assert [len(c[1]) for c in journal.commits(journal.last_commit())] == [0]
    journal.close()


def test_who_waits_for_splits_gets_the_error_of_the_listing() -> None:
    journal = Journal(None, "me")
    journal.plan(_split(0))
    waiting = journal.waiting()
    assert next(waiting).number == 0
    journal.fail(StoreError("refused"))
    with pytest.raises(StoreError, match="refused"):
        next(waiting)
    journal.close()


def test_a_journal_of_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    mine = '{"job": "j", "limit": 5, "parameters": {"limit": "a"}, "code": {"j.py": "1"}}'
    other = '{"job": "j", "limit": 6, "parameters": {"limit": "b"}, "code": {"j.py": "1"}}'
    journal = Journal(tmp_path, mine)
    journal.plan(_split(0))
    _commit(journal, 0)
    journal.close()
    with pytest.raises(
        UsageError,
        match=r"its limit was 5, now it is 6; its parameter limit was 'a', now it is 'b'\. Choose",
    ):
        Journal(tmp_path, other)
    with pytest.raises(UsageError, match=r"j\.py has changed"):
        Journal(tmp_path, mine.replace('"1"', '"2"'))
    Journal(tmp_path, mine).close()


def test_a_journal_without_a_commit_gives_way_to_another_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "{}")
    journal.plan(_split(0))
    journal.planned(Listing(1, 5, 0, 1))
    journal.close()
    journal = Journal(tmp_path, '{"limit": 6}')
    assert journal.listing is None
    assert list(journal.splits()) == []
    journal.close()


def test_a_journal_in_use_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "me")
    with pytest.raises(UsageError, match="another run is running"):
        Journal(tmp_path, "me")
    journal.close()


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"something else, and long enough" * 100)
    with pytest.raises(MapReduceError, match=r"is damaged: .*not a database.* --anew"):
        Journal(tmp_path, "me")
    Journal(tmp_path, "me", anew=True).close()
    Journal(tmp_path, "me").close()


def test_a_journal_that_cannot_be_read_is_not_told_to_be_none(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()  # what no user may open, root neither
    with pytest.raises(
        UsageError, match=r"sqlite cannot be read: .* Do you have permission to read it"
    ):
        progress_of(tmp_path)
    with pytest.raises(UsageError, match=r"cannot be used: .* choose another --out"):
        Journal(tmp_path, "me")


def test_commits_are_synced_when_they_are_made_room_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "me")  # no test can take the power away: it is what SQLite is told
    assert journal._base.execute("pragma synchronous").fetchone() == (1,)
    assert journal._base.execute("pragma journal_mode").fetchone() == ("wal",)
    journal.close()


def test_a_finished_journal_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "me")
    journal.plan(_split(0))
    assert (tmp_path / CLAIM).exists()
    journal.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_held_by_a_lock_that_was_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    asked: list[int] = []

    def late(file: IO[str], how: int) -> None:
        if not asked:  # the run before ends between our opening and our locking
            (tmp_path / CLAIM).unlink()
        asked.append(how)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with claimed(tmp_path):
        assert len(asked) == 2
        assert claimant(tmp_path) == os.getpid()
        with pytest.raises(UsageError, match="another run is running"):
            claimed(tmp_path)


def test_nobody_else_runs_in_a_folder_while_a_run_writes_its_files(tmp_path: Path) -> None:
    with published(tmp_path) as room:
        with pytest.raises(UsageError, match="another run is running"):
            Journal(tmp_path, "me")
        with pytest.raises(UsageError, match="another run is running"), published(tmp_path):
            pass
        (room / "a.csv").write_text("a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_stays_held_between_the_steps_of_one_run_and_no_longer(tmp_path: Path) -> None:
    def somebody_else() -> bool:
        """Whether another thread, which is as good as another process, may run there."""
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(lambda: claimed(tmp_path).close())
        return asked.exception() is None

    for removes in (False, True):
        with holding():
            journal = Journal(tmp_path, "me")
            if removes:
                journal.discard()
            journal.close()
            assert somebody_else() is removes
            if not removes:
                with published(tmp_path):
                    assert not somebody_else()
        assert somebody_else()


def test_progress_is_told_of_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "50%41 #1?"
    folder.mkdir()
    journal = Journal(folder, "me")
    journal.plan(_split(0))
    _commit(journal, 0)
    assert progress_of(folder) == Extent(1, 1, listed=False, run=journal.run)
    journal.close()
