"""What people are told of a run."""

from __future__ import annotations

import pytest

from mapreduce.cluster.rules import Rules
from mapreduce.cluster.state import State
from mapreduce.cluster.watch import Watch


def test_the_speed_shown_is_true_from_the_first_second_of_reading() -> None:
    watch, state = Watch("r1", ["pi1", "pi2"]), State(Rules(), 0.0)
    watch.look(state, 0.0)
    watch.look(state, 5.0)  # they start: nobody reads
    for second in range(6, 12):
        watch.moved("pi1", 1, 10_000_000)
        status = watch.look(state, float(second))
        assert status.bytes_per_s == pytest.approx(10e6)
        assert status.hosts[1].bytes_per_s == 0
    for second in range(12, 72):  # it stands still: the rate falls
        status = watch.look(state, float(second))
    assert status.bytes_per_s < 1e6
