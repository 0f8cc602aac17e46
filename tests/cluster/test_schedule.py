"""The schedule, an event at a time: what simulations meet too seldom."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from mapreduce.cluster.protocol.messages import Progress
from mapreduce.cluster.schedule import commands as cmd
from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.scheduler import Schedule, ScheduleError
from mapreduce.errors import UsageError
from mapreduce.plan import OPEN_COST_BYTES, Piece, Split

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = Rules(prefetch=0)
C = TypeVar("C", bound=cmd.Command)


def split(number: int, pieces: int = 1, size_bytes: int = 10_000_000) -> Split:
    ordinals = range(number * pieces, (number + 1) * pieces)
    return Split(number, tuple(Piece(o, f"k{o}", size_bytes, "e") for o in ordinals))


class Told:
    """A schedule that is checked after every event."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.schedule = Schedule(rules)
        self.now = 0.0

    def __call__(self, *events: ev.Event, at: float | None = None) -> list[cmd.Command]:
        self.now = self.now if at is None else at
        follows: list[cmd.Command] = []
        for event in events:
            follows += self.schedule.handle(event, self.now)
            self.schedule.check()
        return follows

    def finish(self, worker: str, attempt: int) -> list[cmd.Command]:
        return self(ev.Offered(worker, attempt, 100), ev.Received(worker, attempt))


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.schedule.check()


def only(follows: list[cmd.Command], kind: type[C]) -> C:
    (found,) = (c for c in follows if isinstance(c, kind))
    return found


def test_a_task_goes_from_its_plan_to_its_commit(told: Told) -> None:
    assert told(ev.Joined("a", 1, 1)) == []
    assert told.schedule.requests == 64
    assert told(ev.Planned(split(0))) == [cmd.Assign("a", 0, 0, split(0).pieces)]
    assert told(ev.Offered("a", 0, 100)) == [cmd.Pull("a", 0)]
    assert told(ev.Received("a", 0)) == [cmd.Commit(0, (0,))]
    assert told(ev.Listed()) == []
    assert told(ev.Committed(0)) == [cmd.Accept("a", 0), cmd.Finish(complete=True)]
    assert told(ev.Tick(), at=1e9) == []


def test_a_result_is_accepted_only_once_it_is_durable(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0)))
    assert not [c for c in told.finish("a", 0) if isinstance(c, cmd.Accept)]


def test_no_worker_speaks_for_anothers_attempt(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0)), ev.Joined("b", 2, 1))
    assert told(ev.Offered("b", 0, 100)) == [cmd.Cancel("b", 0)]
    assert told(ev.Failed("b", 0, "job", "no")) == []
    assert told(ev.Beat("b", (Progress(0),))) == [cmd.Cancel("b", 0)]
    assert [type(c) for c in told(ev.Received("b", 0))] == [cmd.Cancel]
    assert told(ev.Offered("a", 0, 100)) == [cmd.Pull("a", 0)]


def test_events_of_workers_never_heard_of_change_nothing(told: Told) -> None:
    told(ev.Planned(split(0)))
    assert told(ev.Lost("x", 1), ev.Beat("x"), ev.Leaving("x"), ev.Failed("x", 3, "bug", "")) == []
    assert told(ev.Damaged("x", 3, "")) == []


def measured(told: Told) -> None:
    """Learn two rates: a task in 1 s on `fast`, in 20 s on `old`."""
    told(ev.Joined("fast", 1, 1), ev.Joined("old", 2, 1))
    told(ev.Planned(split(0)), ev.Planned(split(1)))
    told(ev.Beat("old", (Progress(1),)), *_done(told, "fast", 0, at=1.0))
    told(ev.Beat("fast"), *_done(told, "old", 1, at=20.0))


def _done(told: Told, worker: str, attempt: int, at: float) -> list[ev.Event]:
    told.now = at
    told.finish(worker, attempt)
    return [ev.Committed(attempt)]


def test_an_idle_old_host_does_not_help_where_it_would_be_slower(told: Told) -> None:
    measured(told)
    told(ev.Leaving("old"), at=21.0)
    told(ev.Planned(split(2)), ev.Listed())
    told(ev.Joined("old", 3, 1))
    assert told(ev.Tick(), at=22.5) == []  # 16 s left by what is seen; `old` takes 20
    helped = told(ev.Tick(), at=27.0)
    assert only(helped, cmd.Assign).worker == "old"  # now it is likely to be first


def test_a_fast_host_helps_an_old_one_at_the_end_once(told: Told) -> None:
    measured(told)
    told(ev.Planned(split(2)), ev.Planned(split(3)), ev.Listed())
    on_fast = next(a for a in told.schedule.state.living.values() if a.worker == "fast")
    follows = told.finish("fast", on_fast.number)
    assert not [c for c in follows if isinstance(c, cmd.Assign)]
    assert only(told(ev.Tick(), at=21.0), cmd.Assign).worker == "fast"
    assert told(ev.Tick(), at=22.0) == []


