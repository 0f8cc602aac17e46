"""How long a run takes on a shelf of unequal hosts, and on many: by the real schedule."""

from __future__ import annotations

import dataclasses

import pytest

from mapreduce.cluster.schedule.rules import Rules
from tests.simulation.world import SPLIT_COST, World, splits_of

RULES = Rules(max_requests=10_000)


def shelf(rates: list[float], tasks: int, slots: int, *, checked: bool = False) -> World:
    """Hosts whose slots do so many splits' bytes a second each."""
    world = World(splits_of(tasks, 8), rules=RULES, checked=checked)
    world.chances = dataclasses.replace(world.chances, delay_s=0.01)
    for number, rate in enumerate(rates):
        world.add(f"pi{number:03}", slots, rate * SPLIT_COST)
    return world


def ideal_s(world: World) -> float:
    """All work, at the rates of all slots together."""
    state = world.schedule.state
    assert not state.tasks
    work = sum(s.read_bytes + 8 * (1 << 17) for s in world.splits)
    return work / sum(a.slots * a.rate for a in world.agents.values())


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("scale", [0.02, 0.06])
def test_a_mixed_shelf_takes_at_most_1_3_of_the_ideal(slots: int, scale: float) -> None:
    rates = [50 * scale, 25 * scale, 12 * scale, 3 * scale]
    world = shelf(rates, tasks=int(200 * sum(rates) * slots / 2), slots=slots)
    outcome = world.run()
    world.assert_done()
    assert outcome.ended_s > 150
    assert outcome.ended_s <= 1.3 * ideal_s(world)
    shares = [outcome.assigned[n] for n in sorted(outcome.assigned)]
    assert shares == sorted(shares, reverse=True)  # fast hosts take more


def test_an_old_pi_is_no_straggler() -> None:
    world = shelf([0.5, 0.5, 0.05], tasks=200, slots=1, checked=True)
    outcome = world.run()
    world.assert_done()
    assert world.schedule.state.attempts <= len(world.splits) + 3
    assert not outcome.aside
    assert outcome.assigned["pi002"] >= 8


def test_a_host_that_becomes_twenty_times_slower_does_not_hold_up_the_end() -> None:
    world = shelf([0.5] * 4, tasks=120, slots=2, checked=True)

    def falter() -> None:
        world.agents["pi000"].slow = 20.0

    world.at(20.0, falter)
    outcome = world.run()
    world.assert_done()
    assert outcome.ended_s < 1.6 * ideal_s(world)


def test_one_stopped_host_near_the_end_costs_little() -> None:
    world = shelf([0.5] * 4, tasks=80, slots=2, checked=True)
    world.at(38.0, lambda: world.agents["pi001"].freeze(10_000))
    outcome = world.run()
    world.assert_done()
    assert outcome.ended_s < 80


def test_more_hosts_take_less_time_nearly_in_proportion() -> None:
    took = {}
    for hosts in (1, 2, 4, 8, 16):
        world = shelf([0.5] * hosts, tasks=320, slots=2)
        took[hosts] = world.run().ended_s
        world.assert_done()
    for hosts, seconds in took.items():
        assert seconds <= 1.1 * took[1] / hosts


def test_would_300_pis_help() -> None:
    took = {}
    for hosts in (16, 300):
        world = shelf([0.1] * hosts, tasks=3_000, slots=2)
        took[hosts] = world.run().ended_s
        world.assert_done()
    assert took[16] / took[300] > 0.75 * 300 / 16
