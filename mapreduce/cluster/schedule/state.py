"""All that a schedule knows, and the few steps by which attempts and fragments end."""

from __future__ import annotations

from mapreduce.cluster.schedule import verdicts
from mapreduce.cluster.schedule.backlog import Backlog
from mapreduce.cluster.schedule.commands import (
    Abort,
    AbortKind,
    Cancel,
    Command,
    Commit,
    Crashed,
    Quarantine,
)
from mapreduce.cluster.schedule.intake import Intake
from mapreduce.cluster.schedule.leases import Leases
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.store_throttle import StoreThrottle
from mapreduce.cluster.schedule.tasks import Attempt, Fragment, Place, Stage, Task, halves, parts
from mapreduce.cluster.schedule.verdicts import Verdict
from mapreduce.cluster.schedule.workers import Roster, Worker
from mapreduce.deaths import Deaths
from mapreduce.plan import Piece


class State:
    """The whole state of a schedule.

    `living` are attempts that may still bring a result, and those received and not committed.
    Once it is `over`, nothing follows from anything any more.
    """

    def __init__(self, rules: Rules, now: float) -> None:
        self.rules = rules
        self.now = now
        self.tasks: dict[int, Task] = {}
        self.committed: set[int] = set()
        self.committing = 0
        self.living: dict[int, Attempt] = {}
        self.attempts = 0
        self.roster = Roster(rules.prefetch)
        self.backlog = Backlog()
        self.leases = Leases()
        self.intake = Intake(rules.budget_bytes)
        self.throttle = StoreThrottle(rules)
        self.guests: dict[str, None] = {}  # workers that wait for, or run, a fragment alone
        self.listed = False
        self.draining = False
        self.over = False
        self.aborted = False
        self.requests = self.throttle.requests_a_slot(0)
        self.nobody_since: float | None = now
        self.deaths = Deaths(rules.evidence)  # of processes
        self.proven: tuple[Piece, ...] = ()  # what was read well last
        self.losses = 0  # of workers with what they ran
        self.presence_s = 0.0  # of all workers together
        self.slots_s = 0.0  # of all their slots together
        self.most_slots = 0  # that there were at once
        self.ticked = now
        self.out: list[Command] = []

    def count_presence(self) -> int:
        """Count how long workers have been there since the last time; give how many are now."""
        present = [w for w in self.roster.workers.values() if w.present]
        passed_s, self.ticked = self.now - self.ticked, self.now
        self.presence_s += len(present) * passed_s
        self.slots_s += sum(w.slots for w in present) * passed_s
        return len(present)

    def say(self, command: Command) -> None:
        """Add a command to what follows from the present event."""
        self.out.append(command)

    def abort(self, kind: AbortKind, message: str) -> None:
        """Stop the run."""
        self.over = self.aborted = True
        self.say(Abort(kind, message))

    def end(self, attempt: Attempt) -> None:
        """Let an attempt be no more; its fragment is left as it is."""
        fragment, worker = attempt.fragment, self.roster.workers[attempt.worker]
        if attempt.stage is Stage.PULLING:
            self.intake.free(attempt.size_bytes)
        attempt.stage = Stage.ENDED
        del self.living[attempt.number]
        fragment.attempts.remove(attempt)
        for left in fragment.attempts:
            left.speculative = False  # it is the first one now
        self.roster.unqueue(attempt, self.now)
        if worker.guest is fragment:
            self.dismiss(worker)

    def drop(self, attempt: Attempt) -> None:
        """End an attempt that is not needed any more, and tell its worker."""
        self.end(attempt)
        self.say(Cancel(attempt.worker, attempt.number))

    def again(self, fragment: Fragment, after_s: float = 0.0) -> None:
        """See that a fragment an attempt at which has ended gets done."""
        if fragment.task.control:
            return
        if fragment.attempts:
            self.offer_again(fragment)
            return
        there = (w for w in self.roster.workers.values() if w.present and not w.leaving)
        hosts = {w.name: w.usable for w in there}
        verdict = verdicts.verdict(fragment, self.rules, self.deaths, self.now, hosts)
        if verdict in (Verdict.HALVE, Verdict.PART):
            halve = verdict is Verdict.HALVE
            cut = halves(fragment) if halve else parts(fragment, verdicts.worst(fragment)[0])
            for part in cut:
                self.backlog.again(part)
        elif verdict is Verdict.CONVICT:
            self._convict(fragment)
        elif verdict is Verdict.DOUBT:
            self._doubt(fragment)
        elif verdict is Verdict.LATER:
            self.backlog.later(fragment, self.now + self.deaths.doubt.settle_s)
        elif after_s:
            self.backlog.later(fragment, self.now + after_s)
        else:
            self.backlog.again(fragment)

    def offer_again(self, fragment: Fragment) -> None:
        """Queue the offer of a fragment that was passed over while another was being pulled."""
        for attempt in fragment.attempts:
            if attempt.stage is Stage.OFFERED:
                self.intake.offer(attempt)

    def settle(self, task: Task) -> None:
        """Take in that one more fragment of a task is settled; commit it if that was the last."""
        task.open -= 1
        if task.open:
            return
        task.committing = True
        self.committing += 1
        task.received.sort(key=lambda a: a.fragment.start)
        task.crashed.sort(key=lambda c: (c.piece.ordinal, c.piece.start))
        self.intake.commit(len(task.received))
        numbers = tuple(a.number for a in task.received)
        self.say(Commit(task.number, numbers, tuple(task.crashed)))

    def dismiss(self, worker: Worker) -> None:
        """Let a worker have company again."""
        self.guests.pop(worker.name, None)
        self.roster.change(worker, self.now, guest=None)

    def give_back(self, worker: Worker) -> None:
        """Take from a worker what it has not begun: it gets no more work for now."""
        for attempt in worker.waiting():
            self.drop(attempt)
            self.again(attempt.fragment)
        self.unseat(worker)

    def unseat(self, worker: Worker) -> None:
        """Let the fragment that waits to run alone on a worker wait for another."""
        guest = worker.guest
        if guest is not None and guest.place is Place.ALONE:
            self.dismiss(worker)
            self.backlog.again(guest)

    def _doubt(self, fragment: Fragment) -> None:
        troubles = fragment.troubles
        self.abort(
            "workers",
            f"processes died {len(troubles.strikes)} times at {fragment.pieces[0].key!r}, and"
            " other processes died at about the same time, or there was nothing to compare with:"
            f" {troubles.how}. The cause may be the object or the hosts. When the hosts have"
            " recovered, the same command resumes the run; --exclude skips the object",
        )

    def _convict(self, fragment: Fragment) -> None:
        task, troubles = fragment.task, fragment.troubles
        fragment.place = Place.CRASHED
        self.deaths.convict(fragment.pieces[0].ordinal)
        where = troubles.lost_hosts | {s.where for s in troubles.strikes if s.alone}
        how = f"alone on {', '.join(sorted(where))}: {troubles.how}"
        found = Crashed(task.pieces[fragment.start], how)
        task.crashed.append(found)
        self.say(Quarantine(task.number, found))
        self.settle(task)
