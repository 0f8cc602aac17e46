"""A run that is left to itself: no terminal that closes ends it; it can be followed and stopped."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mapreduce.cluster.fleet.operations import confirm
from mapreduce.commands.saved_command import become
from mapreduce.errors import UsageError
from tests.cluster.stand_in import gone

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-m", "mapreduce.cli", "run", "tests.jobs.deadly:Deadly"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(6):  # each waits for the gate
        (folder / f"{n}-deadly").write_text(json.dumps({"data": [{"link": n}]}))
    return folder


def words(source: Path, out: Path) -> list[str]:
    own = ["--out", str(out), "--workers", "1", "--detach"]
    job = ["--set", "how=wait", "--set", f"gate={gate(out)}"]
    return [*RUN, str(source), *own, *job]


def gate(out: Path) -> Path:
    """Give the file without which a run goes no further than its first object."""
    return out.with_name("gate")


def wait_for(happened: Callable[[], bool], out: Path) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until, (out / "run.log").read_text()
        time.sleep(0.02)


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs util-linux")
def test_a_terminal_that_closes_does_not_end_it(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "sh", "-c", '"$@"; echo ended $?; sleep 60', "sh"]
    shell = subprocess.Popen(
        [*command, *words(source, out)], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT
    )
    os.close(theirs)
    said = b""
    while b"\n" not in said.partition(b"ended")[2]:
        said += os.read(ours, 1 << 16)
    assert b"ended 0" in said
    assert b"mapreduce status" in said
    assert not (out / "receipt.json").exists()
    os.close(ours)  # the terminal is closed: everything that belongs to it is sent SIGHUP
    assert shell.wait(60) == -signal.SIGHUP
    gate(out).touch()
    wait_for(lambda: "written to" in (out / "run.log").read_text(), out)
    assert json.loads((out / "receipt.json").read_text())["objects"]["ok"] == 6


def test_it_is_stopped_and_gone_on_with_as_it_says(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        words(source, out), cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    number = int(done.stdout.partition("as process ")[2].partition(";")[0])
    assert f"kill {number}" in done.stdout
    again = subprocess.run(
        words(source, out), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert again.returncode == 2
    assert "another run is running" in again.stderr
    os.kill(number, signal.SIGTERM)
    wait_for(lambda: gone(number), out)
    assert not (out / "receipt.json").exists()
    gate(out).touch()
    resume = [sys.executable, "-m", "mapreduce.cli", "resume", str(out)]
    subprocess.run(resume, cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert json.loads((out / "receipt.json").read_text())["objects"]["ok"] == 6


def test_one_whose_journal_is_damaged_is_begun_anew_in_the_background(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        words(source, out), cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    number = int(done.stdout.partition("as process ")[2].partition(";")[0])
    os.kill(number, signal.SIGKILL)
    wait_for(lambda: gone(number), out)
    (out / "journal.sqlite-wal").unlink(missing_ok=True)
    (out / "journal.sqlite").write_bytes(b"no journal any more" * 500)
    resume = [sys.executable, "-m", "mapreduce.cli", "resume", str(out)]
    told = subprocess.run(resume, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 1
    assert f"the journal {out / 'journal.sqlite'} is damaged" in told.stderr
    assert f"mapreduce resume {out} --anew" in told.stderr
    gate(out).touch()
    again = subprocess.run(
        [*resume, "--anew", "--detach"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "running in the background as process" in again.stdout
    wait_for((out / "receipt.json").exists, out)
    assert json.loads((out / "receipt.json").read_text())["objects"]["ok"] == 6
    assert "--anew" not in (out / "command.json").read_text()


def test_what_cannot_begin_says_why_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        words(tmp_path / "nowhere", out),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert not (out / "run.log").exists()


@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_typed_anew_hears_what_is_sent_to_whoever_typed_it(
    number: int, group: bool, tmp_path: Path
) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "cli.py").write_text(
        "import time\n"
        "from mapreduce.console.terminal import consequences\n"
        "with consequences():\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        time.sleep(0.5)\n"
        "        print('ended well', flush=True)\n"
    )
    typed = (
        "from mapreduce.console.terminal import consequences\n"
        "from mapreduce.commands.saved_command import become\n"
        "with consequences():\n"
        "    become('slow', [])\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    with subprocess.Popen(
        [sys.executable, "-c", typed],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        if group:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    assert said == "ended well\n"
    assert process.returncode == 128 + number


def test_a_command_can_be_become_where_nobody_hears_what_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda _, words, __: began.append(words))
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    become("mapreduce", ["--version"])
    assert began[0][-1] == "--version"


def test_nobody_is_asked_where_the_input_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="There is no terminal to ask"):
        confirm("Really?")
