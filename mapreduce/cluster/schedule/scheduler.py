"""The schedule: what happens comes in, what is to be done goes out. `handle(event, now)`.

Rules:

- free slots pull tasks; one runs and one waits a slot, so fast hosts take more;
- an attempt lives by its lease, which heartbeats renew; its result counts once, the first to come;
- retries go elsewhere; a worker that keeps failing is set aside for a while, never the last one;
- what kills processes is narrowed to the object that they say they were at, or by halving; it is
  quarantined with the commit of its task once it is certain that the hosts are not to blame; faults
  of the store and the job are never booked on objects;
- partials are pulled within a budget; a result is accepted once it is durable.

It reads no clock, knows no socket, draws no lots: the same events give the same commands. An event
that cannot be raises `ScheduleError`; one that is late or doubled is answered and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mapreduce.cluster.schedule import arrivals, failures, invariants
from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule.commands import Accept, Cancel, Command
from mapreduce.cluster.schedule.dispatch import dispatch, speculate
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.state import State
from mapreduce.cluster.schedule.tasks import Attempt, Place, Stage, undivided
from mapreduce.cluster.schedule.workers import Worker
from mapreduce.errors import MapReduceError

FEWEST_WANTED: Final = 64  # splits at hand, however few slots there are


class ScheduleError(MapReduceError):
    """An event that cannot be, in this state: a fault of the program around the schedule."""


class Schedule:
    """Decides who runs what. Times are in seconds of a clock that never goes back."""

    def __init__(self, rules: Rules | None = None, now: float = 0.0) -> None:
        self.rules = rules or Rules()
        self.state = State(self.rules, now)
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            ev.Planned: self._planned,
            ev.Listed: self._listed,
            ev.Joined: lambda event: arrivals.joined(self.state, event),
            ev.Lost: lambda event: arrivals.lost(self.state, event),
            ev.Beat: self._beat,
            ev.Offered: self._offered,
            ev.Received: self._received,
            ev.Damaged: self._damaged,
            ev.Unseen: self._unseen,
            ev.Failed: self._failed,
            ev.Committed: self._committed,
            ev.Leaving: self._leaving,
            ev.Draining: self._draining,
            ev.Tick: self._tick,
        }

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """Take in one event; give the commands that follow, in the order to carry them out.

        Raises ScheduleError for an event that cannot be: a split planned twice, a commit nobody
        asked for.
        """
        state = self.state
        if state.over:
            return []
        state.now = max(state.now, now)
        state.out = []
        self._handlers[type(event)](event)
        if not state.over:
            dispatch(state)
        return state.out

    def check(self) -> None:
        """Look over the whole state, as `invariants.check` does: for tests, after every step."""
        invariants.check(self.state)

    @property
    def wanted(self) -> int:
        """How many more splits it would take now: more would only fill memory."""
        most = max(FEWEST_WANTED, 2 * self.state.roster.slots * (1 + self.rules.prefetch))
        return max(0, most - self.state.backlog.ready)

    @property
    def requests(self) -> int:
        """How many store requests each slot may have in flight: for a `Welcome`."""
        return self.state.requests

    def _planned(self, event: ev.Planned) -> None:
        state, split = self.state, event.split
        if state.listed or split.number in state.tasks or split.number in state.committed:
            raise ScheduleError(f"split {split.number} is planned twice, or after the listing")
        task = state.tasks[split.number] = undivided(split.number, split.pieces)
        state.backlog.add(task.fragments[0])

    def _listed(self, _: ev.Listed) -> None:
        self.state.listed = True

    def _beat(self, event: ev.Beat) -> None:
        state = self.state
        worker = self._heard(event.worker)
        if worker is None:
            return
        if event.slow_downs:
            state.throttle.slow_down(state.now)
        for told in event.attempts:
            attempt = self._living(event.worker, told.attempt)
            if attempt is None:
                state.say(Cancel(event.worker, told.attempt))
                continue
            attempt.lease_until = state.now + self.rules.lease_s
            if attempt.stage is not Stage.LEASED or attempt.started is None:
                continue
            progress = (told.objects, told.read_bytes)
            if progress > attempt.progress:
                attempt.progress, attempt.moved = progress, state.now
                state.throttle.succeeded(state.now)
            elif state.now - attempt.moved >= self.rules.stuck_s:
                state.drop(attempt)
                how = f"no progress in {self.rules.stuck_s:g} s"
                failures.crashed(state, attempt, how, None, killed=True)

    def _offered(self, event: ev.Offered) -> None:
        state = self.state
        worker = self._heard(event.worker)
        attempt = self._living(event.worker, event.attempt)
        if attempt is None or worker is None:
            state.say(Cancel(event.worker, event.attempt))
            return
        if attempt.stage is Stage.LEASED:
            began = attempt.started
            if began is not None:
                worker.rate.learn(attempt.fragment.cost, state.now - began)
                state.deaths.lived(worker.name, state.now, state.now - began)
            if attempt.fragment.task.control:
                state.drop(attempt)
                return
            state.proven = attempt.fragment.pieces
            state.roster.hold(attempt, state.now)
            state.throttle.succeeded(state.now)
        elif attempt.stage is not Stage.RETURNING:
            return
        attempt.stage = Stage.OFFERED
        attempt.size_bytes = event.size_bytes
        attempt.lease_until = state.now + self.rules.lease_s
        state.intake.offer(attempt)

    def _received(self, event: ev.Received) -> None:
        state = self.state
        attempt = self._living(event.worker, event.attempt)
        if attempt is None:
            state.say(Cancel(event.worker, event.attempt))
            return
        if attempt.stage is Stage.RECEIVED:
            return
        if attempt.stage is Stage.LEASED:
            raise ScheduleError(f"attempt {attempt.number} was received and never offered")
        if attempt.stage is not Stage.PULLING:  # its connection broke once all had come
            state.intake.reserve(attempt.size_bytes)
        attempt.stage = Stage.RECEIVED
        state.intake.hold()
        fragment, worker = attempt.fragment, state.roster.workers[attempt.worker]
        worker.failures = worker.asides = 0
        worker.successes += 1
        state.roster.unqueue(attempt, state.now)
        if worker.guest is fragment:
            state.dismiss(worker)
        for other in list(fragment.attempts):
            if other is not attempt:
                state.drop(other)
        fragment.place = Place.RECEIVED
        fragment.task.received.append(attempt)
        state.settle(fragment.task)

    def _damaged(self, event: ev.Damaged) -> None:
        state = self.state
        attempt = self._living(event.worker, event.attempt)
        if attempt is None or attempt.stage in (Stage.LEASED, Stage.RECEIVED):
            return
        state.drop(attempt)
        failures.failed(state, attempt, "bug", f"a partial was damaged: {event.why}")

    def _unseen(self, event: ev.Unseen) -> None:
        attempt = self._living(event.worker, event.attempt)
        if attempt is not None and attempt.stage is not Stage.RECEIVED:
            self.state.drop(attempt)
            failures.unseen(self.state, attempt, event.why)

    def _committed(self, event: ev.Committed) -> None:
        state = self.state
        task = state.tasks.get(event.task)
        if task is None or not task.committing:
            raise ScheduleError(f"split {event.task} is committed, which was not requested")
        del state.tasks[task.number]
        state.committed.add(task.number)
        state.committing -= 1
        for attempt in task.received:
            del state.living[attempt.number]
            state.intake.free(attempt.size_bytes)
            state.say(Accept(attempt.worker, attempt.number))

    def _failed(self, event: ev.Failed) -> None:
        state = self.state
        self._heard(event.worker)
        attempt = self._living(event.worker, event.attempt)
        if attempt is None or attempt.stage is Stage.RECEIVED:
            return
        state.end(attempt)
        if event.kind == "crashed":
            failures.crashed(state, attempt, event.message, event.ordinal, killed=event.killed)
        else:
            failures.failed(state, attempt, event.kind, event.message)

    def _leaving(self, event: ev.Leaving) -> None:
        worker = self._heard(event.worker)
        if worker is not None:
            self.state.roster.change(worker, self.state.now, leaving=True)
            self.state.give_back(worker)

    def _draining(self, _: ev.Draining) -> None:
        self.state.draining = True
        for worker in self.state.roster.workers.values():
            self.state.give_back(worker)

    def _tick(self, _: ev.Tick) -> None:
        state = self.state
        for fragment in state.backlog.due(state.now):
            state.again(fragment)
        if state.over:
            return
        for attempt in state.leases.ended(state.now, state.living):
            self._expired(attempt)
        state.throttle.tick(state.now)
        for worker in state.roster.workers.values():
            self._look_after(worker)
        if state.count_presence():
            state.nobody_since = None
        elif state.nobody_since is None:
            state.nobody_since = state.now
        self._deadlines()
        if not state.over:
            dispatch(state)
            speculate(state)  # only where dispatching has left a slot free

    def _look_after(self, worker: Worker) -> None:
        state = self.state
        if worker.present and state.now - worker.heard >= self.rules.silent_s:
            worker.lost_at = worker.heard
            state.roster.change(worker, state.now, silent=True)
            state.unseat(worker)
        until = worker.aside_until
        if until is not None and (until <= state.now or not state.roster.usable):
            state.roster.change(worker, state.now, aside_until=None)

    def _deadlines(self) -> None:
        state, nobody = self.state, self.state.nobody_since
        if nobody is not None and state.now - nobody >= self.rules.nobody_deadline_s:
            state.abort("workers", f"there has been no worker for {state.now - nobody:.0f} s")

    def _expired(self, attempt: Attempt) -> None:
        worker = self.state.roster.workers[attempt.worker]
        if worker.present and self.state.now - worker.heard >= self.rules.lease_s:
            worker.lost_at = worker.heard
            self.state.roster.change(worker, self.state.now, silent=True)
            self.state.unseat(worker)
        how = "its worker missed its heartbeats" if worker.connected else "its worker was lost"
        failures.vanished(self.state, attempt, how, ran=attempt.started is not None)

    def _heard(self, name: str) -> Worker | None:
        worker = self.state.roster.workers.get(name)
        if worker is not None:
            worker.heard = self.state.now
            if worker.silent:
                self.state.roster.change(worker, self.state.now, silent=False)
        return worker

    def _living(self, worker: str, number: int) -> Attempt | None:
        attempt = self.state.living.get(number)
        return attempt if attempt is not None and attempt.worker == worker else None
