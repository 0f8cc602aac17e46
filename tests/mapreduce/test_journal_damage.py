"""A journal that is damaged decides nothing: it is named, and begun anew at a word."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from mapreduce.commands import run_folder
from mapreduce.errors import MapReduceError, StoreError
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import Options, run
from mapreduce.runs.folder_lock import CLAIM
from mapreduce.runs.journal import NAME
from tests.jobs.counting import Links
from tests.jobs.here import Here, StopError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import mapreduce as mr
    from mapreduce.objects import Entry

OPTIONS = Options(split_bytes=1)  # an object a split
DONE = 6
COLUMNS = {
    "run": ("id", "identity", "listing", "commits", "total", "chain", "seal"),
    "splits": ("number", "split", "seal"),
    "commits": ("id", "splits", "ledger", "cost", "content", "seal", "partial"),
    "committed": ("split", "commit_id"),
}


def _objects() -> dict[str, bytes]:
    chance = random.Random(7)
    good = {
        f"{n:03}": json.dumps(
            {"data": [{"link": chance.randrange(9), "v": chance.random()} for _ in range(5)]}
        ).encode()
        for n in range(13)
    }
    return good | {"004": b"<html>", "010": b'{"data": [{"v": 1}]}'}


class Broken(Memory):
    """Its listing fails under way."""

    def entries(self) -> Iterator[Entry]:
        for number, entry in enumerate(super().entries()):
            if number == DONE + 1:  # one waits for its split to be full
                raise StoreError("gone")
            yield entry


OBJECTS = _objects()


def _run(folder: Path | None, **told: Any) -> mr.Result:
    return run(Links(), Memory(OBJECTS), engine=Here(), folder=folder, options=OPTIONS, **told)


def _said(result: mr.Result) -> object:
    return result.digest, result.receipt["objects"], result.receipt["records"], result.ledger


KNOWN = _said(_run(None))


@pytest.fixture(params=[True, False], ids=["listed", "half-listed"])
def half(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Interrupt a run, so that its journal lies there, checkpointed."""
    folder = tmp_path / "half"
    store, error = (Memory, StopError) if request.param else (Broken, StoreError)
    engine = Here(DONE, all_listed=True) if request.param else Here()
    with pytest.raises(error):
        run(Links(), store(OBJECTS), engine=engine, folder=folder, options=OPTIONS)
    assert {path.name for path in folder.iterdir()} == {NAME, CLAIM}
    return folder


def _outcome(folder: Path) -> str | None:
    """Go on with a run; give what it said of damage, if anything, and see that all is well then."""
    for look in (run_folder.status, run_folder.verified):
        with suppress(MapReduceError):
            look(folder)
    said = None
    try:
        done = _run(folder)
    except MapReduceError as error:
        said = str(error)
        assert f"the journal {folder / NAME}" in said
        assert f"mapreduce resume {folder} --anew" in said
        with suppress(MapReduceError):
            assert "damaged" in run_folder.status(folder)
        done = _run(folder, anew=True)
    assert _said(done) == KNOWN
    assert not (folder / NAME).exists()
    return said


def test_what_is_whole_is_gone_on_with(half: Path) -> None:
    engine = Here()
    done = run(Links(), Memory(OBJECTS), engine=engine, folder=half, options=OPTIONS)
    assert _said(done) == KNOWN
    assert len(engine.ran) == len(OBJECTS) - DONE


def test_any_bit_that_flips_is_harmless_or_told(half: Path, tmp_path: Path) -> None:
    raw, told = (half / NAME).read_bytes(), 0
    for seed in range(200):
        chance = random.Random(seed)
        spoilt = bytearray(raw)
        at = chance.randrange(len(raw) if seed % 2 else 4096)  # the first page: header and tables
        spoilt[at] ^= 1 << chance.randrange(8)
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        (folder / NAME).write_bytes(spoilt)
        told += _outcome(folder) is not None
    assert told > 20


def test_a_file_that_is_cut_short_is_told(half: Path, tmp_path: Path) -> None:
    raw = (half / NAME).read_bytes()
    for number, size in enumerate(range(1, len(raw), 1500)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / NAME).write_bytes(raw[:size])
        assert _outcome(folder) or size < 512  # to SQLite that is a file not begun


def _changed(value: object) -> object:
    if isinstance(value, bytes):
        at = len(value) // 2
        return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] if value else b"x"
    assert isinstance(value, int)
    return value ^ 1


@pytest.mark.parametrize(("table", "column"), [(t, c) for t, cs in COLUMNS.items() for c in cs])
def test_any_value_that_changes_is_told(
    table: str, column: str, half: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(half / NAME)) as base:
        rows = base.execute(f"select rowid, {column} from {table}").fetchall()
        assert [name for _, name, *_ in base.execute(f"pragma table_info({table})")] == list(
            COLUMNS[table]
        )
    for number, (row, value) in enumerate(rows[:: max(1, len(rows) // 4)]):
        folder = tmp_path / f"{number}"
        shutil.copytree(half, folder)
        with closing(sqlite3.connect(folder / NAME)) as base, base:
            new = _changed(value)
            if column in ("number", "id", "split") and isinstance(value, int):
                base.execute(f"delete from {table} where {column} = ?", (new,))  # its place
            base.execute(f"update {table} set {column} = ? where rowid = ?", (new, row))
        assert _outcome(folder), (row, value)


@pytest.mark.parametrize(
    "harm",
    [
        "delete from committed where split = 3",
        "delete from commits where id = 3",
        "delete from commits where id = 6; delete from committed where commit_id = 6",
        "delete from splits where number = 5",
        "delete from run",
        "insert into run select * from run",
        "insert into committed values (99, 3)",
        (
            "insert into commits select 99, splits, ledger, cost, content, seal, partial"
            " from commits where id = 3"
        ),
        "update commits set partial = (select partial from commits where id = 5) where id = 3",
        "update commits set ledger = (select ledger from commits where id = 5) where id = 3",
        (
            "update splits set split = (select split from splits where number = 5), seal ="
            " (select seal from splits where number = 5) where number = 3"
        ),
        "update committed set commit_id = 99 where split = 3",
        "drop table committed",
        "alter table splits rename to plits",
    ],
)
def test_a_row_too_many_or_missing_or_misplaced_is_told(harm: str, half: Path) -> None:
    with closing(sqlite3.connect(half / NAME)) as base:
        base.executescript(harm)
    assert "is damaged" in (_outcome(half) or "")


def test_damage_is_told_by_status_and_verify_too(half: Path) -> None:
    with closing(sqlite3.connect(half / NAME)) as base, base:
        base.execute("update committed set split = 99 where split = 3")
    for look in (run_folder.status, run_folder.verified):
        with pytest.raises(MapReduceError, match=rf"{NAME} is damaged: .* --anew"):
            look(half)
