"""A slot's process as its holders see it: whoever ends it can rely on its being gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mapreduce.attempts.slot_messages import Begin
from mapreduce.attempts.slot_process import SlotProcess
from mapreduce.job.name import name_of
from mapreduce.limits import Limits
from mapreduce.machine import memory_kills
from tests.jobs.deadly import Deadly

if TYPE_CHECKING:
    from pathlib import Path


def test_who_ends_it_while_another_sees_it_out_waits_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slot = SlotProcess(Begin(name_of(Deadly()), Limits(), tuple(sys.path), 0))
    slot.start()
    wait4, waits, goes = os.wait4, threading.Event(), threading.Event()
    order: list[str] = []

    def slowly(pid: int, options: int) -> Any:
        waits.set()
        assert goes.wait(60)
        ended = wait4(pid, options)
        order.append("it is gone")
        return ended

    def end() -> None:
        slot.end()
        order.append("the other goes on")

    monkeypatch.setattr(os, "wait4", slowly)
    first, other = threading.Thread(target=slot.end), threading.Thread(target=end)
    first.start()
    assert waits.wait(60)
    other.start()
    other.join(0.2)  # time enough to go on too early
    goes.set()
    for thread in (first, other):
        thread.join(60)
    assert order == ["it is gone", "the other goes on"]


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ((3, 3), "signal SIGKILL (sent by another process)"),
        ((3, 4), "signal SIGKILL (perhaps by the kernel, because memory was low)"),
        ((None, None), "signal SIGKILL (perhaps by the kernel, because memory was low)"),
    ],
)
def test_a_kill_is_told_as_the_kernels_only_where_it_may_be(
    monkeypatch: pytest.MonkeyPatch, counted: tuple[int | None, int | None], said: str
) -> None:
    counts = iter(counted)
    monkeypatch.setattr("mapreduce.attempts.slot_process.memory_kills", lambda: next(counts))
    slot = SlotProcess(Begin(name_of(Deadly()), Limits(), tuple(sys.path), 0))
    os.kill(slot.start().pid, signal.SIGKILL)
    assert str(slot.end()).startswith(f"{said}, peak memory")


def test_kills_for_want_of_memory_are_counted_where_the_kernel_tells_them(tmp_path: Path) -> None:
    counters = tmp_path / "vmstat"
    assert memory_kills(counters) is None
    counters.write_text("nr_free_pages 81\n")
    assert memory_kills(counters) is None
    counters.write_text("nr_free_pages 81\noom_kill 12\npgfault 7\n")
    assert memory_kills(counters) == 12
