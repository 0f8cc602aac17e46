"""A job whose `map` kills, fails, hangs or floods, on objects of a certain name."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mapreduce as mr

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadly(mr.Job):
    """Counts links; on objects whose key holds `deadly` it does what `how` says."""

    how: str = "kill"
    note: str = ""  # a file to which each slot's process id is appended
    gate: str = ""  # a file that `wait` waits for

    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r: Any) -> mr.Rows:
        if self.note:
            with Path(self.note).open("a") as file:
                file.write(f"{os.getpid()} {r.object.key}\n")
        if "deadly" in r.object.key:
            DEEDS[self.how](r if self.how != "wait" else Path(self.gate))
        return self.links.fold(r.link, n=1)


def _flood(_: Any) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(1 << 24))


def _fail(r: Any) -> None:
    if 13 in r.link.tolist():
        raise ZeroDivisionError("thirteen")


def _together(r: Any) -> None:
    if len(r) > 1:
        raise ValueError("two at once")


def _chatter(_: Any) -> None:
    for n in range(100_000):
        sys.stdout.write(f"record {n}\n")


def _wait(gate: Path) -> None:
    """Stand still until the test says go on: unlike a nap, however slow the machine is."""
    until = time.monotonic() + 600
    while not gate.exists():
        if time.monotonic() > until:
            raise TimeoutError("nobody opens the gate: the test was killed")
        time.sleep(0.02)


def _read_input(_: Any) -> None:
    child = subprocess.run([sys.executable, "-c", "input()"], check=False, capture_output=True)
    if sys.stdin.read() or child.returncode == 0:
        raise ValueError("there was something to read")
    sys.stdout.write("said by the job\n")


DEEDS: dict[str, Callable[[Any], object]] = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda _: sys.exit(3),
    "segfault": lambda _: ctypes.cast(1, ctypes.POINTER(ctypes.c_int))[0],
    "flood": _flood,
    "fail": _fail,
    "together": _together,
    "hang": lambda _: time.sleep(600),
    "read": _read_input,
    "chatter": _chatter,
    "wait": _wait,
    "slow": lambda _: time.sleep(0.3),
}
