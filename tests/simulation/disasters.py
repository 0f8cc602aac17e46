"""A run full of disasters, made of one seed.

`python -m tests.simulation.disasters FIRST COUNT` runs more of them and prints the seeds that fail.
"""

from __future__ import annotations

import dataclasses
import sys
import time
import traceback
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.world import FAST_RULES, SPLIT_COST, Chances, World, splits_of

if TYPE_CHECKING:
    from tests.simulation.agent import Agent
    from tests.simulation.world import Action

WORST_HOSTS = 7


def disaster(seed: int) -> World:
    """Make a world from a seed: hosts of different speed, and what befalls them."""
    dice = Random(seed * 7919 + 1)
    chances = Chances(
        delay_s=dice.choice([0.01, 0.1, 0.6]),
        doubled=dice.choice([0.0, 0.1, 0.3]),
        damaged=dice.choice([0.0, 0.01]),
        expired=dice.choice([0.0, 0.01]),
        crash=dice.choice([0.0, 0.0, 0.003]),
        bug=dice.choice([0.0, 0.005]),
        half_open=dice.choice([0.0, 0.3]),
        lost_call=dice.choice([0.0, 0.05]),
        store_down=((at := dice.uniform(2, 20), at + dice.uniform(1, 12)),)
        if dice.random() < 0.3
        else (),
        unseen=0.0 if seed % 3 else 0.02,
        named=bool(seed % 5),
    )
    rules = dataclasses.replace(
        FAST_RULES,
        budget_bytes=dice.choice([10, 25, 60]),
        max_requests=dice.choice([3, 40]),
        prefetch=dice.choice([0, 1, 1, 2]),
        asks=bool(seed % 4),
    )
    pieces = dice.choice([1, 2, 4, 8])
    world = World(splits_of(dice.randint(8, 24), pieces), seed=seed, rules=rules, chances=chances)
    for _ in range(dice.choice([0, 0, 1, 2])):
        ordinal = dice.randrange(len(world.splits) * pieces)
        world.poison[ordinal] = dice.choice(["slot", "slot", "slot", "host", "host", "hang"])
    for number in range(dice.randint(1, WORST_HOSTS)):
        name = f"pi{number:02}"
        slots, rate = dice.choice([1, 2, 4]), SPLIT_COST / dice.choice([0.7, 1.5, 3, 6])
        late_s = dice.choice([0.0, 0.0, dice.uniform(0, 15)])
        world.at(late_s, _starter(world, name, slots, rate, stays=number == 0))
    return world


def _starter(world: World, name: str, slots: int, rate: float, *, stays: bool) -> Action:
    def start() -> None:
        _haunt(world, world.add(name, slots, rate), stays=stays)

    return start


def _haunt(world: World, agent: Agent, *, stays: bool) -> None:
    """Let things befall an agent, again and again, at intervals; one that stays always returns."""
    dice = world.random
    every_s = dice.choice([20.0, 60.0] if stays else [8.0, 20.0, 60.0])

    def befall() -> None:
        if agent.gone:
            return
        what = dice.choice(["kill", "stop", "stop", "cut", "cut", "slow", "leave", "lose"])
        if what == "kill":
            agent.die(dice.uniform(0.5, 15))
        elif what == "stop":
            agent.freeze(dice.choice([dice.uniform(0, 4), dice.uniform(8, 25)]))
        elif what == "cut":
            agent.cut(dice.choice([0.1, dice.uniform(0, 12)]))
        elif what == "slow":
            agent.slow = dice.choice([1.0, 5.0, 5.0 if stays else 20.0])
        elif not stays and agent.alive and agent.connection is not None:
            agent.leave() if what == "leave" else agent.die(None)
            agent.gone = True
        world.at(dice.expovariate(1 / every_s), befall)

    world.at(dice.expovariate(1 / every_s), befall)


def main(first: int, count: int) -> int:
    """Run seeds; print each that fails, and how many ran in a minute."""
    failed, steps, began = [], 0, time.process_time()
    for seed in range(first, first + count):
        world = disaster(seed)
        try:
            world.run()
            world.assert_right()
        except Exception:  # noqa: BLE001 - all failures are shown
            failed.append(seed)
            sys.stdout.write(f"seed {seed} failed:\n{traceback.format_exc()}\n")
        steps += world.outcome.steps
    pace = count / (time.process_time() - began) * 60
    sys.stdout.write(
        f"{count} seeds, {pace:,.0f} a minute of one core, {steps:,} steps; failed: {failed}\n"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
