"""Folders of any name are written in; what can be no folder is refused before anything is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.engines.local import checked_workers
from mapreduce.errors import UsageError
from mapreduce.runs.folder import folder_named, typed
from tests.cluster.stand_in import gone

ROOT = Path(__file__).parents[2]
ODD = ["speeds-2026-11-25T10:00", "a b", "50%41 #1?", "-x", "file:memory", ":memory:", "ü", "'q\""]


@pytest.mark.parametrize("scheme", ["s3", "S3", "gs", "http", "https", "file", "ftp", "odd+x"])
def test_an_address_is_refused_with_what_to_do(scheme: str) -> None:
    with pytest.raises(UsageError, match=r"is a URL, but files are written only to folders"):
        folder_named(f"{scheme}://bucket/speeds")
    if "+" not in scheme:  # as pathlib has it
        with pytest.raises(UsageError, match="is a URL"):
            folder_named(Path(f"{scheme.lower()}://bucket/speeds"))


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\x7f", "a\udcffb", "\u2028", "\x85"])
def test_a_name_that_cannot_be_shown_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be displayed, or is not UTF-8") as refused:
        folder_named(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["", "x" * 256, "ü" * 128, "abc/" * 1100, "~nobody-like-that/x"])
def test_what_can_be_no_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name "):
        folder_named(name)


def test_home_is_understood_and_names_are_typed_so_that_they_are_taken() -> None:
    assert folder_named("~/speeds") == Path.home() / "speeds"
    assert folder_named("a~b") == Path("a~b")
    assert [typed(Path(name)) for name in ODD] == [
        "speeds-2026-11-25T10:00", "'a b'", "'50%41 #1?'", "./-x", "file:memory", ":memory:", "'ü'",
        "''\"'\"'q\"'",
    ]  # fmt: skip


def test_a_librarys_folder_is_looked_at_too(tmp_path: Path) -> None:
    source = mr.Memory({"a": b"x"})
    job = mr.load("examples/words.py:Words")
    with pytest.raises(mr.UsageError, match="the run's folder s3://x is a URL"):
        mr.run(job, source, folder="s3://x")
    assert not Path("s3:").exists()
    for name in ODD:
        os.chdir(tmp_path)
        try:
            mr.run(job, source, folder=name, workers=1, keep_journal=True)
            assert Path(name, "journal.sqlite").exists()
        finally:
            os.chdir(ROOT)


def _typed(*words: str, cwd: Path, program: str = "mapreduce") -> subprocess.CompletedProcess[str]:
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"{program}.cli", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=path, timeout=110
    )


@pytest.mark.parametrize("out", ["s3://bucket/x", "a\nb", "~nobody-like-that/x"])
@pytest.mark.parametrize("program", ["mapreduce", "roadspeed"])
def test_an_out_that_cannot_be_is_refused_before_anything_is_read(
    program: str, out: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    job = ["tests.jobs.counting:Links"] if program == "mapreduce" else []
    done = _typed("run", *job, "in", "--out", out, cwd=tmp_path, program=program)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_relative_out_with_a_colon_is_written_gone_on_with_and_verified(tmp_path: Path) -> None:
    made = _typed("town", "--out", "town", "--trips", "3", cwd=tmp_path, program="roadspeed")
    assert made.returncode == 0, made.stderr
    out = "speeds:2026-11-25T10:00 50%41?#"
    words = ["run", "town/trips", "--roads", "town/roads.geojson", "--out", out, "--width", "400"]
    done = _typed(*words, "--detach", cwd=tmp_path, program="roadspeed")
    assert done.returncode == 0, done.stderr
    number = int(done.stdout.partition("as process ")[2].partition(";")[0])
    until = time.monotonic() + 100
    while not gone(number):
        assert time.monotonic() < until
        time.sleep(0.05)
    log = (tmp_path / out / "run.log").read_text()
    assert (tmp_path / out / "receipt.json").exists(), log
    files = json.loads((tmp_path / out / "receipt.json").read_text())["files"]
    assert {"speeds.csv", "speeds.gpkg", "speeds.parquet", "map.png"} <= set(files)
    for command, said in (("verify", "files are unchanged"), ("status", "finished")):
        told = _typed(command, out, cwd=tmp_path)
        assert said in told.stdout, told.stderr
    assert "there is nothing to resume" in _typed("resume", out, cwd=tmp_path).stdout
    assert not (tmp_path / "speeds").exists()


def test_more_workers_than_there_is_room_for_are_refused() -> None:
    assert checked_workers(None) >= 1
    assert checked_workers(2) == 2
    with pytest.raises(UsageError, match=r"--workers 100,000 is more than .* at most [0-9]+"):
        checked_workers(100_000)


@pytest.mark.parametrize("program", ["mapreduce", "roadspeed"])
def test_ctrl_c_while_a_command_loads_is_one_line(program: str, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(  # what loads next, and takes its time
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise AssertionError('went on')\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", f"{program}.cli", "run", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_ctrl_c_is_the_callers_where_the_commands_are_imported() -> None:
    program = (
        "import signal, mapreduce.cli, roadspeed.cli\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
