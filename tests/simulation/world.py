"""A cluster in virtual time: agents, links that delay, cut and double, and the shell around a
real `Schedule`, whose every step is checked.

Chance comes from one seed, so that a disaster can be had again. Nothing here waits for real time.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mapreduce.cluster.schedule import commands as cmd
from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.scheduler import Schedule
from mapreduce.plan import Piece, Split
from tests.simulation.agent import Agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FAST_RULES: Final = Rules(
    heartbeat_s=2.0,
    silent_s=4.5,
    lease_s=8.0,
    reconnect_s=3.0,
    stuck_s=200.0,
    still_s=40.0,
    worker_life_s=60.0,
    aside_s=10.0,
    ease_s=2.0,
    store_deadline_s=120.0,
    nobody_deadline_s=200.0,
    max_requests=40,
    budget_bytes=60,
)
SPLIT_COST: Final = 1_000_000
LATEST_S: Final = 20_000.0
Action: TypeAlias = "Callable[[], None]"


@dataclass(slots=True)
class Chances:
    """What goes wrong: probabilities of one message or attempt, and virtual seconds."""

    delay_s: float = 0.05
    doubled: float = 0.0
    damaged: float = 0.0
    unseen: float = 0.0
    expired: float = 0.0
    crash: float = 0.0
    bug: float = 0.0
    store_down: tuple[tuple[float, float], ...] = ()
    half_open: float = 0.0  # a broken connection is noticed late
    named: bool = True  # a slot that dies tells at which object
    lost_call: float = 0.0  # a Failed or an Offer is lost with its connection


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    finished: bool | None = None
    aborted: cmd.Abort | None = None
    committed: Counter[int] = field(default_factory=Counter)
    objects: Counter[int] = field(default_factory=Counter)
    crashed: Counter[int] = field(default_factory=Counter)
    aside: list[cmd.SetAside] = field(default_factory=list)
    assigned: Counter[str] = field(default_factory=Counter)
    late: int = 0
    steps: int = 0
    ended_s: float = 0.0
    most_bytes: int = 0

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(sorted(self.objects.items())).encode()).hexdigest()


def splits_of(count: int, pieces: int, size_bytes: int = SPLIT_COST) -> list[Split]:
    made = []
    for number in range(count):
        ordinals = range(number * pieces, (number + 1) * pieces)
        of = tuple(Piece(o, f"trip-{o}", max(1, size_bytes // pieces), "e") for o in ordinals)
        made.append(Split(number, of))
    return made


class World:
    """Everything, and the time."""

    def __init__(
        self,
        splits: Iterable[Split],
        *,
        seed: int = 0,
        rules: Rules = FAST_RULES,
        chances: Chances | None = None,
        checked: bool = True,
        tick_s: float = 1.0,
    ) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self.rules = rules
        self.chances = chances or Chances()
        self.schedule = Schedule(rules, 0.0)
        self.splits = list(splits)
        self.agents: dict[str, Agent] = {}
        self.outcome = Outcome()
        self.poison: dict[int, str] = {}  # ordinal -> slot, host or hang
        self.partial_bytes = 10
        self._checked = checked
        self._tick_s = tick_s
        self._queue: list[tuple[float, int, Action]] = []
        self._number = 0
        self._connections = 0
        self._bodies: dict[int, tuple[int, ...]] = {}
        self._listed = 0
        self._arrival: dict[tuple[int, str], float] = {}

    @property
    def over(self) -> bool:
        return self.outcome.finished is not None or self.outcome.aborted is not None

    def at(self, delay_s: float, action: Action) -> None:
        self._number += 1
        heapq.heappush(self._queue, (self.now + delay_s, self._number, action))

    def run(self, until_s: float = LATEST_S) -> Outcome:
        """Let time pass until the run is over."""
        self.list_some()
        self.at(self._tick_s, self._tick)
        while self._queue and not self.over:
            when, _, action = heapq.heappop(self._queue)
            if when > until_s:
                self.now = until_s
                break
            self.now = when
            action()
        self.outcome.ended_s = self.now
        return self.outcome

    def add(self, name: str, slots: int = 2, rate: float = SPLIT_COST / 2) -> Agent:
        """Start an agent on a new host, which dials at once."""
        agent = Agent(name, slots, rate, self)
        self.agents[name] = agent
        self.dial(agent)
        return agent

    # Links. In each direction of a connection messages keep their order; a cut loses what is on
    # its way.

    def dial(self, agent: Agent) -> None:
        self._connections += 1
        agent.connection = self._connections
        agent.begin_beats()
        joined = ev.Joined(agent.name, agent.connection, agent.slots, agent.holding())
        self.tell(agent, joined)

    def cut(self, agent: Agent) -> None:
        """Break the agent's connection; the coordinator notices, sooner or later."""
        lost = agent.connection
        if lost is None:
            return
        agent.connection = None
        late = self.random.random() < self.chances.half_open
        delay_s = self.random.uniform(5, 20) if late else self.random.uniform(0, 0.2)
        name = agent.name
        self.at(delay_s, lambda: self.report(ev.Lost(name, lost)))

    def tell(self, agent: Agent, event: ev.Event, delay_s: float = 0.0) -> None:
        """Send to the coordinator."""
        connection = agent.connection
        if connection is None:
            return
        times = 2 if self.random.random() < self.chances.doubled else 1
        for _ in range(times):
            when = self._arrives(connection, "up", delay_s)
            self.at(when - self.now, lambda: self._arrived(agent, connection, event))

    def _arrived(self, agent: Agent, connection: int, event: ev.Event) -> None:
        if agent.connection == connection:
            self.report(event)

    def _send(self, worker: str, call: Callable[[Agent], None]) -> None:
        agent = self.agents[worker]
        connection = agent.connection
        if connection is None:
            return
        when = self._arrives(connection, "down", 0.0)
        self.at(when - self.now, lambda: agent.receive(connection, call))

    def _arrives(self, connection: int, way: str, delay_s: float) -> float:
        when = self.now + delay_s + self.random.uniform(0, self.chances.delay_s)
        when = max(when, self._arrival.get((connection, way), 0.0))
        self._arrival[connection, way] = when
        return when

    # The shell.

    def list_some(self) -> None:
        """Plan what the schedule wants."""
        while self._listed < len(self.splits) and self.schedule.wanted and not self.over:
            self._listed += 1
            self.report(ev.Planned(self.splits[self._listed - 1]))
        if self._listed == len(self.splits):
            self._listed += 1
            self.report(ev.Listed())

    def report(self, event: ev.Event) -> None:
        """Give the schedule an event, check its state, and do what it says."""
        if self.over:
            return
        self.outcome.steps += 1
        follows = self.schedule.handle(event, self.now)
        if self._checked:
            self.schedule.check()
        for command in follows:
            self._do(command)

    def _tick(self) -> None:
        self.report(ev.Tick())
        self.list_some()
        self.at(self._tick_s, self._tick)

    def _do(self, command: cmd.Command) -> None:
        match command:
            case cmd.Assign():
                self.outcome.assigned[command.worker] += 1
                self._send(command.worker, lambda a: a.task(command.attempt, command.pieces))
            case cmd.Pull():
                self._send(command.worker, lambda a: a.pull(command.attempt))
            case cmd.Commit():
                self._commit(command)
            case cmd.Accept() | cmd.Cancel():
                self._bodies.pop(command.attempt, None)
                done = command.attempt in self.agents[command.worker].results
                self.outcome.late += done and isinstance(command, cmd.Cancel)
                self._send(command.worker, lambda a: a.forget(command.attempt))
            case cmd.SetAside():
                self.outcome.aside.append(command)
            case cmd.Finish():
                self.outcome.finished = command.complete
            case cmd.Abort():
                self.outcome.aborted = command
            case cmd.Quarantine() | cmd.Pace():
                return

    def came(self, agent: Agent, attempt: int, objects: tuple[int, ...]) -> None:
        """Take in a partial that has come whole."""
        connection = agent.connection
        when = self._arrives(connection or 0, "up", self.random.uniform(0, 0.3))

        def arrive() -> None:
            if agent.connection != connection:
                return
            if self.random.random() < self.chances.damaged:
                self.report(ev.Damaged(agent.name, attempt, "a bit flipped"))
                return
            if self.chances.unseen and self.random.random() < self.chances.unseen:
                self.report(ev.Unseen(agent.name, attempt, "it is not mounted"))
                return
            self._bodies[attempt] = objects
            self.outcome.most_bytes = max(
                self.outcome.most_bytes, self.partial_bytes * len(self._bodies)
            )
            checked_s = self.random.uniform(0, 0.1)  # unpacked elsewhere, whatever happens here
            self.at(checked_s, lambda: self.report(ev.Received(agent.name, attempt)))
            if self.random.random() < self.chances.doubled:
                self.at(checked_s + 0.1, lambda: self.report(ev.Received(agent.name, attempt)))

        self.at(when - self.now, arrive)

    def _commit(self, command: cmd.Commit) -> None:
        outcome = self.outcome
        outcome.committed[command.task] += 1
        found = [o for a in command.attempts for o in self._bodies[a]]
        crashed = [c.piece.ordinal for c in command.crashed]
        wanted = [p.ordinal for p in self.splits[command.task].pieces]
        assert sorted(found + crashed) == wanted, f"commit of {command.task}: {found}, {crashed}"
        outcome.objects.update(found)
        outcome.crashed.update(crashed)
        durable_s = self.random.uniform(0, 0.2)
        self.at(durable_s, lambda: self.report(ev.Committed(command.task)))

    def store_is_down(self) -> bool:
        return any(start <= self.now < stop for start, stop in self.chances.store_down)

    def expected(self) -> Counter[int]:
        """The multiset of objects that a run without faults commits."""
        ordinals = (p.ordinal for s in self.splits for p in s.pieces)
        return Counter(o for o in ordinals if o not in self.poison)

    def assert_done(self) -> None:
        """Each split committed once, each poison object quarantined once, nothing left running."""
        outcome, state = self.outcome, self.schedule.state
        assert outcome.aborted is None, outcome.aborted
        assert outcome.finished is True, f"no end by {self.now:.0f} s: {self._standing()}"
        assert outcome.committed == Counter(s.number for s in self.splits)
        assert outcome.objects == self.expected()
        assert outcome.crashed == Counter(list(self.poison))
        assert not state.living
        assert not state.tasks
        assert state.intake.reserved_bytes == 0

    def assert_right(self) -> None:
        """Done; or stopped, naming an object that does kill, with no other one convicted.

        Where one host is left nothing can be said of an object whose host is lost each time.
        """
        aborted, crashed = self.outcome.aborted, self.outcome.crashed
        assert crashed.keys() <= self.poison.keys(), f"innocent: {crashed - Counter(self.poison)}"
        kills = [o for o, how in self.poison.items() if how != "slot"]
        if aborted is None or not any(f"'trip-{o}'" in aborted.message for o in kills):
            self.assert_done()

    def _standing(self) -> dict[str, Any]:
        state = self.schedule.state
        return {
            "open": [(t.number, [f.place.name for f in t.fragments]) for t in state.tasks.values()],
            "living": [(a.number, a.worker, a.stage.name) for a in state.living.values()],
            "workers": [(w.name, w.usable, len(w.queue)) for w in state.roster.workers.values()],
        }
