"""A program in its own fresh process, watched from outside: time and memory of its whole tree.

Memory is what /proc tells (Linux only): resident memory summed over the process and all its
descendants at one moment, ten times a second (more often at first: a program may take less), pages
shared among them counted in each. The watching costs well under one percent of a core. Compiled
modules are kept, as any installation keeps them: a start that compiles everything anew is no start
as users meet it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EVERY_S, LEAST_S = 0.1, 0.01


@dataclass(frozen=True, slots=True)
class Watched:
    """What a program said (its last line, as JSON), how long it took, and its memory.

    `peak_bytes` is of the whole tree at one moment; `peaks_bytes` each process's own (pid ->
    bytes), as last seen. `cpu_s` is processor time of the whole tree, start-up included: on a
    machine that others use too it says more than the clock.
    """

    said: dict[str, Any]
    whole_s: float
    cpu_s: float
    peak_bytes: int
    peaks_bytes: dict[int, int]


def watched(module: str, *arguments: str) -> Watched:
    """Run `python -m module arguments…` to its end.

    Raises
    ------
    RuntimeError
        Where it fails, with the end of what it wrote to standard error.
    """
    began_s, spent_s = time.perf_counter(), _waited_for_s()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    peaks: dict[int, int] = {}
    seen_s: dict[int, float] = {}
    most = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(min(EVERY_S, max(LEAST_S, (time.perf_counter() - began_s) / 10))):
            present = 0
            for pid in tree(process.pid):
                now, peak = memory_bytes(pid)
                present += now
                peaks[pid] = max(peaks.get(pid, 0), peak)
                seen_s[pid] = max(seen_s.get(pid, 0.0), processor_s(pid))
            most = max(most, present)

    watcher = threading.Thread(target=watch, name="watch")
    watcher.start()
    try:
        out, err = process.communicate()
        whole_s = time.perf_counter() - began_s
    finally:
        over.set()
        watcher.join()
        if process.poll() is None:  # interrupted: nothing that was started stays
            for pid in reversed(tree(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise RuntimeError(f"{module} failed ({process.returncode}):\n{err.decode()[-3000:]}")
    # The kernel adds up what was waited for; a process left to itself (Spark's) is as last seen.
    cpu_s = max(_waited_for_s() - spent_s, sum(seen_s.values()))
    return Watched(json.loads(out.splitlines()[-1]), whole_s, cpu_s, most, peaks)


def tree(pid: int) -> list[int]:
    """Give the process and all its descendants alive now."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread that has just ended
    return found


def memory_bytes(pid: int) -> tuple[int, int]:
    """Give resident memory now and at its peak; (0, 0) of a process that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    lines = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
    now, peak = lines.get("VmRSS", "0 kB"), lines.get("VmHWM", "0 kB")
    return int(now.split()[0]) * 1024, int(peak.split()[0]) * 1024


def processor_s(pid: int) -> float:
    """Give the processor time of a process so far; 0.0 of one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _waited_for_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
