"""All slots on all hosts killed together, again and again, as by a kernel that is short of memory.

`python -m tests.simulation.bursts FIRST COUNT` runs seeds, prints those that fail, and how many
processes were killed. No sound object may be convicted, and each that does kill must be found.
"""

from __future__ import annotations

import sys
import time
import traceback
from random import Random

from mapreduce.cluster.schedule.rules import Rules
from tests.simulation.world import SPLIT_COST, Chances, World, splits_of

OBJECTS = 180
LASTS_S = 25.0


def burst(seed: int) -> World:
    """Make a world from a seed: six hosts mostly, and 25 s in which their slots are killed."""
    dice = Random(seed * 104729 + 3)
    pieces = dice.choice([1, 1, 3, 10])
    chances = Chances(delay_s=dice.choice([0.01, 0.1]), named=bool(dice.randrange(4)))
    rules = Rules(max_requests=10_000, store_deadline_s=120.0)
    splits = splits_of(OBJECTS // pieces, pieces, int(SPLIT_COST * dice.choice([0.2, 1, 4])))
    world = World(splits, seed=seed, rules=rules, chances=chances, checked=not seed % 10)
    for _ in range(dice.choice([0, 1, 1, 3])):
        world.poison[dice.randrange(OBJECTS)] = "slot"
    for number in range(dice.choice([1, 2, 6, 6, 6])):
        world.add(f"pi{number:02}", dice.choice([1, 2, 4]), SPLIT_COST / dice.choice([0.5, 1, 3]))
    every_s, together = dice.choice([0.3, 1.0, 3.0]), dice.random() < 0.7
    begin_s = dice.uniform(0.5, 15)
    ends_s = begin_s + LASTS_S

    def kill() -> None:
        for agent in world.agents.values():
            if together:
                agent.kill_slots()
            else:
                world.at(world.random.uniform(0, every_s), agent.kill_slots)
        if world.now < ends_s:
            world.at(every_s * world.random.uniform(0.5, 1.5), kill)

    world.at(begin_s, kill)
    return world


def main(first: int, count: int) -> int:
    """Run seeds; print each that fails."""
    failed, killed, longest_s, began = [], 0, 0.0, time.process_time()
    for seed in range(first, first + count):
        world = burst(seed)
        try:
            world.run()
            world.assert_done()
        except Exception:  # noqa: BLE001 - all failures are shown
            failed.append(seed)
            sys.stdout.write(f"seed {seed} failed:\n{traceback.format_exc()}\n")
        killed += sum(agent.killed for agent in world.agents.values())
        longest_s = max(longest_s, world.outcome.ended_s)
    took_s = time.process_time() - began
    sys.stdout.write(
        f"{count} seeds in {took_s:.0f} s of one core, {killed:,} processes killed; the longest run"
        f" took {longest_s:,.0f} s; failed: {failed}\n"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
