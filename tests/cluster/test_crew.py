"""A slot of a worker whose processes cannot be started for a while.

The process is a made-up one: when a machine has room again cannot be told a real one.
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, cast

import pytest

from mapreduce.attempts import slot_process
from mapreduce.attempts.slot_messages import Done
from mapreduce.attempts.slot_process import StartError
from mapreduce.cluster.agent import slots
from mapreduce.cluster.protocol.messages import Task
from mapreduce.ledger import Cost, Ledger

if TYPE_CHECKING:
    from mapreduce.attempts.slot_messages import Work
    from mapreduce.attempts.slot_process import SlotProcess

SHORT = 20  # of starts


class Process:
    """One that could be started before, and for some time cannot."""

    def __init__(self, failing: int, ready_at: float | None) -> None:
        self.failing, self.ready_at = failing, ready_at

    def start(self) -> None:
        """Be ready."""

    def run(self, work: Work, *_: object) -> Done:
        self.failing -= 1
        if self.failing >= 0:
            raise StartError("a worker process ended before it was ready: SIGKILL")
        return Done(work.number, b"", Ledger(), Cost())

    def stop(self) -> None:
        """Nothing runs."""

    def end(self) -> None:
        """Nothing ran."""


@pytest.mark.parametrize(
    ("ready_at", "end"), [(1.0, Done), (None, StartError)], ids=["before", "never"]
)
def test_where_processes_could_be_started_before_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, ready_at: float | None, end: type
) -> None:
    monkeypatch.setattr(slots, "START_PAUSE_S", 0.0)
    ends: queue.Queue[slots.End] = queue.Queue()
    process = cast("SlotProcess", Process(SHORT, ready_at))
    slot = slots.Slot(process, lambda _, came: ends.put(came))
    slot.give(Task(1, 7, (), ()), 0)
    assert isinstance(ends.get(timeout=60), end)
    slot.stop()
    slot.thread.join(60)
    assert not slot.thread.is_alive()


def test_patience_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_process, "START_PATIENCE_S", 0.0)
    patience = slot_process.StartPatience()
    assert [patience.is_over(ever=True) for _ in range(3)] == [False, False, True]
