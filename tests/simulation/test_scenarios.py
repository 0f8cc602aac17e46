"""Failures that other systems have met, each by itself, with the same end.

After each: the digest of a run without faults, each split committed once, nothing left running.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mapreduce.cluster.schedule import commands as cmd
from mapreduce.cluster.schedule import events as ev
from tests.simulation.world import FAST_RULES, Chances, World, splits_of

if TYPE_CHECKING:
    from mapreduce.cluster.protocol.messages import Kind
    from tests.simulation.agent import Agent
    from tests.simulation.world import Outcome


def cluster(hosts: int = 3, tasks: int = 12, pieces: int = 4, **changes: object) -> World:
    rules = dataclasses.replace(FAST_RULES, **changes)  # type: ignore[arg-type] # by name
    world = World(splits_of(tasks, pieces), rules=rules)
    for number in range(hosts):
        world.add(f"pi{number:02}")
    return world


def same_end(world: World) -> Outcome:
    outcome = world.run()
    world.assert_done()
    faultless = cluster(tasks=len(world.splits), pieces=len(world.splits[0].pieces))
    faultless.poison = world.poison
    if not world.poison:
        assert outcome.digest == faultless.run().digest
    return outcome


@pytest.mark.parametrize("when_s", [0.5, 1.9, 2.05, 2.15, 2.3, 3.0])
def test_1_a_worker_is_killed_before_during_or_after_it_sends(when_s: float) -> None:
    world = cluster()
    world.at(when_s, lambda: world.agents["pi01"].die(None))
    same_end(world)


def test_2_an_acknowledgement_is_lost_and_the_result_offered_again() -> None:
    world = cluster(hosts=2)
    agent = world.agents["pi00"]
    forget, lost = agent.forget, list[int]()

    def deaf(attempt: int) -> None:
        if not lost:
            lost.append(attempt)
            agent.cut(1.0)  # before it heard; it comes back and offers anew
        else:
            forget(attempt)

    agent.forget = deaf  # type: ignore[method-assign] # the one acknowledgement
    outcome = same_end(world)
    assert lost
    assert outcome.late >= 1 or not agent.results


def test_3_the_first_attempt_and_the_second_both_finish_and_one_commits() -> None:
    world = cluster(hosts=2, tasks=4, pieces=1)
    agent = world.agents["pi00"]
    agent.slow = 12.0
    agent.forget = lambda attempt: None  # type: ignore[method-assign] # noqa: ARG005 - it does not even hear a cancel
    outcome = same_end(world)
    assert world.schedule.state.attempts > len(world.splits)
    assert set(outcome.committed.values()) == {1}


def test_4_an_attempt_that_was_given_to_another_commits_nothing() -> None:
    world = cluster(hosts=1, tasks=1)
    world.run(until_s=0.5)
    handle = world.schedule.handle
    handle(ev.Lost("pi00", 1), 1.0)
    handle(ev.Tick(), 20.0)
    (assigned,) = (c for c in handle(ev.Joined("pi01", 99, 1), 21.0) if isinstance(c, cmd.Assign))
    assert assigned.attempt == 1
    assert [type(c) for c in handle(ev.Offered("pi00", 0, 10), 22.0)] == [cmd.Cancel]
    assert [type(c) for c in handle(ev.Received("pi00", 0), 22.0)] == [cmd.Cancel]
    assert handle(ev.Offered("pi01", 1, 10), 23.0) == [cmd.Pull("pi01", 1)]
    world.schedule.check()


def test_5_the_worker_whose_result_is_being_pulled_dies_and_the_right_is_free_again() -> None:
    world = cluster(hosts=2, budget_bytes=10)
    came = world.came

    def dies(agent: Agent, attempt: int, objects: tuple[int, ...]) -> None:
        if agent.name == "pi00" and agent.life == 0:
            agent.die(5.0)
        else:
            came(agent, attempt, objects)

    world.came = dies  # type: ignore[method-assign] # in the middle of its partial
    same_end(world)


@pytest.mark.parametrize("how", ["slot", "host", "hang"])
@pytest.mark.parametrize("pieces", [1, 8])
def test_6_an_object_that_kills_every_worker_is_named_and_the_rest_goes_on(
    how: str, pieces: int
) -> None:
    world = cluster(hosts=4, tasks=10, pieces=pieces)
    world.poison = {5: how}
    outcome = same_end(world)
    assert dict(outcome.crashed) == {5: 1}
    assert world.schedule.state.attempts < 10 + 40


def test_6_many_such_objects_end_too() -> None:
    world = cluster(hosts=4, tasks=6, pieces=4)
    world.poison = dict.fromkeys([0, 1, 2, 3, 9, 23], "slot")  # the first split is nothing else
    assert sum(same_end(world).crashed.values()) == 6


def test_7_a_worker_stopped_beyond_its_lease_finds_its_result_ignored() -> None:
    world = cluster()
    world.at(1.0, lambda: world.agents["pi02"].freeze(15.0))
    outcome = same_end(world)
    assert outcome.ended_s < 15.0 or outcome.late
    late = cluster(tasks=60)
    late.at(1.0, lambda: late.agents["pi02"].freeze(12.0))
    assert same_end(late).late


def test_8_an_attempt_that_stands_still_while_heartbeats_come_is_given_up() -> None:
    world = cluster(hosts=2, tasks=4, stuck_s=20.0)
    agent, hung = world.agents["pi00"], list[int]()

    def hang(attempt: int) -> bool:
        if not hung:
            hung.append(attempt)
        return attempt in hung

    agent.before_done = hang
    outcome = same_end(world)
    assert not outcome.crashed
    assert hung


def test_8_one_that_stands_still_before_anything_is_done_is_tried_by_whoever_is_idle() -> None:
    world = cluster(hosts=3, tasks=2, still_s=10.0)
    for name in ("pi00", "pi01"):
        world.agents[name].before_done = lambda _: True
    outcome = same_end(world)
    assert not outcome.crashed
    assert 10.0 <= outcome.ended_s < FAST_RULES.still_s


def test_9_a_connection_that_dies_without_a_word_costs_a_lease() -> None:
    world = cluster(hosts=2)
    agent = world.agents["pi01"]

    def unplug() -> None:
        agent.connection = None  # no Lost is ever reported
        agent.alive = False
        agent.life += 1

    world.at(1.0, unplug)
    outcome = same_end(world)
    assert outcome.ended_s > FAST_RULES.lease_s


@pytest.mark.parametrize("cut_off", [1, 2, 4])
@pytest.mark.parametrize("for_s", [1.0, 6.0, 30.0])
def test_10_one_half_or_all_are_cut_off(cut_off: int, for_s: float) -> None:
    world = cluster(hosts=4, tasks=40)
    for number in range(cut_off):
        agent = world.agents[f"pi{number:02}"]
        world.at(3.0, partial(agent.cut, for_s))
    outcome = same_end(world)
    if for_s < FAST_RULES.reconnect_s:
        assert world.schedule.state.losses == 0  # what it held was not given to others
    assert not outcome.crashed


@pytest.mark.parametrize("seed", range(5))
def test_11_messages_come_late_twice_or_with_their_connection_not_at_all(seed: int) -> None:
    chances = Chances(delay_s=1.5, doubled=0.3, lost_call=0.1, half_open=0.5, damaged=0.02)
    world = World(splits_of(20, 2), seed=seed, chances=chances)
    for number in range(3):
        world.add(f"pi{number:02}")
    same_end(world)


def test_all_workers_lost_is_waited_for() -> None:
    world = cluster(hosts=3, tasks=20)
    for agent in world.agents.values():
        world.at(2.5, partial(agent.die, 60.0))
    assert same_end(world).ended_s > 60


def test_no_worker_for_too_long_ends_the_run_and_says_so() -> None:
    world = cluster(hosts=1)
    world.at(2.5, lambda: world.agents["pi00"].die(None))
    outcome = world.run()
    assert outcome.aborted is not None
    assert outcome.aborted.kind == "workers"
    assert 200 <= outcome.ended_s <= 220


def test_64_of_128_workers_die_at_once() -> None:
    world = cluster(hosts=0, tasks=600, pieces=1, max_requests=1000)
    world._checked = False
    for number in range(128):
        world.add(f"pi{number:03}")
    for number in range(64):
        world.at(3.0, partial(world.agents[f"pi{number:03}"].die, None))
    same_end(world)


def test_a_failing_store_is_waited_for_and_nothing_is_booked_on_objects() -> None:
    world = cluster(tasks=30)
    world.chances.store_down = ((3.0, 60.0),)
    outcome = same_end(world)
    assert not outcome.crashed


def test_a_store_that_fails_for_too_long_ends_the_run_resumably() -> None:
    world = cluster(tasks=30)
    world.chances.store_down = ((3.0, 1e9),)
    for agent in world.agents.values():
        agent.before_done = partial(_store_fails, agent)
    outcome = world.run()
    assert outcome.aborted is not None
    assert outcome.aborted.kind == "store"
    assert not outcome.crashed


def _store_fails(agent: Agent, attempt: int) -> bool:
    if not agent.world.store_is_down():
        return False
    del agent.running[attempt]
    agent.world.tell(agent, ev.Failed(agent.name, attempt, "store", "503 SlowDown"))
    agent._begin()
    return True


def test_slow_downs_lower_the_requests_of_the_whole_cluster_and_they_recover() -> None:
    world = cluster(hosts=4, tasks=200, max_requests=40)
    world.chances.store_down = ((5.0, 12.0),)
    limits = []
    for second in range(0, 100, 2):
        world.at(second, lambda: limits.append(world.schedule.state.throttle.limit))
    same_end(world)
    assert limits[0] == 40
    assert min(limits) <= 10
    assert limits[-1] > min(limits)


@pytest.mark.parametrize(
    ("kind", "message", "advice"),
    [
        ("map", "ZeroDivisionError in map", ""),
        ("job", "No module named 'shapely.geometry'", "--with shapely"),
    ],
)
def test_an_error_in_the_jobs_code_ends_the_run_at_once(
    kind: Kind, message: str, advice: str
) -> None:
    world = cluster()
    agent = world.agents["pi01"]

    def raises(attempt: int) -> bool:
        world.tell(agent, ev.Failed(agent.name, attempt, kind, message))
        return True

    agent.before_done = raises
    aborted = world.run().aborted
    assert aborted is not None
    assert aborted.kind == kind
    assert aborted.message.startswith(f"on {agent.name}: {message}")
    assert aborted.message.endswith(advice or message)


def test_a_host_that_keeps_failing_is_set_aside_and_the_rest_does_its_work() -> None:
    world = cluster(hosts=3, tasks=40)
    agent = world.agents["pi00"]

    def broken(attempt: int) -> bool:
        del agent.running[attempt]
        world.tell(agent, ev.Failed(agent.name, attempt, "bug", "OSError: read-only file system"))
        agent._begin()
        return True

    agent.before_done = broken
    outcome = same_end(world)
    assert {a.worker for a in outcome.aside} == {"pi00"}
    assert outcome.assigned["pi00"] < 15


def test_the_last_host_is_never_set_aside() -> None:
    world = cluster(hosts=1, tasks=6)
    world.poison = dict.fromkeys([0, 4, 8, 12], "slot")
    outcome = same_end(world)
    assert not outcome.aside


def test_an_expired_signature_is_made_anew() -> None:
    world = World(splits_of(12, 2), chances=Chances(expired=0.15), seed=3)
    world.add("pi00")
    world.add("pi01")
    same_end(world)
    assert world.schedule.state.attempts > 12


def test_a_drained_run_finishes_what_runs_and_says_that_it_is_not_complete() -> None:
    world = cluster(hosts=2, tasks=30)
    world.at(5.0, lambda: world.report(ev.Draining()))
    outcome = world.run()
    assert outcome.finished is False
    assert 0 < len(outcome.committed) < 30
    assert not world.schedule.state.living
    assert outcome.ended_s < 12


def test_a_worker_that_says_goodbye_loses_nothing() -> None:
    world = cluster(hosts=2, tasks=20)
    world.at(5.0, world.agents["pi00"].leave)
    same_end(world)
    assert world.schedule.state.losses == 0


def test_a_worker_that_joins_late_gets_work() -> None:
    world = cluster(hosts=1, tasks=40)
    world.at(10.0, partial(_add, world, "late"))
    assert same_end(world).assigned["late"] > 5


def _add(world: World, name: str) -> None:
    world.add(name)


def test_partials_are_pulled_within_their_budget() -> None:
    world = cluster(hosts=6, tasks=60, pieces=1, budget_bytes=30)
    outcome = same_end(world)
    assert outcome.most_bytes <= 30


def test_a_partial_greater_than_the_budget_comes_alone() -> None:
    world = cluster(hosts=3, tasks=10, budget_bytes=5)
    assert same_end(world).most_bytes == world.partial_bytes


def test_parts_of_narrowed_tasks_do_not_block_the_budget() -> None:
    world = cluster(hosts=3, tasks=8, pieces=8, budget_bytes=20)
    world.poison = {3: "slot", 12: "slot", 20: "slot", 29: "slot"}
    same_end(world)
