"""`mapreduce …` as people type it: real processes, their answers and exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mapreduce as mr
from mapreduce.atomic_file import whole
from mapreduce.console.terminal import consequences
from mapreduce.formats import scanner
from mapreduce.tables import grouping

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
JOB = "examples/braking.py:HarshBraking"
FIX = {"dbResponse": {"linkID": "5"}, "tangAccel": -4.0}


def mapreduce(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Type a command as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "mapreduce.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        cwd=cwd,
    )


@pytest.fixture
def trips(tmp_path: Path) -> Path:
    """Write three good trips."""
    folder = tmp_path / "trips"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.json").write_text(json.dumps({"data": [FIX, FIX, {"tangAccel": 1}]}))
    return folder


def receipt_of(out: Path) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads((out / "receipt.json").read_text())
    return receipt


def test_a_run_writes_table_and_account_and_can_be_verified(trips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = mapreduce("run", JOB, trips, "--out", out)
    assert done.returncode == 0, done.stderr
    assert (out / "braking.csv").read_text() == "link,fixes,share\n5,6,1.0\n"
    assert receipt_of(out)["records"] == {"read": 9, "kept": 6, "dropped": {"no_link": 3}}
    assert "3 of 3 objects, 6 of 9 records (3 no_link)" in done.stdout
    assert mapreduce("status", out).stdout.startswith("finished")
    assert mapreduce("verify", out).returncode == 0
    (out / "braking.csv").write_text("link,fixes,share\n5,7,1.0\n")
    spoilt = mapreduce("verify", out)
    assert spoilt.returncode == 1
    assert (
        "braking.csv is not what the run wrote (the size is equal, but SHA-256 was "
        in spoilt.stderr
    )
    (out / "braking.csv").write_text("link,fixes,share\n5,7\n")
    cut = mapreduce("verify", out)
    assert (
        "braking.csv is not what the run wrote (25 bytes were written, there are 21 now)"
        in cut.stderr
    )


def test_the_receipt_alone_is_printed_as_json(trips: Path, tmp_path: Path) -> None:
    done = mapreduce("run", JOB, trips, "--out", tmp_path / "out", "--json")
    assert json.loads(done.stdout)["objects"]["ok"] == 3
    assert done.stderr == ""


def test_try_shows_one_object_and_plan_writes_nothing(trips: Path) -> None:
    tried = mapreduce("try", JOB, trips / "a.json")
    assert "records: 3 read, 2 kept" in tried.stdout
    assert "no_link: for example records 2" in tried.stdout
    assert "finish gives for braking:" in tried.stdout
    assert mapreduce("try", JOB, trips).returncode == 2
    assert "table braking: 1 rows" in tried.stdout
    before = sorted(trips.parent.rglob("*"))
    planned = mapreduce("plan", JOB, trips)
    assert "3 objects" in planned.stdout
    assert "splits" in planned.stdout
    assert sorted(trips.parent.rglob("*")) == before


def test_a_plan_reckons_with_the_slots_and_the_store_of_an_inventory(
    trips: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hosts.toml"
    hosts = '[[hosts]]\nname = "pi[1-3]"\nslots = 4\n[[hosts]]\nname = "nuc"\n'
    path.write_text(f"[cluster]\n{hosts}")
    planned = mapreduce("plan", JOB, trips, "--inventory", path).stdout
    assert "with 13 slots of 4 hosts (1 of them have no slots in" in planned
    assert "on this machine" in planned
    path.write_text(f'[cluster]\n[store]\nendpoints = ["http://127.0.0.1:9"]\n{hosts}')
    asked = mapreduce("plan", JOB, "s3://trips", "--inventory", path)
    assert "127.0.0.1:9" in asked.stderr


def test_a_package_that_a_job_lacks_here_is_told_with_the_line_that_installs_it(
    trips: Path, tmp_path: Path
) -> None:
    job = tmp_path / "job.py"
    job.write_text("import mapreduce as mr\nimport no_such_package.part\n")
    done = mapreduce("run", f"{job}:Job", trips, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert f"at line 2 of {job}" in done.stderr
    assert "-m pip install no_such_package" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nojob", "."], "package.module:Job"),
        (["run", "no.such.module:Job", "."], "no module"),
        (["run", "examples/braking.py:Nope", "."], "HarshBraking"),
        (["run", "missing.py:Job", "."], "no file"),
        (["run", JOB, "no-such-folder"], "no folder or file"),
        (["run", JOB, "{trips}", "--set", "limit=fast"], "limit='fast'"),
        (["run", JOB, "{trips}", "--set", "speed=3"], "no parameter 'speed'"),
        (["run", JOB, "{trips}", "--set", "limit"], "name=value"),
        (["run", JOB, "{trips}", "--engine", "warp"], "unknown engine 'warp'"),
        (["run", JOB, "{trips}", "--workers", "0"], "at least 1"),
        (["run", JOB, "{trips}", "--limit", "0"], "limit"),
        (["run", JOB, "{trips}", "--worker-memory", "1"], "at least 256 MiB"),
        (["run", JOB, "{trips}", "--on-map-error", "shrug"], "stop or quarantine"),
        (["run", JOB, "{trips}", "--match", "*.xml"], "holds no object that matches the selection"),
        (["status", "{trips}"], "is not the --out folder of a run"),
        (["verify", "{trips}"], "is not the --out folder of a run"),
        (["resume", "{trips}"], "is not the --out folder of a run"),
        (["resume", ""], "it is empty"),
        (["run", JOB, "{trips}", "--out", ""], "it is empty"),
        (["run", JOB, "{trips}", "--out", "{file}"], "--out {file} is not a folder"),
        (["run", JOB, "{trips}", "--out", "{file}/x"], "--out {file}/x is not a folder"),
        (["run", JOB, "{trips}", "--detach", "--out", "{file}"], "--out {file} is not a folder"),
    ],
)
def test_what_is_typed_wrong_is_answered_with_what_to_type(
    arguments: list[str], says: str, trips: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    typed = [a.format(trips=trips, file=file) for a in arguments]
    if typed[0] == "run" and "--out" not in typed:
        typed += ["--out", str(tmp_path / "out")]
    done = mapreduce(*typed)
    assert done.returncode == 2, done.stderr
    assert says.format(file=file) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_try_that_runs_out_of_memory_says_so(trips: Path, tmp_path: Path) -> None:
    job = tmp_path / "hungry.py"
    job.write_text(
        "import mapreduce as mr\n"
        "class Hungry(mr.Job):\n"
        "    records = mr.Json(at='data', accel=mr.Float('tangAccel'))\n"
        "    t = mr.Table(key='k', n=mr.Sum)\n"
        "    def map(self, r):\n"
        "        return bytes(1 << 62)\n"
    )
    tried = mapreduce("try", f"{job}:Hungry", trips / "a.json")
    assert (tried.returncode, tried.stderr) == (1, "error: this process ran out of memory\n")


@pytest.mark.parametrize("detached", [False, True])
def test_a_run_that_never_began_is_not_told_to_be_finished(detached: bool, tmp_path: Path) -> None:
    out, empty = tmp_path / "out", tmp_path / "empty"
    empty.mkdir()
    failed = mapreduce("run", JOB, empty, "--out", out)
    assert failed.returncode == 2
    if detached:  # as one leaves it that ends after it was left to itself
        (out / "run.log").write_text(f"map: 0\n{failed.stderr}\n")
    for command in ("resume", "status", "verify"):
        told = mapreduce(command, out)
        assert told.returncode == 2
        assert "ended before anything was committed" in told.stderr
        assert f"mapreduce run {JOB} {empty} --out {out}" in told.stderr
        log = f"The last line of {out / 'run.log'}: error: {empty} holds no object"
        assert (log in told.stderr) is detached


def test_a_failure_in_the_background_after_a_finished_run_is_told(
    trips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert mapreduce("run", JOB, trips, "--out", out).returncode == 0
    (out / "run.log").write_text("error: the store is gone\n")
    assert mapreduce("status", out).stdout.endswith("run.log: error: the store is gone\n")


def test_a_map_that_raises_stops_the_run_and_says_where(trips: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text(
        "import mapreduce as mr\n"
        "class Bad(mr.Job):\n"
        "    records = mr.Json(at='data', accel=mr.Float('tangAccel'))\n"
        "    t = mr.Table(key='k', n=mr.Sum)\n"
        "    def map(self, r):\n"
        "        if (r.accel > 0).any() and r.object.key != 'a.json':\n"
        "            raise ValueError('uphill')\n"
        "        return self.t.fold(r.rows, n=1)\n"
    )
    done = mapreduce("run", f"{job}:Bad", trips, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "record 2" in done.stderr
    assert "ValueError: uphill" in done.stderr
    assert "b.json" in done.stderr or "c.json" in done.stderr
    aside = mapreduce(
        "run", f"{job}:Bad", trips, "--out", tmp_path / "aside", "--on-map-error", "quarantine"
    )
    assert aside.returncode == 3
    assert receipt_of(tmp_path / "aside")["objects"]["quarantined"] == 2


def gated_job(folder: Path) -> Path:
    """Write a job that goes no further than the object 20 until there is a file `gate`."""
    job = folder / "gated.py"
    job.write_text(
        "import pathlib\n"
        "import time\n"
        "import mapreduce as mr\n"
        f"GATE = pathlib.Path({str(folder / 'gate')!r})\n"
        "class Gated(mr.Job):\n"
        "    records = mr.Json(at='data', accel=mr.Float('tangAccel'))\n"
        "    t = mr.Table(key='k', n=mr.Sum)\n"
        "    def map(self, r):\n"
        "        until = time.monotonic() + 600\n"
        "        while r.object.key >= '20' and not GATE.exists():\n"
        "            assert time.monotonic() < until, 'the test was killed'\n"
        "            time.sleep(0.02)\n"
        "        return self.t.fold(r.rows, n=1)\n"
    )
    return job


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a run has committed something, as `status` tells."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        told = mapreduce("status", path).stdout
        if "not finished" in told and "not finished: 0 of" not in told:
            return
    pytest.fail("the run committed nothing in a minute")


@pytest.mark.parametrize(("signal_", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_an_interrupted_run_goes_on_where_it_stopped(
    signal_: str, code: int, tmp_path: Path
) -> None:
    trips = tmp_path / "trips"
    trips.mkdir()
    padding = " " * (1 << 20)
    for n in range(40):
        (trips / f"{n:02}.json").write_text(json.dumps({"data": [FIX]}) + padding)
    typed = ["run", f"{gated_job(tmp_path)}:Gated", str(trips), "--workers", "2", "--out"]
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "mapreduce.cli", *typed, str(out)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(out, process)
    process.send_signal(getattr(signal, signal_))
    _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert b"Traceback" not in said
    assert (b"the same command resumes the run" in said) is (code > 0)
    assert not (out / "receipt.json").exists()
    command = (out / "command.json").read_bytes()
    (out / "command.json").write_bytes(command[:20])
    damaged = mapreduce("resume", out)
    assert damaged.returncode == 2
    assert "type that run's command again" in damaged.stderr
    (out / "command.json").write_bytes(command)
    (tmp_path / "other").mkdir()
    refused = mapreduce("run", JOB, tmp_path / "other", "--out", out)
    assert refused.returncode == 2
    assert "belongs to another run" in refused.stderr
    assert (out / "command.json").read_bytes() == command
    (out / "run.log").write_text("the last words\n")
    assert "run.log: the last words" in mapreduce("status", out).stdout
    (tmp_path / "gate").touch()
    resumed = mapreduce("resume", out)
    assert resumed.returncode == 0, resumed.stderr
    noted = receipt_of(out)["resumed"]
    assert noted["splits_done"] > 0
    assert 0 < noted["bytes_since"] < receipt_of(out)["objects"]["bytes"]
    done = (
        f"{noted['splits_done']} of {noted['splits']} splits are done. It uses the listing made"
        " then"
    )
    assert done in resumed.stderr
    assert f"resuming the run of {noted['listed_at'][:10]}" in resumed.stderr
    whole = mapreduce(*typed, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert receipt_of(out)["digest"] == receipt_of(tmp_path / "whole")["digest"]
    assert receipt_of(out)["objects"] == receipt_of(tmp_path / "whole")["objects"]
    again = mapreduce("resume", out)
    assert "there is nothing to resume" in again.stdout


def test_a_terminal_sees_bars(trips: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mapreduce.cli", "run", JOB, str(trips), "--out", tmp_path / "o"],
        cwd=ROOT,
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:  # how a terminal ends
        process.wait(timeout=60)
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"\xe2\x94\x81" in seen  # the bar
    assert b"objects" in seen


@pytest.mark.parametrize("program", ["mapreduce", "roadspeed"])
def test_help_has_examples_and_loads_nothing_heavy(program: str) -> None:
    code = (
        f"import sys, contextlib\nimport {program}.cli as cli\n"
        "sys.argv = ['x', 'run', '--help']\n"
        "with contextlib.suppress(SystemExit):\n    cli.main()\n"
        "heavy = {'numpy', 'msgspec', 'shapely', 'matplotlib', 'minio', 'urllib3', 'paramiko'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "Examples:" in done.stdout


@pytest.mark.parametrize("program", ["mapreduce", "roadspeed"])
def test_the_version_tells_which_compiled_parts_are_built(program: str) -> None:
    told = [
        subprocess.run(
            [sys.executable, "-m", f"{program}.cli", "--version"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=os.environ | {scanner.SWITCH: switch, grouping.SWITCH: switch},
        ).stdout
        for switch in ("0", "1")
    ]
    assert f"roadspeed {mr.__version__}, Python 3." in told[0]
    assert told[0].endswith(", without the compiled scanner, without the compiled grouping\n")
    assert (", with the compiled scanner," in told[1]) == scanner.is_built()
    assert told[1].endswith(", with the compiled grouping\n") == grouping.is_built()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_fails_so_that_the_same_command_goes_on_and_a_read_only_one_is_wrong_use(
    trips: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        filler = disk / "filler"
        for left, full in ((0, f"the disk of {disk} is full"), (1, "journal.sqlite cannot be")):
            filler.write_bytes(bytes((16 - left) << 12))
            failed = mapreduce("run", JOB, trips, "--out", disk)
            assert failed.returncode == 1, failed.stderr
            assert full in failed.stderr
            assert "space there and type the same command again" in failed.stderr
            for path in disk.glob("journal*"):
                path.unlink()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for out, more in ((disk, ()), (disk / "x", ()), (disk, ("--detach",))):
            refused = mapreduce("run", JOB, trips, "--out", out, *more)
            assert refused.returncode == 2
            assert f"--out {out} is not writable (Read-only file system)" in refused.stderr
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_disk_that_fills_up_elsewhere_is_told_with_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "speeds.csv"
    with pytest.raises(SystemExit) as ended, consequences(), whole(target):
        Path("/dev/full").write_text("a row")  # its write does not say where
    assert ended.value.code == 1
    with pytest.raises(SystemExit), consequences():
        Path("/dev/full").write_text("a row")
    there, somewhere = capsys.readouterr().err.splitlines()
    assert there.startswith(
        f"error: {target}: No space left on device. Free some space there and type"
    )
    assert "temporary files (TMPDIR)" in somewhere


def test_secrets_stay_out_of_everything_a_run_leaves(trips: Path, tmp_path: Path) -> None:
    environ: Mapping[str, str] = {**os.environ, "AWS_SECRET_ACCESS_KEY": "canary-5b1c"}
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "mapreduce.cli", "run", JOB, str(trips), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environ,
    )
    left = b"".join(p.read_bytes() for p in out.iterdir())
    assert done.returncode == 0
    assert b"canary-5b1c" not in left + done.stdout.encode() + done.stderr.encode()
