"""What a run says of its progress where no terminal shows bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapreduce.console.terminal import PLAIN_EVERY_S, Terminal
from mapreduce.runs.progress import Progress

if TYPE_CHECKING:
    import pytest


def test_a_phase_that_has_read_all_and_still_waits_goes_on_being_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("mapreduce.console.terminal.time.monotonic", lambda: now)
    shown = Terminal()
    said = []
    for seconds in (0.0, 0.1, 0.2, PLAIN_EVERY_S, 2 * PLAIN_EVERY_S):
        now = 100.0 + seconds
        shown(Progress("list", 3, 3, "objects", ""))
        shown(Progress("map", 9, 9, "bytes", "3 of 3 objects"))
        said.append([line.partition(":")[0] for line in capsys.readouterr().err.splitlines()])
    assert said == [["list", "map"], [], [], ["map"], ["map"]]
