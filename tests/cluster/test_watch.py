"""What people are told of a run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mapreduce.cluster.coordinator.status import HostStatus, RunStatus, Status
from mapreduce.cluster.schedule.events import Joined, Listed, Offered, Planned
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.scheduler import Schedule
from mapreduce.cluster.schedule.state import State
from mapreduce.console.host_table import table
from mapreduce.objects import Awaited
from mapreduce.plan import Piece, Split


def test_the_speed_shown_is_true_from_the_first_second_of_reading() -> None:
    watch, state = RunStatus("r1", ["pi1", "pi2"]), State(Rules(), 0.0)
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


def test_a_host_that_does_nothing_shows_no_speed() -> None:
    watch, schedule = RunStatus("r1", ["pi1"]), Schedule(Rules(), 0.0)
    schedule.handle(Joined("pi1", 1, 1), 0.0)
    schedule.handle(Planned(Split(0, (Piece(0, "k", 10_000_000, "e"),))), 0.0)
    watch.look(schedule.state, 0.0)
    watch.moved("pi1", 1, 10_000_000)
    (host,) = watch.look(schedule.state, 1.0).hosts
    assert host.state == "works"
    assert host.bytes_per_s == pytest.approx(10e6)
    attempt = next(iter(schedule.state.living))
    schedule.handle(Offered("pi1", attempt, 100), 1.5)
    status = watch.look(schedule.state, 2.0)
    assert (status.hosts[0].state, status.hosts[0].bytes_per_s) == ("idle", 0.0)
    shown = Console(width=80, file=io.StringIO(), record=True)
    shown.print(table(status))
    assert "0.0" not in shown.export_text()


def test_no_time_is_told_once_the_rate_has_faded_to_nothing() -> None:
    watch, schedule = RunStatus("r1", ["pi1"]), Schedule(Rules(), 0.0)
    schedule.handle(Joined("pi1", 1, 1), 0.0)
    schedule.handle(Planned(Split(0, (Piece(0, "k", 10_000_000, "e"),))), 0.0)
    schedule.handle(Listed(), 0.0)
    watch.look(schedule.state, 0.0)
    watch.moved("pi1", 1, 1_000_000)
    left = watch.look(schedule.state, 1.0).left_s
    assert left is not None
    assert 1 < left < 60
    for second in range(2, 600):
        status = watch.look(schedule.state, float(second))
    assert 0 < status.bytes_per_s < 1
    assert status.left_s is None


def test_a_hosts_reason_is_shown_to_its_last_letter() -> None:
    why = f"cannot write {'/a-long-folder' * 9}/there: ask who keeps it to make room, then go on"
    host = HostStatus("pi1", "failed", f"{why}\nand what it said besides")
    shown = Console(width=80, file=io.StringIO(), record=True)
    shown.print(table(Status("r1", hosts=(host,))))
    text = shown.export_text()
    assert why.replace(" ", "") in "".join(line[30:] for line in text.splitlines()).replace(" ", "")


def test_a_silent_store_is_told_of_with_the_host_where_it_is_not_all() -> None:
    watch, schedule = RunStatus("r1", ["pi1", "pi2"]), Schedule(Rules(), 0.0)
    for number, host in enumerate(("pi1", "pi2")):
        schedule.handle(Joined(host, number, 1), 0.0)
        schedule.handle(Planned(Split(number, (Piece(number, "k", 1, "e"),))), 0.0)
    watch.awaits("pi1", Awaited("store:9000\x1b", 4.0), 1.0)
    watch.look(schedule.state, 2.0)
    assert str(watch.silence()) == "no data from store:9000? at pi1 for 5 s"
    watch.awaits("pi2", Awaited("store:9000\x1b", 3.0), 2.0)
    status = watch.look(schedule.state, 3.0)
    assert str(watch.silence()) == "no data from store:9000? for 6 s"
    assert status.hosts[1].note == "no data from store:9000? for 4 s"
    assert watch.silence() is None  # nothing new
    for host in ("pi1", "pi2"):
        watch.awaits(host, Awaited(), 3.0)
    watch.look(schedule.state, 4.0)
    assert watch.silence() == Awaited()
