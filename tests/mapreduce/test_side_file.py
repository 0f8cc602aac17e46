"""Side inputs on one machine: named by content, looked at while the run lasts."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import mapreduce as mr
from mapreduce.job.loader import configured
from mapreduce.job.name import name_of
from mapreduce.job.side_file import Seal, copied
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import run
from tests.jobs.choosing import Chosen

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = Memory(
    {f"{n:02}": json.dumps({"data": [{"link": n}, {"link": 1}]}).encode() for n in range(6)}
)


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    path = tmp_path / "wanted.json"
    path.write_text("[1, 3]")
    return path


def test_a_side_input_is_read_where_it_lies_and_named_by_its_content(wanted: Path) -> None:
    got = run(Chosen(wanted=mr.SideFile(wanted)), SOURCE, workers=1)
    assert got.rows["link"].tolist() == [1, 3]
    assert got.rows["n"].tolist() == [7, 1]
    digest = hashlib.sha256(b"[1, 3]").hexdigest()
    assert got.receipt["parameters"] == {"wanted": f"sha256:{digest}", "note": ""}


def test_it_is_set_by_its_path_as_text(wanted: Path) -> None:
    job: Any = configured(Chosen, {"wanted": str(wanted)}, text=True)
    assert job == Chosen(wanted=mr.SideFile(wanted))
    assert job.chosen.tolist() == [1, 3]


def test_moved_it_is_the_same_run_and_rewritten_another(wanted: Path, tmp_path: Path) -> None:
    def identity(path: Path) -> dict[str, Any]:
        return name_of(Chosen(wanted=mr.SideFile(path))).parameters

    first = identity(wanted)
    moved = wanted.rename(tmp_path / "elsewhere.json")
    assert identity(moved) == first
    moved.write_text("[1, 4]")
    assert identity(moved) != first


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_cannot_be_read_is_refused_at_the_start(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "wanted.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(mr.UsageError, match=r"side input.*wanted\.json"):
        configured(Chosen, {"wanted": str(path)}, text=True)
    with pytest.raises(mr.UsageError, match=r"side input.*wanted\.json"):
        run(Chosen(wanted=mr.SideFile(path)), SOURCE, workers=1)


def test_a_path_that_is_no_side_file_is_refused_with_the_remedy() -> None:
    with pytest.raises(mr.UsageError, match=r"give a side input as SideFile\('x'\)"):
        name_of(Chosen(wanted="x"))  # type: ignore[arg-type] # as one forgets it


def test_changed_under_way_it_ends_the_run(wanted: Path) -> None:
    def change(_: mr.Progress) -> None:
        wanted.write_text("[1, 5]")  # of the same size

    with pytest.raises(mr.JobError, match=r"wanted\.json has changed since the run began"):
        run(Chosen(wanted=mr.SideFile(wanted)), Changing(change), workers=1)
    again = run(Chosen(wanted=mr.SideFile(wanted)), SOURCE, workers=1)
    assert again.rows["link"].tolist() == [1, 5]


class Changing(Memory):
    """Calls something when it is listed: the run has begun by then."""

    def __init__(self, act: Any) -> None:
        super().__init__({"a": b'{"data": [{"link": 1}]}'})
        self._act = act

    def entries(self) -> Any:
        self._act(None)
        return super().entries()


class Meddling(Chosen):
    """Changes its side input once it has read it, in `map`; `how` is what of it stays."""

    how: str = "nothing"

    def map(self, r: Any) -> mr.Rows:
        rows, path = super().map(r), self.wanted.path
        before = path.stat()
        path.write_text("[1, 5]" if self.how != "all" else "[1, 3]")  # of the same size
        if self.how != "nothing":
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return rows


@pytest.mark.parametrize("how", ["nothing", "size and time"])
def test_changed_while_an_attempt_lasts_it_ends_the_run(wanted: Path, how: str) -> None:
    one = Memory({"a": b'{"data": [{"link": 1}]}'})
    with pytest.raises(mr.JobError, match=r"wanted\.json has changed since the run began"):
        run(Meddling(wanted=mr.SideFile(wanted), how=how), one, workers=1)


def test_written_anew_as_it_was_it_is_the_same(wanted: Path) -> None:
    got = run(Meddling(wanted=mr.SideFile(wanted), how="all"), SOURCE, workers=1)
    assert got.rows["n"].tolist() == [7, 1]


def test_a_copy_that_holds_something_else_is_refused_when_the_job_is_loaded(wanted: Path) -> None:
    seal = mr.SideFile(wanted).seal()
    wanted.write_text("[1, 4]")
    copy = Seal(seal.path, seal.sha256, seal.size_bytes)
    with pytest.raises(mr.JobError, match="has changed since the run began"):
        configured(Chosen, {"wanted": mr.SideFile.of(copy)})


def test_what_the_kernel_saw_no_change_of_is_not_read_again(
    wanted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = mr.SideFile.of(mr.SideFile(wanted).seal())
    monkeypatch.setattr("mapreduce.job.side_file.copied", None)
    file.check()


def test_a_copy_is_never_made_of_another_content(wanted: Path) -> None:
    seal = mr.SideFile(wanted).seal()
    made: list[bytes] = []
    copied(seal, made.append)
    assert b"".join(made) == b"[1, 3]"
    wanted.write_text("[1, 4]")
    os.utime(wanted, ns=(seal.mtime_ns, seal.mtime_ns))
    with pytest.raises(mr.JobError, match="has changed"):
        copied(seal, made.append)