def both_offered(told: Told) -> tuple[int, int]:
    """Two attempts at one task, both done; the first is being pulled."""
    measured(told)
    told(ev.Leaving("fast"))
    told(ev.Planned(split(2)), ev.Listed())
    told(ev.Joined("fast", 3, 1))
    second = only(told(ev.Tick(), at=21.0), cmd.Assign).attempt
    (first,) = told.schedule.state.living.keys() - {second}
    assert told(ev.Offered("old", first, 100)) == [cmd.Pull("old", first)]
    assert told(ev.Offered("fast", second, 100)) == []
    return first, second


def test_the_second_result_is_pulled_where_pulling_the_first_breaks(told: Told) -> None:
    first, second = both_offered(told)
    assert only(told(ev.Lost("old", 2)), cmd.Pull) == cmd.Pull("fast", second)
    assert told.schedule.state.living[first].stage.name == "RETURNING"
    assert only(told(ev.Received("fast", second)), cmd.Commit).attempts == (second,)


@pytest.mark.parametrize("how", ["damaged", "failed", "vanished"])
def test_the_second_result_is_pulled_where_the_first_ends(told: Told, how: str) -> None:
    first, second = both_offered(told)
    if how == "damaged":
        follows = told(ev.Damaged("old", first, "checksum"))
    elif how == "failed":
        follows = told(ev.Failed("old", first, "bug", "OSError"))
    else:
        follows = told(ev.Joined("old", 9, 1))
    assert only(follows, cmd.Pull) == cmd.Pull("fast", second)


def test_the_second_result_is_dropped_where_the_first_has_come(told: Told) -> None:
    first, second = both_offered(told)
    follows = told(ev.Received("old", first))
    assert only(follows, cmd.Cancel).attempt == second
    assert only(follows, cmd.Commit).attempts == (first,)
    assert [type(c) for c in told(ev.Received("fast", second))] == [cmd.Cancel]


def test_what_a_returning_worker_holds_and_nobody_wants_is_cancelled(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0)), ev.Lost("a", 1))
    follows = told(ev.Joined("a", 2, 1, holding=(0, 77)))
    assert [c for c in follows if isinstance(c, cmd.Cancel)] == [cmd.Cancel("a", 77)]


def test_a_report_of_an_older_connections_end_is_ignored(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0)))
    told(ev.Joined("a", 2, 1, holding=(0,)), ev.Lost("a", 1))
    assert told.schedule.state.roster.usable == 1
    told(ev.Joined("a", 1, 5))
    assert told.schedule.state.roster.slots == 1


def test_a_partial_that_came_whole_counts_though_its_connection_broke(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0)), ev.Offered("a", 0, 100))
    told(ev.Lost("a", 1))
    assert told(ev.Received("a", 0)) == [cmd.Commit(0, (0,))]
    follows = told(ev.Joined("a", 2, 1, holding=(0,)))
    assert not [c for c in follows if isinstance(c, cmd.Cancel)]
    assert only(told(ev.Committed(0)), cmd.Accept) == cmd.Accept("a", 0)


def test_retries_go_elsewhere(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Joined("b", 2, 1), ev.Planned(split(0)), ev.Planned(split(1)))
    told.finish("b", 1)
    assert told(ev.Failed("a", 0, "bug", "OSError")) == [cmd.Assign("b", 0, 2, split(0).pieces)]


def test_the_same_fault_of_ours_thrice_ends_the_run(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0)))
    told(ev.Failed("a", 0, "bug", "x"), ev.Failed("a", 1, "bug", "x"))
    assert told(ev.Failed("a", 2, "bug", "KeyError")) == [cmd.Abort("bug", "KeyError")]


def test_a_signature_that_keeps_expiring_is_the_stores_fault(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0)))
    told(ev.Failed("a", 0, "expired", "x"), ev.Failed("a", 1, "expired", "x"))
    assert told(ev.Failed("a", 2, "expired", "403")) == [cmd.Abort("store", "403")]


def test_a_signature_that_keeps_expiring_while_others_are_served_stops_nothing(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Joined("b", 2, 1), ev.Planned(split(0)), ev.Planned(split(1)))
    told(ev.Failed("a", 0, "expired", "x"), ev.Failed("a", 2, "expired", "x"))
    told(ev.Beat("b", (Progress(1, 1, 5),)), at=1.0)
    follows = told(ev.Failed("a", 3, "expired", "x"))
    assert {type(c) for c in follows} == {cmd.Pace}  # it waits, as where a store fails
    told(ev.Tick(), at=3.0)
    assert only(told.finish("b", 1), cmd.Assign).task == 0


def test_requests_are_shared_among_slots_and_never_more_run_than_the_limit() -> None:
    told = Told(Rules(max_requests=10, prefetch=1))
    told(*(ev.Planned(split(n)) for n in range(40)))
    paces = [c for c in told(ev.Joined("a", 1, 4)) if isinstance(c, cmd.Pace)]
    assert paces == [cmd.Pace(2)]
    told(ev.Joined("b", 2, 8))
    assert told.schedule.state.roster.running == 10
    assert told.schedule.requests == 1


