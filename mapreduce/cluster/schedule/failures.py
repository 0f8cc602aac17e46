"""What follows when an attempt fails, by whose fault it was.

The job's code: the run stops. The store: wait, ask it less, stop once it has failed for too long.
An expired signature: sign anew; thrice while nobody is served, it is the store. A shared folder
that a host does not see: the host is set aside. A process or a worker that died: `verdicts` judges.
This program: elsewhere, a few times. Each attempt has been ended before it comes here, but for
those that vanish with their worker.
"""

from __future__ import annotations

import re
from typing import Final

from mapreduce.cluster.protocol.messages import Kind
from mapreduce.cluster.schedule import verdicts
from mapreduce.cluster.schedule.commands import Cancel, SetAside
from mapreduce.cluster.schedule.state import State
from mapreduce.cluster.schedule.tasks import Attempt, Stage
from mapreduce.cluster.schedule.workers import Worker

MOST_ASIDES: Final = 3  # doublings of the time for which a worker is set aside
FEWEST_TRIES: Final = 5  # before a task that the store fails, and it alone, stops the run
LACKS: Final = re.compile(r"No module named '([A-Za-z0-9_]+)")
LONGEST_WAIT_S: Final = 30.0  # before a task that the store failed is tried again


def failed(state: State, attempt: Attempt, kind: Kind, message: str) -> None:
    """Take in that an attempt, which has been ended, failed, though its process did not die."""
    if kind in ("job", "map"):
        state.abort(kind, f"on {attempt.worker}: {message}{_remedy(message)}")
    elif kind == "bug":
        _bug(state, attempt, message)
    elif kind == "expired":
        _signature_expired(state, attempt, message)
    else:
        _store_failed(state, attempt, message)


def _remedy(message: str) -> str:
    missing = LACKS.search(message)
    if missing is None:
        return ""
    return f"\nSend a package that hosts lack with the run: --with {missing[1]}"


def unseen(state: State, attempt: Attempt, why: str) -> None:
    """Set a worker aside whose host does not see the input: all it read there is for nothing."""
    worker = state.roster.workers[attempt.worker]
    worker.failures = max(worker.failures, state.rules.host_failures)
    _blame(state, worker, why)
    _try_later(state, attempt, why, 0.0)


def vanished(state: State, attempt: Attempt, how: str, *, ran: bool) -> None:
    """End an attempt of which nothing is heard any more; `ran` is whether it had a slot."""
    worker = state.roster.workers[attempt.worker]
    ran = ran and attempt.stage is Stage.LEASED
    state.end(attempt)
    state.say(Cancel(worker.name, attempt.number))
    if ran and not worker.leaving:
        if worker.blamed != worker.connection:
            worker.blamed = worker.connection
            state.losses += 1
            _blame(state, worker, how)
        if not attempt.fragment.task.control:
            _suspect(state, attempt, how)
    if not state.over:
        state.again(attempt.fragment)


def _suspect(state: State, attempt: Attempt, how: str) -> None:
    """Book a loss on what ran, weighed against how often workers are lost without it."""
    troubles, rules = attempt.fragment.troubles, state.rules
    worker = state.roster.workers[attempt.worker]
    troubles.losses += 1
    troubles.lost.add((worker.name, worker.lost_at))
    others = max(0, state.losses - troubles.losses)
    losses_s = (state.presence_s + rules.worker_life_s) / (others + 1)
    until = worker.heard + rules.heartbeat_s
    ran_s = min(state.now, until) - (state.now if attempt.started is None else attempt.started)
    verdicts.worker_lost(
        attempt, how, rules, ran_s=ran_s, losses_s=losses_s, by_itself=_by_itself(state, attempt)
    )
    if troubles.losses_alone >= rules.most_losses_alone:
        key = attempt.fragment.pieces[0].key
        state.abort(
            "workers",
            f"workers are lost before they can read {key!r}: {how}, {troubles.losses_alone}"
            " times while it ran there alone. The cause may be the object or the hosts; two"
            " hosts are needed to decide. The same command resumes the run; --exclude skips the"
            " object",
        )


