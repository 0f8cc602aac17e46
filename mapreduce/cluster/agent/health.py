"""How this host fares: load, memory, temperature, throttling. None where it cannot be known.

Cheap enough for every heartbeat: a few small files of the kernel, and `vcgencmd` (Raspberry Pi)
twice a minute at most, only where those files are silent.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

from mapreduce.cluster.protocol.messages import Health

SLOT_BYTES: Final = 200 << 20  # of free memory, for one slot
TOLD_EVERY_S: Final = 30.0
PROGRAM_S: Final = 2.0
PLAUSIBLE_C: Final = (-50.0, 150.0)
THROTTLED: Final = "sys/devices/platform/soc/soc:firmware/get_throttled"
NO_LIMIT_BYTES: Final = 1 << 60


class Gauges:
    """What can be read of a host: the kernel's files, which begin at `root`, and `vcgencmd`."""

    def __init__(self, root: Path = Path("/"), program: str | None = None) -> None:
        self._root = root
        self._program = program or shutil.which("vcgencmd")
        self._told: dict[str, tuple[float, str]] = {}

    def read(self) -> Health:
        """Read all of them."""
        free, total = self.memory()
        return Health(_load(), free, total, self._temperature_c(), self._throttled())

    def memory(self) -> tuple[int | None, int | None]:
        """Free and total memory in bytes, as far as this process may use it."""
        found = dict(re.findall(r"^(\w+):\s+(\d+) kB", self._text("proc/meminfo"), re.MULTILINE))
        if "MemAvailable" not in found or "MemTotal" not in found:
            return None, None
        free, total = (int(found[name]) * 1024 for name in ("MemAvailable", "MemTotal"))
        group = self._text("proc/self/cgroup").partition("0::")[2].partition("\n")[0]
        for folder in {"sys/fs/cgroup", f"sys/fs/cgroup{group}"}:
            limit = self._text(f"{folder}/memory.max").strip()
            used = self._text(f"{folder}/memory.current").strip()
            if limit.isdigit() and used.isdigit() and int(limit) < NO_LIMIT_BYTES:
                total = min(total, int(limit))
                free = max(0, min(free, int(limit) - int(used)))
        return free, total

    def _temperature_c(self) -> float | None:
        """Give the hottest zone's."""
        zones = self._root.glob("sys/class/thermal/thermal_zone*/temp")
        found = [int(t) / 1000 for t in map(_read, zones) if re.fullmatch(r"-?\d+\s*", t)]
        if not found:
            found = [float(t) for t in re.findall(r"temp=(-?[\d.]+)", self._ask("measure_temp"))]
        low, high = PLAUSIBLE_C
        return max((t for t in found if low < t < high), default=None)

    def _throttled(self) -> int | None:
        said = self._text(THROTTLED).strip() or self._ask("get_throttled").strip()
        match = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})", said)
        return int(match[1], 16) if match else None

    def _ask(self, what: str) -> str:
        if self._program is None:
            return ""
        asked, said = self._told.get(what, (float("-inf"), ""))
        if time.monotonic() - asked >= TOLD_EVERY_S:
            said = _output([self._program, what])
            self._told[what] = time.monotonic(), said
        return said

    def _text(self, path: str) -> str:
        return _read(self._root / path)


def default_slots(cores: int, free_bytes: int | None) -> int:
    """As many slots as there are cores and as memory feeds, one at least."""
    fed = cores if free_bytes is None else free_bytes // SLOT_BYTES
    return max(1, min(cores, fed))


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROGRAM_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("ascii", "replace") if done.returncode == 0 else ""
