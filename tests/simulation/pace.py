"""How many events a second the schedule handles: `python -m tests.simulation.pace`.

300 workers of 4 slots and 20,000 tasks, each with its offer, receipt and commit, heartbeats of all
workers between; without checks.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from mapreduce.cluster.protocol.messages import Progress
from mapreduce.cluster.schedule import commands as cmd
from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.scheduler import Schedule
from tests.simulation.world import splits_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WORKERS, SLOTS, TASKS = 300, 4, 20_000
BEAT_EVERY = 2_000  # events of tasks


def answers(
    follows: Iterable[cmd.Command], holding: dict[str, dict[int, None]]
) -> Iterator[ev.Event]:
    """Give what comes of commands at once."""
    for command in follows:
        match command:
            case cmd.Assign(worker, _, attempt):
                holding[worker][attempt] = None
                yield ev.Offered(worker, attempt, 4096)
            case cmd.Pull(worker, attempt):
                yield ev.Received(worker, attempt)
            case cmd.Commit(task):
                yield ev.Committed(task)
            case cmd.Accept(worker, attempt) | cmd.Cancel(worker, attempt):
                holding[worker].pop(attempt, None)


def main() -> None:
    """Handle it all, and say how long it took."""
    schedule = Schedule(Rules(max_requests=10_000))
    splits = iter(splits_of(TASKS, 4))
    holding: dict[str, dict[int, None]] = {f"pi{n:03}": {} for n in range(WORKERS)}
    todo: deque[ev.Event] = deque(
        ev.Joined(name, number + 1, SLOTS) for number, name in enumerate(holding)
    )
    events, slowest_s, began = 0, 0.0, time.process_time()
    finished = listed = False
    while not finished:
        if schedule.wanted and not listed:
            split = next(splits, None)
            todo.appendleft(ev.Listed() if split is None else ev.Planned(split))
            listed = split is None
        if not todo:
            todo.append(ev.Tick())
        now = time.process_time() - began
        follows = schedule.handle(todo.popleft(), now)
        slowest_s = max(slowest_s, time.process_time() - began - now)
        events += 1
        finished = any(isinstance(c, cmd.Finish) for c in follows)
        todo.extend(answers(follows, holding))
        if events % BEAT_EVERY == 0:
            todo.append(ev.Tick())
            todo.extend(ev.Beat(w, tuple(map(Progress, h))) for w, h in holding.items())
    took_s = time.process_time() - began
    sys.stdout.write(
        f"{TASKS:,} tasks, {WORKERS} workers: {events:,} events in {took_s:.1f} s of one core,"
        f" {events / took_s:,.0f} a second, {TASKS / took_s:,.0f} commits a second;"
        f" slowest {slowest_s * 1e3:.1f} ms\n"
    )


if __name__ == "__main__":
    main()
