"""What must hold in a schedule's state after every event.

It looks at everything, so it is for tests; it changes nothing and raises `AssertionError` naming
what does not hold. Its `assert`s cost no message while they hold, unlike a function's arguments.
"""

# ruff: noqa: S101 - checks for tests, which are what assert is for

from __future__ import annotations

from mapreduce.cluster.schedule.state import State
from mapreduce.cluster.schedule.tasks import Attempt, Fragment, Place, Stage, Task

MOST_ATTEMPTS = 2  # live ones at a fragment


def check(state: State) -> None:
    """Check every invariant; an AssertionError names the first that does not hold."""
    if state.aborted:
        return  # what was going on is let lie
    for task in state.tasks.values():
        if not _is_untouched(task):  # which most are
            _check_task(task, state)
    _check_attempts(state)
    _check_workers(state)
    _check_intake(state)
    if not state.over:
        _check_nobody_idles(state)


def _is_untouched(task: Task) -> bool:
    first = task.fragments[0]
    return first.place is Place.READY and first.whole and not first.attempts and task.open == 1


def _check_task(task: Task, state: State) -> None:
    name = f"task {task.number}"
    assert task.number not in state.committed, f"{name} is committed and still open"
    reached = 0
    for fragment in sorted(task.fragments, key=lambda f: f.start):
        assert fragment.start == reached, f"{name}: its fragments leave out or repeat {reached}"
        reached = fragment.stop
        _check_fragment(fragment, state)
    assert reached == len(task.pieces), f"{name}: its fragments end at {reached}"
    settled = (Place.RECEIVED, Place.CRASHED)
    unsettled = sum(f.place not in settled for f in task.fragments)
    assert task.open == unsettled, f"{name}: {task.open} open, but {unsettled} fragments are"
    assert task.committing == (not unsettled), f"{name}: committing is {task.committing}"
    received = sum(f.place is Place.RECEIVED for f in task.fragments)
    crashed = sum(f.place is Place.CRASHED for f in task.fragments)
    assert received == len(task.received), f"{name}: received {len(task.received)}"
    assert crashed == len(task.crashed), f"{name}: crashed {len(task.crashed)}"


def _check_fragment(fragment: Fragment, state: State) -> None:
    name, place, live = f"fragment {fragment.order}", fragment.place, fragment.attempts
    if place is Place.OUT:
        assert 1 <= len(live) <= MOST_ATTEMPTS, f"{name} is out with {len(live)} attempts"
        assert sum(a.speculative for a in live) <= 1, f"{name} has two speculative attempts"
        coming = sum(a.stage is Stage.PULLING for a in live)
        assert coming <= 1, f"{name} is pulled twice at once"
        assert not any(a.alone for a in live) or len(live) == 1, f"{name} runs alone, twice"
    elif place is Place.RECEIVED:
        here = len(live) == 1 and live[0].stage is Stage.RECEIVED
        assert here, f"{name} is received, with {len(live)} attempts"
    else:
        assert not live, f"{name} is {place.name} and has {len(live)} attempts"
    for attempt in live:
        assert state.living.get(attempt.number) is attempt, f"attempt {attempt.number} lives twice"


def _check_attempts(state: State) -> None:
    watched = state.leases.watched()
    for attempt in state.living.values():
        name, worker = f"attempt {attempt.number}", state.roster.workers[attempt.worker]
        stage, task = attempt.stage, attempt.fragment.task
        assert not task.control or stage is Stage.LEASED, f"{name} is a control and {stage.name}"
        assert task.control or state.tasks.get(task.number) is task, f"{name} is of no open task"
        assert attempt in attempt.fragment.attempts, f"{name}: its fragment does not know it"
        assert attempt.fragment in task.fragments, f"{name}: its fragment is no more"
        queued, held = attempt.number in worker.queue, attempt.number in worker.held
        assert queued == (stage is Stage.LEASED), f"{name} is {stage.name}, queued: {queued}"
        wanted = stage in (Stage.OFFERED, Stage.RETURNING, Stage.PULLING)
        assert held == wanted, f"{name} is {stage.name}, held: {held}"
        if stage is not Stage.RECEIVED:
            assert attempt.number in watched, f"{name} has a lease that nobody watches"
    waiting = list(state.backlog.waiting())
    guests = [w.guest for w in state.roster.workers.values() if w.guest is not None]
    waiting += [g for g in guests if g.place is Place.ALONE]
    places = (Place.READY, Place.LATER, Place.ALONE)
    due = [f for t in state.tasks.values() for f in t.fragments if f.place in places]
    assert len(waiting) == len({id(f) for f in waiting}), "a fragment waits in two places"
    assert {id(f) for f in waiting} == {id(f) for f in due}, "a fragment waits nowhere, or is done"


def _check_workers(state: State) -> None:
    roster = state.roster
    for name, worker in roster.workers.items():
        had: list[Attempt] = [*worker.queue.values(), *worker.held.values()]
        assert all(state.living.get(a.number) is a for a in had), f"{name} has what is over"
        ring = roster.ring(worker)
        assert (name in roster.idle) == (ring is roster.idle), f"{name}: wrongly idle, or not"
        assert (name in roster.roomy) == (ring is roster.roomy), f"{name}: wrongly roomy, or not"
        assert (name in state.guests) == (worker.guest is not None), f"{name}: guests differ"
        guest = worker.guest
        if guest is not None and guest.place is Place.OUT:
            assert [a.fragment for a in had if a.alone] == [guest], f"{name}: its guest is away"
            assert len(worker.queue) <= 1, f"{name}: its guest is not alone"
    usable = [w for w in roster.workers.values() if w.usable]
    assert roster.usable == len(usable), "the number of usable workers is wrong"
    assert roster.slots == sum(w.slots for w in usable), "the number of slots is wrong"
    running = sum(w.busy for w in roster.workers.values())
    assert roster.running == running, f"{running} run, counted as {roster.running}"


def _check_intake(state: State) -> None:
    coming = [a for a in state.living.values() if a.stage is Stage.PULLING]
    here = [a for a in state.living.values() if a.stage is Stage.RECEIVED]
    total = sum(a.size_bytes for a in coming) + sum(a.size_bytes for a in here)
    assert state.intake.reserved_bytes == total, f"{total} bytes, {state.intake.reserved_bytes}"
    committing = sum(a.fragment.task.committing for a in here)
    assert state.intake.busy == len(coming) + committing, f"busy is {state.intake.busy}"
    queued = state.intake.queued()
    for attempt in state.living.values():
        rivals = any(a.stage is Stage.PULLING for a in attempt.fragment.attempts)
        if attempt.stage is Stage.OFFERED and not rivals:
            assert attempt.number in queued, f"offer {attempt.number} is not queued"
    count = sum(t.committing for t in state.tasks.values())
    assert state.committing == count, f"{count} commits, counted as {state.committing}"


def _check_nobody_idles(state: State) -> None:
    roster, backlog = state.roster, state.backlog
    if state.draining or not backlog.ready or not state.throttle.has_room(roster.running):
        return
    for name in roster.idle:
        able = any(
            f.place is Place.READY and (name not in f.avoid or not roster.elsewhere(f))
            for f in backlog.waiting()
        )
        assert not able, f"{name} idles while work waits"
