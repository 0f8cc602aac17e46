"""A run's files are put in place so that a receipt never lies beside files that are not its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mapreduce.commands.saved_command import remember, remembered
from mapreduce.console.terminal import consequences
from mapreduce.runs import publishing
from mapreduce.runs.journal import NAME, Journal
from mapreduce.runs.journal_file import COMMAND
from mapreduce.runs.receipt_file import RECEIPT
from mapreduce.runs.report import published
from mapreduce.runs.sums import SUMS

ROOT = Path(__file__).parents[2]
BEFORE = {"same.csv": "same.csv of before", "old.csv": "old.csv of before"}
AFTER = {"same.csv": "same.csv of after", "new.csv": "new.csv of after"}
THEN = {"same.csv": "same.csv of then", "third.csv": "third.csv of then"}


def test_no_receipt_lies_beside_files_of_another_run_at_whatever_step_it_is_killed(
    tmp_path: Path,
) -> None:
    program = [sys.executable, "-m", "tests.mapreduce.killed_publishing", str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=ROOT)
    states = [json.loads(line) for line in done.stdout.splitlines()]
    assert [state["killed"] for state in states] == [True] * (len(states) - 1) + [False]
    assert len(states) > 10
    for state in states:
        verified, said = state["verify"]
        status = state["status"][1]
        if state["receipt"] is None:
            assert not verified
            assert status.startswith("not finished: 1 of 1 splits are committed; it is not running")
            assert status in said.replace("the run is ", "")  # the same words
            assert "the files here may belong to two runs" in status
        else:
            assert state["files"] == {"before": BEFORE, "after": AFTER}[state["receipt"]]
            assert verified
            finished = state["receipt"] == "after" or "not finished" in status
            assert finished or status.startswith("finished")
        assert state["then"]["files"] == THEN  # nothing of both runs before is left
        assert state["then"]["receipt"] == "then"
        assert state["then"]["verify"][0]
        assert state["then"]["status"][1].startswith("finished")
    assert {state["receipt"] for state in states} == {None, "before", "after"}


def test_who_is_interrupted_while_files_are_put_in_place_is_told_that_the_run_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace = Path.replace

    def disturbed(self: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", disturbed)
    with pytest.raises(SystemExit) as ended, consequences(), published(tmp_path) as room:
        (room / "receipt.json").write_text("{}")
    assert ended.value.code == 130
    assert (tmp_path / "receipt.json").exists()
    told = capsys.readouterr().err
    assert told == (
        f"interrupted; the run was already finished: its files and its receipt are in {tmp_path}\n"
    )
    assert publishing.finished() == tmp_path
    with pytest.raises(SystemExit), consequences():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "interrupted; type the same command again\n"


def test_who_is_interrupted_is_told_to_resume_only_where_a_journal_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit), consequences(), contextlib.closing(Journal(tmp_path, "a run")):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "interrupted; the same command resumes the run\n"
    with pytest.raises(SystemExit), consequences(), contextlib.closing(Journal(None, "a run")):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "interrupted; type the same command again\n"


def test_what_is_interrupted_without_a_journal_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), published(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with contextlib.closing(Journal(tmp_path, "a run")):
        pass
    with pytest.raises(KeyboardInterrupt), published(tmp_path):
        raise KeyboardInterrupt
    assert {one.name for one in tmp_path.iterdir()} == {"journal.sqlite", "journal.lock"}


def test_what_tells_of_single_objects_is_for_its_owner_alone(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "deadly").write_text('{"data": [{"link": 1}]}')
    job = ["tests.jobs.deadly:Deadly", str(source), "--set", "how=wait"]
    own = ["--set", f"gate={tmp_path / 'gate'}", "--out", str(out), "--detach", "--workers", "1"]
    umask = os.umask(0o022)
    try:
        subprocess.run(
            [sys.executable, "-m", "mapreduce.cli", "run", *job, *own],
            check=True,
            cwd=ROOT,
            capture_output=True,
        )
    finally:
        os.umask(umask)
    during = _modes(out)
    assert NAME in during
    assert set(during.values()) == {0o600}
    (tmp_path / "gate").touch()
    until = time.monotonic() + 60
    while "written to" not in (out / "run.log").read_text():
        assert time.monotonic() < until, (out / "run.log").read_text()
        time.sleep(0.02)
    after = _modes(out)
    private = {"command.json", "run.log", "quarantine.csv", "dropped.csv", *SUMS}
    assert {name for name, mode in after.items() if mode == 0o600} == private
    assert {name for name, mode in after.items() if mode == 0o644} == {"links.csv", "receipt.json"}


def test_a_journal_of_before_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    Journal(tmp_path, "{}").close()
    (tmp_path / NAME).chmod(0o644)
    Journal(tmp_path, "{}").close()
    assert _modes(tmp_path)[NAME] == 0o600


def test_the_command_of_a_finished_run_gives_way_only_to_that_of_a_finished_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(word: str) -> Journal:
        journal = Journal(tmp_path, "{}")
        monkeypatch.setattr(sys, "argv", ["mapreduce", "run", word, "--anew", "--detach"])
        remember(tmp_path, "mapreduce")
        assert remembered(tmp_path).arguments == ("run", word)
        return journal

    for word in ("first", "second"):
        begin(word).close()
        with published(tmp_path) as room:
            (room / RECEIPT).write_text("{}")
        assert remembered(tmp_path).arguments == ("run", word)
    begin("hopeless").discard()
    assert remembered(tmp_path).arguments == ("run", "second")
    assert {path.name for path in tmp_path.iterdir()} == {RECEIPT, COMMAND}


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