def test_where_no_store_is_asked_every_slot_works_whatever_the_limit() -> None:
    told = Told(Rules(max_requests=10, prefetch=1, asks=False))
    told(*(ev.Planned(split(n)) for n in range(40)))
    told(ev.Joined("a", 1, 4), ev.Joined("b", 2, 8))
    assert told.schedule.state.roster.running == 12
    assert told.schedule.requests == 2


def test_a_host_that_does_not_see_its_input_is_set_aside_at_once_and_its_work_done_elsewhere(
    told: Told,
) -> None:
    told(ev.Joined("a", 1, 1), ev.Joined("b", 2, 1), ev.Planned(split(0)))
    told(ev.Offered("a", 0, 10))
    follows = told(ev.Unseen("a", 0, "it is not mounted"))
    assert only(follows, cmd.SetAside) == cmd.SetAside("a", "it is not mounted", 60.0)
    assert only(follows, cmd.Cancel).attempt == 0
    again = only(told(ev.Tick(), at=5.0), cmd.Assign)
    assert (again.worker, again.task) == ("b", 0)


def test_it_wants_no_more_splits_than_it_needs() -> None:
    told = Told()
    wants = [told.schedule.wanted]
    while wants[-1]:
        told(ev.Planned(split(len(wants))))
        wants.append(told.schedule.wanted)
    assert wants == list(range(64, -1, -1))
    told(ev.Joined("a", 1, 100))  # it takes them all
    assert told.schedule.wanted == 200


def test_events_that_cannot_be_are_refused(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0)))
    with pytest.raises(ScheduleError, match="planned twice"):
        told(ev.Planned(split(0)))
    with pytest.raises(ScheduleError, match="was not requested"):
        told(ev.Committed(0))
    with pytest.raises(ScheduleError, match="never offered"):
        told(ev.Received("a", 0))
    told(ev.Listed())
    with pytest.raises(ScheduleError, match="after the listing"):
        told(ev.Planned(split(1)))


def test_rules_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(UsageError, match="heartbeat < silent <= lease"):
        Rules(heartbeat_s=20.0)
    with pytest.raises(UsageError, match="at least 1 request"):
        Rules(max_requests=0)


def crash_at_2(told: Told, *, named: bool) -> tuple[list[tuple[int, ...]], cmd.Commit]:
    """Have the object 2 of four end its process wherever it is read, a second after it began."""
    told(ev.Joined("a", 1, 1), ev.Joined("b", 2, 1), ev.Planned(split(0, 4)))
    seen: list[tuple[int, ...]] = []
    for _ in range(200):
        told.now += 1.0
        follows = told(ev.Tick(), ev.Beat("a"), ev.Beat("b"))
        for living in list(told.schedule.state.living.values()):
            if living.stage.name == "RECEIVED":
                continue
            ordinals = tuple(p.ordinal for p in living.fragment.pieces)
            if not living.fragment.task.control:
                seen.append(ordinals)
            if 2 in ordinals:
                at = 2 if named else None
                how = ev.Failed(living.worker, living.number, "crashed", "signal SIGSEGV", at)
                follows += told(how)
            else:
                follows += told.finish(living.worker, living.number)
        commits = [c for c in follows if isinstance(c, cmd.Commit)]
        if commits:
            return seen, commits[0]
    raise AssertionError(f"no end: {seen}")


@pytest.mark.parametrize(
    ("named", "parts"), [(True, {(0, 1), (2,), (3,)}), (False, {(0, 1), (2, 3), (2,), (3,)})]
)
def test_a_crash_is_narrowed_to_its_object_told_or_not(
    named: bool, parts: set[tuple[int, ...]], told: Told
) -> None:
    seen, commit = crash_at_2(told, named=named)
    assert seen[:2] == [(0, 1, 2, 3)] * 2
    assert set(seen[2:]) == parts
    assert seen.count((2,)) <= 6
    assert [c.piece.ordinal for c in commit.crashed] == [2]
    assert len(commit.attempts) == 2
    assert commit.crashed[0].how == "alone on a, b: signal SIGSEGV"


def test_an_object_that_no_worker_was_sent_is_not_suspected(told: Told) -> None:
    told(ev.Joined("a", 1, 1), ev.Planned(split(0, 4)))
    told(ev.Failed("a", 0, "crashed", "signal SIGKILL", 77))
    (fragment,) = told.schedule.state.tasks[0].fragments
    assert not fragment.troubles.strikes
    assert fragment.troubles.unnamed == 1


def test_work_counts_what_opening_an_object_costs(told: Told) -> None:
    told(ev.Planned(split(0, 3, size_bytes=10)))
    (fragment,) = told.schedule.state.tasks[0].fragments
    assert fragment.cost == 3 * (10 + OPEN_COST_BYTES)
