"""Who gets what: free slots pull fragments, offers are pulled, idle hosts help at the end.

Each step costs no more for many workers or tasks, but for the second attempts at the end, which are
looked for once a second.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Container
from typing import Final

from mapreduce.cluster.schedule.commands import Assign, Finish, Pace, Pull
from mapreduce.cluster.schedule.rates import rest_s
from mapreduce.cluster.schedule.state import State
from mapreduce.cluster.schedule.tasks import Attempt, Fragment, Place, Stage, undivided
from mapreduce.cluster.schedule.workers import Worker

CONTROL: Final = 0  # as a task is numbered that is none: what comes of it is thrown away


def dispatch(state: State) -> None:
    """Do all that the present state allows."""
    _pull(state)
    if not state.draining:
        _seat(state)
        _fill(state)
        _compare(state)
    _pace(state)
    _finish(state)


def speculate(state: State) -> None:
    """Let idle workers try what others will take long for, once nothing else is left to do.

    How long is judged by each worker's own measured rate and by what the attempt shows: so a slow
    host is helped only where the helper is sure to be first, and none is taken for a straggler for
    being slow. One that stands still is helped whatever the rates are, since there are none where
    nothing is done yet. At most one second attempt a fragment.
    """
    roster = state.roster
    if state.over or state.draining or not state.listed:
        return
    if state.backlog.ready or not roster.idle:
        return
    rests = []
    for attempt in state.living.values():
        if attempt.stage is Stage.LEASED and _may_be_helped(attempt.fragment):
            rest = _rest_s(attempt, state)
            if rest is not None:
                rests.append((rest, attempt.number))
    waiting = deque(sorted(rests, reverse=True))
    helpers = [(roster.rate(roster.workers[n]) or 0.0, n) for n in roster.idle]
    for rate, name in sorted(helpers, reverse=True):
        worker = roster.workers[name]
        while worker.busy < worker.slots and waiting and _may_run(state):
            rest, number = waiting.popleft()
            attempt = state.living[number]
            cost_s = attempt.fragment.cost / rate if rate else math.inf
            if rest < math.inf and cost_s * state.rules.gain >= rest:
                break
            if attempt.worker != name and name not in attempt.fragment.avoid:
                assign(state, worker, attempt.fragment, speculative=True)


def _rest_s(attempt: Attempt, state: State) -> float | None:
    """How long an attempt will still take: for ever where it stands still, None if unknown."""
    if attempt.started is not None and state.now - attempt.moved >= state.rules.still_s:
        return math.inf
    rate = state.roster.rate(state.roster.workers[attempt.worker])
    return None if rate is None else rest_s(attempt, rate, state.now)


def assign(state: State, worker: Worker, fragment: Fragment, *, speculative: bool = False) -> None:
    """Begin an attempt."""
    number = state.attempts
    state.attempts += 1
    lease_until = state.now + state.rules.lease_s
    attempt = Attempt(number, fragment, worker.name, lease_until, fragment.alone, speculative)
    fragment.place = Place.OUT
    fragment.attempts.append(attempt)
    state.living[number] = attempt
    state.leases.add(attempt)
    state.roster.queue(attempt, state.now)
    state.say(Assign(worker.name, fragment.task.number, number, fragment.pieces))


def _may_be_helped(fragment: Fragment) -> bool:
    return len(fragment.attempts) == 1 and not fragment.alone and not fragment.task.control


def _may_run(state: State) -> bool:
    return state.throttle.has_room(state.roster.running)


def _fill(state: State) -> None:
    roster, backlog = state.roster, state.backlog
    passed: list[str] = []
    while roster.idle and backlog.ready and _may_run(state):
        worker = roster.workers[next(iter(roster.idle))]
        fragment = backlog.take(worker.name, roster.elsewhere)
        if fragment is None:  # all that is left has failed here, and may be done elsewhere
            passed.append(worker.name)
            del roster.idle[worker.name]
        else:
            assign(state, worker, fragment)
    roster.idle.update(dict.fromkeys(passed))
    enough = roster.slots if state.listed else 0  # near the end nobody hoards
    # what waits begins only when another ends: as many as may run may have one more waiting
    within = state.throttle.has_room(roster.running - 1)
    while within and roster.roomy and backlog.ready > enough:
        worker = roster.workers[next(iter(roster.roomy))]
        fragment = backlog.take(worker.name, roster.elsewhere)
        if fragment is None:
            break
        assign(state, worker, fragment)


def _compare(state: State) -> None:
    """Have hosts at which a process died read what went well before, if they have nothing else."""
    if not state.proven:
        return
    for name in dict.fromkeys(state.deaths.unseen()):
        worker = state.roster.workers[name]
        if name in state.roster.idle and not worker.queue and _may_run(state):
            control = undivided(CONTROL, state.proven)
            control.control = True
            assign(state, worker, control.fragments[0])


def _seat(state: State) -> None:
    """Find workers for fragments that must run alone, and start those whose worker is empty."""
    backlog, roster = state.backlog, state.roster
    unseen = set(state.deaths.unseen()) if backlog.alone and state.proven else set()
    for _ in range(len(backlog.alone)):
        if len(state.guests) >= max(1, roster.usable // 2):
            break
        fragment = backlog.alone.popleft()
        worker = _host_of(fragment, state, unseen)
        if worker is None:
            backlog.alone.append(fragment)
        else:
            state.guests[worker.name] = None
            roster.change(worker, state.now, guest=fragment)
    for name in list(state.guests):
        worker = roster.workers[name]
        guest = worker.guest
        if guest is not None and guest.place is Place.ALONE and not worker.queue:
            if not _may_run(state):
                break
            assign(state, worker, guest)


def _host_of(fragment: Fragment, state: State, unseen: Container[str]) -> Worker | None:
    """Find a host to try an object on by itself: one that it did not strike, if there is one.

    `unseen` are hosts where it is first to be seen how others fare since a process died.
    """
    troubles = fragment.troubles
    struck = Counter(s.where for s in troubles.strikes if s.alone) + Counter(troubles.lost_hosts)
    usable = [w for w in state.roster.workers.values() if w.usable]
    fewest = min((struck[w.name] for w in usable), default=0)
    free = [w for w in usable if w.guest is None and w.name not in unseen]
    fit = [w for w in free if struck[w.name] == fewest]
    return min(
        fit,
        key=lambda w: (w.name in fragment.avoid, not w.successes, len(w.queue)),
        default=None,
    )


def _pull(state: State) -> None:
    while (attempt := state.intake.take()) is not None:
        attempt.stage = Stage.PULLING
        state.say(Pull(attempt.worker, attempt.number))


def _pace(state: State) -> None:
    requests = state.throttle.requests_a_slot(state.roster.slots)
    if requests != state.requests:
        state.requests = requests
        state.say(Pace(requests))


def _finish(state: State) -> None:
    done = state.listed and not state.tasks
    controls = [a for a in state.living.values() if a.fragment.task.control]
    idle = len(controls) == len(state.living) and not state.committing
    if done or (state.draining and idle):
        for control in controls:
            state.drop(control)
        state.over = True
        state.say(Finish(done))
