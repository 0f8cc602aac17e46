"""A receipt that was changed, by whomever and however little, is told from one that was written."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from mapreduce.commands import run_folder
from mapreduce.errors import MapReduceError
from mapreduce.ledger import Cost, Ledger
from mapreduce.plan import Piece, Split
from mapreduce.runs.journal import Journal, Listing
from mapreduce.runs.receipt_file import RECEIPT, read, write
from mapreduce.runs.report import published, write_account, write_receipt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAID: dict[str, Any] = {
    "run": "20190826T221727-3fa2",
    "job": "j:J",
    "parameters": {"limit": 3.1, "unit": "km/h"},
    "source": "s3://trips",
    "engine": "local",
    "digest": "sha256:" + "5f" * 32,
    "complete": True,
    "selection": None,
    "objects": {"listed": 5, "ok": 3, "quarantined": 1, "ignored": 1, "bytes": 9},
    "records": {"read": 5, "kept": 4, "dropped": {"no_link": 1}},
    "times_s": {"list": 0.1, "map": 1e-9, "merge": 0.0, "total": 1.1},
    "resumed": None,
    "work": {"waited_s": 1.5, "worked_s": 2.0, "worker_peak_bytes": 77},
    "versions": {"roadspeed": "0.1.0"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with published(tmp_path) as room:
        table = room / "speeds.csv"
        table.write_text("a,b\n")
        write_receipt(room, SAID, [table, *write_account(room, Ledger())])
    return tmp_path


def _ways(said: Any) -> Iterator[tuple[list[str], Any]]:
    """Every place in a receipt, and what stands there."""
    for name, value in said.items():
        yield [name], value
        if isinstance(value, dict):
            yield from (([name, *way], inner) for way, inner in _ways(value))


def _others(value: Any) -> list[Any]:
    """Give what may come in the place of a value."""
    more = [value + 1, -1] if isinstance(value, int) else [f"{value}x"]
    others = [None, "x", 7, 2.5, [], {}, [1], {"a": 1}, True, *more]
    return [o for o in others if o != value or type(o) is not type(value)]


def test_any_edit_of_a_receipt_is_told_by_name(folder: Path) -> None:
    path = folder / RECEIPT
    said = json.loads(path.read_text())
    assert "3 files are unchanged" in run_folder.verified(folder)
    tried = 0
    for way, value in list(_ways(said)):
        for other in [..., *_others(value)]:
            spoilt = copy.deepcopy(said)
            place = spoilt
            for name in way[:-1]:
                place = place[name]
            if other is ...:
                del place[way[-1]]
            else:
                place[way[-1]] = other
            path.write_text(json.dumps(spoilt))
            for look in (run_folder.verified, run_folder.status):
                with pytest.raises(MapReduceError, match=RECEIPT):
                    look(folder)
            tried += 1
    assert tried > 300


def test_edits_that_balance_are_told(folder: Path) -> None:
    path = folder / RECEIPT
    said = json.loads(path.read_text())
    more = said["objects"] | {"listed": 6, "ok": 4}
    for spoilt in (said | {"objects": more}, said | {"files": {}}):
        path.write_text(json.dumps(spoilt))
        with pytest.raises(MapReduceError, match="was changed after the run wrote it"):
            run_folder.verified(folder)


@pytest.mark.parametrize("part", ["objects", "records"])
def test_an_account_that_does_not_balance_is_told_though_its_checksum_is_right(
    part: str, folder: Path
) -> None:
    for name, count in SAID[part].items():
        if isinstance(count, int) and name != "bytes":
            write(folder, SAID | {"files": {}, part: SAID[part] | {name: count + 1}})
            with pytest.raises(MapReduceError, match="does not balance"):
                run_folder.verified(folder)


def test_a_list_of_files_elsewhere_is_told(folder: Path) -> None:
    write(folder, SAID | {"files": {"../speeds.csv": {"bytes": 4, "sha256": "00" * 32}}})
    with pytest.raises(MapReduceError, match="not a file of its folder"):
        run_folder.verified(folder)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"run":', b"[" * 100_000, b"nan"]
)
def test_what_is_no_receipt_is_told(raw: bytes, folder: Path) -> None:
    (folder / RECEIPT).write_bytes(raw)
    with pytest.raises(MapReduceError, match="is not a complete receipt"):
        run_folder.verified(folder)


def test_another_layout_of_a_receipt_is_the_same_receipt(folder: Path) -> None:
    path = folder / RECEIPT
    said = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(said.items())), indent=4))
    assert read(path)[1] == said
    assert run_folder.status(folder).startswith("finished")


@pytest.mark.parametrize("damage", ["table", "missing", "folder"])
def test_files_that_are_not_as_written_are_told(damage: str, folder: Path) -> None:
    table = folder / "speeds.csv"
    table.unlink()
    if damage == "table":
        table.write_text("a,c\n")
    elif damage == "folder":
        table.mkdir()
    with pytest.raises(MapReduceError, match=r"speeds\.csv is "):
        run_folder.verified(folder)


@pytest.mark.parametrize("finished", [False, True], ids=["first", "second"])
def test_status_and_verify_say_the_same_of_a_run_under_way(
    finished: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue("folder") if finished else tmp_path
    journal = Journal(folder, "{}")
    journal.plan(Split(0, (Piece(0, "k", 5, "e"),)))
    journal.planned(Listing(1, 5, 0, 1))
    for at_work in (True, False):
        if not at_work:
            journal.commit((0,), b"", Ledger(ok=1), Cost())
            journal.close()
        what = "it is running as process" if at_work else "it is not running"
        far = f"not finished: {int(not at_work)} of 1 splits are committed; {what}"
        assert far in run_folder.status(folder)
        if finished:
            assert f"A later run in this folder is {far}" in run_folder.verified(folder)
        else:
            with pytest.raises(MapReduceError, match=f"no {RECEIPT}: the run is {far}"):
                run_folder.verified(folder)


def test_a_journal_left_by_a_finished_run_does_not_make_it_unfinished(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "{}")
    write_receipt(tmp_path, SAID | {"run": journal.run}, write_account(tmp_path, Ledger()))
    journal.close()  # killed right after its receipt
    assert run_folder.status(tmp_path).startswith("finished")
    assert "2 files are unchanged" in run_folder.verified(tmp_path)


def test_what_goes_on_with_a_run_does_not_call_a_damaged_receipt_finished(folder: Path) -> None:
    assert run_folder.to_resume(folder) is None
    path = folder / RECEIPT
    path.write_text(path.read_text().replace("3fa2", "3fa3"))
    with pytest.raises(MapReduceError, match="was changed after the run wrote it"):
        run_folder.to_resume(folder)
