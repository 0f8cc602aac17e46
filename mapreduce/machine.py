"""The machine and the process that run this: memory there is and was used, cores to use."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path


def total_bytes() -> int:
    """Give the memory of this machine, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """Peak resident memory of this process, in bytes.

    Linux tells it for this program alone; `getrusage`, the fallback, may include what the parent
    had when it started us.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_kills(counters: Path = Path("/proc/vmstat")) -> int | None:
    """How many processes the kernel has killed for want of memory since it began; None: unknown."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("oom_kill "))
    return next((int(count) for count in found), None)


def is_stopped(pid: int) -> bool:
    """Tell whether a signal has stopped a process, as SIGSTOP does; False where it is unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2][:1] == b"T"  # the name before may hold anything


def default_workers() -> int:
    """As many slots as cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
