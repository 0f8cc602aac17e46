"""How the fleet commands start a run: with which words, and what a Ctrl-C does to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mapreduce.cluster.fleet.operations import HostChoice
from mapreduce.commands.cluster.options import HostRun
from mapreduce.commands.cluster.typed import demo_words, run_words
from mapreduce.errors import UsageError

ROOT = Path(__file__).parents[2]
HOSTS = '[cluster]\naddress = "10.0.0.1"\n[[hosts]]\nname = "pi[1-4]"\ntags = ["pi4"]\n'
SLOW_TO_STOP = """
import sys, time
try:
    print("works", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)  # four times what subprocess.run grants
    print("told its hosts", flush=True)
    sys.exit(130)
"""
START = "from mapreduce.commands.cluster.typed import start; start(['slow', 'to', 'stop'])"


def test_hosts_that_are_left_out_are_left_out_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(HOSTS)
    left = HostChoice(path, only=("pi[1-3]",), without=("pi2",))
    assert run_words(left, HostRun("trips", Path("out")))[-2:] == ["--only", "pi1,pi3"]
    assert demo_words(left, Path("out"), 9)[-2:] == ["--only", "pi1,pi3"]
    chosen = HostChoice(path, only=("pi[1-3]",), tags=("pi4",))
    assert run_words(chosen, HostRun("trips", Path("out")))[-4:] == [
        "--only",
        "pi[1-3]",
        "--tag",
        "pi4",
    ]


def test_a_run_that_is_interrupted_has_the_time_to_stop_its_hosts(tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "cli.py").write_text(SLOW_TO_STOP)
    process = subprocess.Popen(
        [sys.executable, "-c", START],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "works\n"
        os.killpg(process.pid, signal.SIGINT)  # both hear it, as they do of a terminal
        assert process.stdout.read() == "told its hosts\n"
        assert process.wait(20) == 130


def test_nan_is_allowed_over_the_hosts_by_the_same_word(tmp_path: Path) -> None:
    choice = HostChoice(tmp_path / "hosts.toml", tags=("pi4",))
    words = run_words(choice, HostRun("trips", Path("out"), allow_nan=True, detach=True))
    assert words[-2:] == ["--allow-nan", "--detach"]


def test_options_of_the_runs_own_command_are_handed_on_as_they_stand(tmp_path: Path) -> None:
    choice = HostChoice(tmp_path / "hosts.toml")
    words = run_words(choice, HostRun("trips", Path("out")), more=["--no-map", "--limit", "9"])
    assert words[-3:] == ["--no-map", "--limit", "9"]
    with pytest.raises(UsageError, match="expected SOURCE before --no-map"):
        run_words(choice, HostRun("--no-map", Path("out")), more=["trips"])
