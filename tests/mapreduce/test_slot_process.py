"""A slot's process as its holders see it: whoever ends it can rely on its being gone."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from mapreduce.attempts.slot_messages import Begin
from mapreduce.attempts.slot_process import SlotProcess
from mapreduce.job.name import name_of
from mapreduce.limits import Limits
from tests.jobs.deadly import Deadly

if TYPE_CHECKING:
    import pytest


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
