"""What a host tells of itself: from files and a program laid out like a Raspberry Pi's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mapreduce.cluster.agent import health
from mapreduce.cluster.agent.health import Gauges, default_slots

if TYPE_CHECKING:
    from pathlib import Path

MEMINFO = "MemTotal:  948304 kB\nMemFree:  100 kB\nMemAvailable:  612000 kB\nSwapFree: 0 kB\n"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


def _lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _program(folder: Path, lines: str) -> str:
    path = folder / "vcgencmd"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return os.fspath(path)


def test_this_host_tells_its_load_and_memory() -> None:
    told = Gauges().read()
    assert told.load is not None
    assert told.memory_free_bytes is not None
    assert told.memory_bytes is not None
    assert 0 < told.memory_free_bytes <= told.memory_bytes


def test_a_host_that_tells_nothing_gives_none(tmp_path: Path) -> None:
    told = Gauges(tmp_path, program=os.fspath(tmp_path / "no such program")).read()
    assert told.memory_free_bytes is None
    assert told.memory_bytes is None
    assert told.temperature_c is None
    assert told.throttled is None


def test_the_hottest_zone_counts_and_nonsense_does_not(tmp_path: Path) -> None:
    zones = "sys/class/thermal/thermal_zone"
    files = {f"{zones}0/temp": "48312\n", f"{zones}1/temp": "61000\n", f"{zones}2/temp": "-273000"}
    assert Gauges(_lay(tmp_path, files)).read().temperature_c == 61.0


def test_throttling_is_read_from_the_kernel(tmp_path: Path) -> None:
    assert Gauges(_lay(tmp_path, {THROTTLED: "50005\n"})).read().throttled == 0x50005


def test_where_the_kernel_is_silent_the_program_is_asked_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROGRAM_S", 60.0)
    note = tmp_path / "asked"
    program = _program(
        tmp_path,
        f'echo "$1" >> {note}\n'
        'case $1 in measure_temp) echo "temp=42.8\'C";; *) echo throttled=0x4;; esac',
    )
    gauges = Gauges(tmp_path / "nothing", program)
    told = [gauges.read() for _ in range(3)]
    assert {(t.temperature_c, t.throttled) for t in told} == {(42.8, 4)}
    assert note.read_text().split() == ["measure_temp", "get_throttled"]
    monkeypatch.setattr(health, "TOLD_EVERY_S", 0.0)
    gauges.read()
    assert len(note.read_text().split()) == 4


def test_a_program_that_fails_or_hangs_gives_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROGRAM_S", 0.1)
    for lines in ("exit 1", "exec sleep 600"):
        told = Gauges(tmp_path / "nothing", _program(tmp_path, lines)).read()
        assert told.throttled is None
        assert told.temperature_c is None


def test_memory_is_what_may_be_had(tmp_path: Path) -> None:
    root = _lay(tmp_path, {"proc/meminfo": MEMINFO})
    assert Gauges(root).memory() == (612000 << 10, 948304 << 10)
    group = {"memory.max": f"{400 << 20}\n", "memory.current": f"{150 << 20}\n"}
    _lay(root, {f"sys/fs/cgroup/user.slice/{n}": t for n, t in group.items()})
    _lay(root, {"proc/self/cgroup": "0::/user.slice\n"})
    assert Gauges(root).memory() == (250 << 20, 400 << 20)


@pytest.mark.parametrize(
    ("cores", "free_mb", "slots"),
    [(4, 8000, 4), (4, 700, 3), (4, 150, 1), (2, None, 2)],
    ids=["Pi 4 of 8 GB", "Pi of 1 GB", "hardly any memory", "unknown"],
)
def test_slots_are_what_cores_and_memory_allow(cores: int, free_mb: int | None, slots: int) -> None:
    assert default_slots(cores, None if free_mb is None else free_mb << 20) == slots