def _by_itself(state: State, attempt: Attempt) -> bool:
    """Whether no other worker was lost about then, but for those that had the object too."""
    lost_at, near_s = state.roster.workers[attempt.worker].lost_at, state.deaths.doubt.near_s
    with_it = attempt.fragment.troubles.lost
    others = (w for w in state.roster.workers.values() if (w.name, w.lost_at) not in with_it)
    return not any(abs(w.lost_at - lost_at) <= near_s for w in others)


def crashed(state: State, attempt: Attempt, how: str, ordinal: int | None, *, killed: bool) -> None:
    """Book the death of an ended attempt's process on the object it was at, if that is known."""
    fragment, troubles = attempt.fragment, attempt.fragment.troubles
    first = fragment.whole and not troubles.strikes and not troubles.unnamed
    ordinals = [p.ordinal for p in fragment.pieces]
    single = len(ordinals) == 1
    fragment.avoid.add(attempt.worker)
    troubles.how = how
    ran_s = state.now - (state.now if attempt.started is None else attempt.started)
    if fragment.task.control:
        state.deaths.control_died(attempt.worker, state.now, ran_s)
        return
    told = ordinals[0] if single else ordinal
    if told in ordinals:
        strike = state.deaths.died(
            attempt.worker, state.now, told, ran_s, alone=attempt.alone, killed=killed
        )
        troubles.strikes.append(strike)
    else:
        state.deaths.died_among(attempt.worker, state.now, ordinals, ran_s)
        troubles.unnamed += 1
    fragment.alone = fragment.alone or single
    if first:  # what follows is expected of this task, and not held against its hosts
        _blame(state, state.roster.workers[attempt.worker], how)
    state.again(fragment)


def _bug(state: State, attempt: Attempt, message: str) -> None:
    fragment = attempt.fragment
    fragment.troubles.bugs += 1
    fragment.avoid.add(attempt.worker)
    _blame(state, state.roster.workers[attempt.worker], message)
    if fragment.troubles.bugs >= state.rules.bugs:
        state.abort("bug", message)
        return
    state.again(fragment)


def _signature_expired(state: State, attempt: Attempt, message: str) -> None:
    """Sign anew; where that keeps failing and nobody else is served either, it is the store."""
    troubles = attempt.fragment.troubles
    if not troubles.expired or state.throttle.served > troubles.expired_since:
        troubles.expired, troubles.expired_since = 0, state.now
    troubles.expired += 1
    troubles.expired_tries += 1
    if troubles.expired >= state.rules.signatures:
        state.abort("store", message)
    elif troubles.expired_tries >= state.rules.signatures:  # of this task alone: with patience
        _store_failed(state, attempt, message)
    else:
        state.again(attempt.fragment)


def _store_failed(state: State, attempt: Attempt, message: str) -> None:
    if state.throttle.failing_since is None:  # until now it served others
        _blame(state, state.roster.workers[attempt.worker], message)
    state.throttle.failed(state.now)
    since = state.throttle.failing_since
    _try_later(state, attempt, message, 0.0 if since is None else state.now - since)


def _try_later(state: State, attempt: Attempt, message: str, failing_s: float) -> None:
    """Have a task tried again, elsewhere and after a wait; stop where it has failed for long."""
    fragment, troubles, rules = attempt.fragment, attempt.fragment.troubles, state.rules
    if troubles.store_since is None:
        troubles.store_since = state.now
    alone_s = state.now - troubles.store_since if troubles.store_tries >= FEWEST_TRIES else 0.0
    if max(failing_s, alone_s) >= rules.store_deadline_s:
        state.abort("store", message)
        return
    wait_s = min(rules.store_wait_s * 2**troubles.store_tries, LONGEST_WAIT_S)
    troubles.store_tries = min(troubles.store_tries + 1, 16)
    fragment.avoid.add(attempt.worker)
    state.again(fragment, after_s=wait_s)


def _blame(state: State, worker: Worker, why: str) -> None:
    """Count a failure against a worker; set it aside if it keeps failing, but not the last."""
    worker.failures += 1
    others = state.roster.usable - worker.usable
    if worker.failures < state.rules.host_failures or not others or worker.aside_until is not None:
        return
    for_s = state.rules.aside_s * 2**worker.asides
    worker.asides = min(worker.asides + 1, MOST_ASIDES)
    state.roster.change(worker, state.now, aside_until=state.now + for_s)
    state.say(SetAside(worker.name, why, for_s))
    state.give_back(worker)
