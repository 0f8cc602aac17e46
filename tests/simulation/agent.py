"""A simulated worker agent: slots, a queue, results it holds, and the ways in which it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapreduce.cluster.protocol.messages import Kind, Progress
from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule.tasks import cost_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.plan import Piece
    from tests.simulation.world import Action, World


class Agent:
    """One host's agent over all its lives; `life` tells them apart."""

    def __init__(self, name: str, slots: int, rate: float, world: World) -> None:
        self.name, self.slots, self.rate, self.world = name, slots, rate, world
        self.connection: int | None = None
        self.alive = True
        self.gone = False
        self.frozen_until = 0.0
        self.life = 0
        self.slow = 1.0  # times slower than its rate
        self.waiting: dict[int, tuple[Piece, ...]] = {}
        self.running: dict[int, tuple[tuple[Piece, ...], float, float]] = {}
        self.results: dict[int, tuple[int, ...]] = {}
        self.ran: list[int] = []  # attempts begun
        self.killed = 0  # processes, from outside
        self.before_done: Callable[[int], bool] | None = None

    def holding(self) -> tuple[int, ...]:
        return (*self.running, *self.waiting, *self.results)

    # What happens to it.

    def die(self, back_after_s: float | None) -> None:
        """Lose everything; start anew after a while, or never."""
        if not self.alive:
            return
        self.alive = False
        self.life += 1
        self.waiting, self.running, self.results = {}, {}, {}
        self.world.cut(self)
        if back_after_s is not None:
            self.world.at(back_after_s, self._start)

    def freeze(self, for_s: float) -> None:
        """Stand still, as after SIGSTOP; what comes meanwhile waits."""
        self.frozen_until = max(self.frozen_until, self.world.now + for_s)

    def cut(self, back_after_s: float) -> None:
        """Lose the connection and dial again with what it holds."""
        self.world.cut(self)
        life = self.life
        self.world.at(back_after_s, lambda: self._redial(life))

    def leave(self) -> None:
        """Say goodbye, finish what runs, go for good."""
        self.gone = True
        self.world.tell(self, ev.Leaving(self.name))
        self._go_when_done(self.life)

    def _go_when_done(self, life: int) -> None:
        if self.life != life:
            return
        if self.holding() and self.connection is not None:
            self.world.at(0.5, lambda: self._go_when_done(life))
        else:
            self.die(None)

    def _start(self) -> None:
        self.alive = True
        if not self.gone:
            self.world.dial(self)

    def _redial(self, life: int) -> None:
        if self.life != life or self.connection is not None or not self.alive:
            return
        self.world.dial(self)
        for attempt in self.results:
            self._offer(attempt)

    # What it is told.

    def receive(self, connection: int, call: Callable[[Agent], None]) -> None:
        life = self.life

        def now() -> None:
            if self.connection == connection and self.life == life:
                call(self)

        self._thawed(now)

    def task(self, attempt: int, pieces: tuple[Piece, ...]) -> None:
        self.waiting[attempt] = pieces
        self._begin()

    def pull(self, attempt: int) -> None:
        if attempt in self.results:
            self.world.came(self, attempt, self.results[attempt])

    def forget(self, attempt: int) -> None:
        self.waiting.pop(attempt, None)
        self.results.pop(attempt, None)
        if self.running.pop(attempt, None) is not None:
            self._begin()

    # What it does.

    def begin_beats(self) -> None:
        life, connection = self.life, self.connection

        def beat() -> None:
            if self.life != life or self.connection != connection:
                return
            slow_downs = int(bool(self.running) and self.world.store_is_down())
            self.world.tell(self, ev.Beat(self.name, self._progress(), slow_downs))
            self.world.at(self.world.rules.heartbeat_s, lambda: self._thawed(beat))

        self.world.at(self.world.rules.heartbeat_s, lambda: self._thawed(beat))

    def _progress(self) -> tuple[Progress, ...]:
        now, told = self.world.now, []
        for attempt, (pieces, began, takes) in self.running.items():
            done = int(len(pieces) * min(1.0, (now - began) / takes)) if takes else 0
            told.append(Progress(attempt, done, sum(p.read_bytes for p in pieces[:done])))
        told += [Progress(a) for a in (*self.waiting, *self.results)]
        return tuple(told)

    def _thawed(self, action: Action) -> None:
        """Act now, or once it is continued."""
        wait_s = self.frozen_until - self.world.now
        if wait_s > 0:
            self.world.at(wait_s, lambda: self._thawed(action))
        else:
            action()

    def _begin(self) -> None:
        while self.waiting and len(self.running) < self.slots:
            attempt, pieces = next(iter(self.waiting.items()))
            del self.waiting[attempt]
            self.ran.append(attempt)
            jitter = self.world.random.uniform(0.9, 1.1)
            takes = cost_of(pieces) / self.rate * self.slow * jitter
            poison = next((i for i, p in enumerate(pieces) if p.ordinal in self.world.poison), None)
            how = "" if poison is None else self.world.poison[pieces[poison].ordinal]
            self.running[attempt] = (pieces, self.world.now, takes if how != "hang" else 0.0)
            if how != "hang":
                part = 1.0 if poison is None else (poison + 0.5) / len(pieces)
                self._later(takes * part, attempt, how)

    def _later(self, delay_s: float, attempt: int, how: str) -> None:
        life = self.life

        def done() -> None:
            if self.life == life and attempt in self.running:
                self._done(attempt, how)

        self.world.at(delay_s, lambda: self._thawed(done))

    def _done(self, attempt: int, how: str) -> None:
        world, chances = self.world, self.world.chances
        if self.before_done is not None and self.before_done(attempt):
            return
        if how == "host":
            self.die(world.random.uniform(2, 6))
            return
        pieces, _, _ = self.running.pop(attempt)
        draw = world.random.random()
        if how == "slot":
            at = next(p.ordinal for p in pieces if p.ordinal in world.poison)
            how = "signal SIGKILL" if at % 2 else "signal SIGSEGV"
            self._fail(attempt, "crashed", how, at)
        elif world.store_is_down() and draw < 0.6:
            self._fail(attempt, "store", "503")
        elif draw < chances.crash:
            self._fail(attempt, "crashed", "signal SIGKILL", pieces[-1].ordinal)
        elif draw < chances.crash + chances.bug:
            self._fail(attempt, "bug", "OSError")
        elif draw < chances.crash + chances.bug + chances.expired:
            self._fail(attempt, "expired", "signature expired")
        else:
            self.results[attempt] = tuple(p.ordinal for p in pieces)
            self._offer(attempt)
        self._begin()

    def _offer(self, attempt: int) -> None:
        self.world.tell(self, ev.Offered(self.name, attempt, self.world.partial_bytes))
        self._maybe_cut()

    def kill_slots(self) -> None:
        """End the processes that run something, as the kernel does where memory is short."""
        for attempt, (pieces, began, takes) in list(self.running.items()):
            done = (self.world.now - began) / takes if takes else 0.0
            del self.running[attempt]
            self.killed += 1
            at = pieces[min(len(pieces) - 1, int(len(pieces) * done))].ordinal
            self._fail(attempt, "crashed", "signal SIGKILL", at)
        self._begin()

    def _fail(self, attempt: int, kind: Kind, message: str, at: int | None = None) -> None:
        told = at if self.world.chances.named else None
        killed = "KILL" in message
        self.world.tell(self, ev.Failed(self.name, attempt, kind, message, told, killed))
        self._maybe_cut()

    def _maybe_cut(self) -> None:
        """Lose what was just said, with its connection."""
        if self.world.random.random() < self.world.chances.lost_call:
            self.cut(self.world.random.uniform(0.1, 6))
