"""Workers that come, come back and are lost, with what they have."""

from __future__ import annotations

from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule import failures
from mapreduce.cluster.schedule.commands import Cancel
from mapreduce.cluster.schedule.state import State
from mapreduce.cluster.schedule.tasks import Attempt, Stage
from mapreduce.cluster.schedule.workers import Worker


def joined(state: State, event: ev.Joined) -> None:
    """Take in a worker, or one that was here before with what it still has."""
    now = state.now
    known = state.roster.workers.get(event.worker)
    if known is None:
        worker = Worker(event.worker, event.slots, event.connection, now)
        state.roster.join(worker)
    elif event.connection <= known.connection:
        return
    else:
        worker = known
        state.roster.change(
            worker,
            now,
            connection=event.connection,
            slots=event.slots,
            heard=now,
            connected=True,
            silent=False,
            leaving=False,
        )
    state.nobody_since = None
    state.most_slots = max(state.most_slots, state.roster.slots)
    holding = set(event.holding)
    has = {**worker.queue, **worker.held}
    for number in holding - has.keys():
        attempt = state.living.get(number)
        received = attempt is not None and attempt.worker == worker.name  # and not yet accepted
        if not received:
            state.say(Cancel(worker.name, number))
    for attempt in has.values():
        attempt.lease_until = now + state.rules.lease_s
        _interrupt(state, attempt)
    began = {n for n, a in worker.queue.items() if a.started is not None}
    for number in sorted(has.keys() - holding):
        if number not in state.living:
            continue  # given back meanwhile, since its worker was set aside
        failures.vanished(state, has[number], "its worker restarted", ran=number in began)


def lost(state: State, event: ev.Lost) -> None:
    """Take in that a connection has ended; its worker has a while to come back."""
    worker = state.roster.workers.get(event.worker)
    if worker is None or worker.connection != event.connection or not worker.connected:
        return
    worker.lost_at = worker.heard
    state.roster.change(worker, state.now, connected=False)
    state.unseat(worker)
    grace_s = 0.0 if worker.leaving else state.rules.reconnect_s
    for attempt in [*worker.queue.values(), *worker.held.values()]:
        _interrupt(state, attempt)
        attempt.lease_until = min(attempt.lease_until, state.now + grace_s)
        state.leases.add(attempt)


def _interrupt(state: State, attempt: Attempt) -> None:
    """Reckon with it that what a worker offered must be offered anew."""
    if attempt.stage is Stage.PULLING:
        state.intake.free(attempt.size_bytes)
        attempt.stage = Stage.RETURNING
        state.offer_again(attempt.fragment)
    elif attempt.stage is Stage.OFFERED:
        attempt.stage = Stage.RETURNING
