"""Where workers are received: what they say becomes events, what the schedule wants is done.

A worker can break nothing but its own connection; what this program does wrong ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from mapreduce.cluster.coordinator.file_server import FileServer
from mapreduce.cluster.coordinator.open_attempts import Loop, OpenAttempts
from mapreduce.cluster.coordinator.run_errors import ENDS, StoppedError
from mapreduce.cluster.coordinator.status import RunStatus
from mapreduce.cluster.coordinator.terms import Terms
from mapreduce.cluster.coordinator.tls_connection import Talk, TlsConnection
from mapreduce.cluster.coordinator.unproven import Unproven
from mapreduce.cluster.coordinator.worker_session import WorkerSession
from mapreduce.cluster.protocol import messages as msg
from mapreduce.cluster.protocol.framing import Arrived
from mapreduce.cluster.schedule import commands as cmd
from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.scheduler import Schedule
from mapreduce.deaths import is_killed
from mapreduce.engine import Outcome

HTTP: Final = b"GE"  # how a request begins; the wire begins otherwise


class Server:
    """Receives workers, reports to the schedule, and does as it is told."""

    def __init__(
        self,
        terms: Terms,
        context: ssl.SSLContext,
        rules: Rules,
        watch: RunStatus,
        loop: Loop,
    ) -> None:
        self.watch = watch
        self.schedule = Schedule(rules, time.monotonic())
        self.connections: dict[str, WorkerSession] = {}
        self._unproven: Unproven[TlsConnection] = Unproven()
        self.lines: set[TlsConnection] = set()
        self._terms = terms
        self._context = context
        self._rules = rules
        self.loop = loop
        self._handout = OpenAttempts(
            loop, watch, self.connections, self.happen, self.failed, self.brought, terms
        )
        self._serving = FileServer(self._handout, terms.places.here, loop.pool, loop.spawn)
        self._told: set[str] = set()
        self._numbers = 0
        self._happened: deque[ev.Event] = deque()
        self._busy = False
        self._over = False
        self._closing = False
        self._left = asyncio.Event()
        self._do: dict[type[Any], Callable[[Any], None]] = {
            cmd.Assign: self._handout.give,
            cmd.Pull: lambda c: self._send(c.worker, msg.Pull(c.attempt)),
            cmd.Commit: self._handout.commit,
            cmd.Accept: self._accept,
            cmd.Cancel: self._cancel,
            cmd.Quarantine: self._quarantine,
            cmd.SetAside: lambda c: self.watch.set_aside(c.worker, c.why, c.for_s),
            cmd.Pace: self._pace,
            cmd.Finish: self._finish,
            cmd.Abort: lambda c: self._end(ENDS[c.kind](c.message)),
        }

    def brought(self, outcome: Outcome) -> None:
        """Hand an outcome to the run, and with it how far everything is."""
        self._tell_advance()
        self.loop.said.put(outcome)

    def happen(self, event: ev.Event) -> None:
        """Let the schedule know, and do what follows: one event after the other."""
        self._happened.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._happened and not self._over:
                event = self._happened.popleft()
                for command in self.schedule.handle(event, time.monotonic()):
                    self._do[type(command)](command)
            if not self.schedule.state.listed:
                self.loop.order(self.schedule.wanted)
        except Exception as error:  # noqa: BLE001 - raised again where the run waits
            self._end(error)
        finally:
            self._busy = False

    def tick(self, now: float) -> None:
        """Let time pass."""
        for connection in list(self.connections.values()):
            if connection.line.unread_s >= self._rules.lease_s:
                connection.line.end(f"it has read nothing for {self._rules.lease_s:g} s")
        self.happen(ev.Tick())
        self.watch.look(self.schedule.state, now)
        self._tell_advance()

    async def close(self, why: str, timeout_s: float) -> None:
        """Let workers end by themselves, but not for ever; then close every line."""
        self._closing = True
        for connection in list(self.connections.values()):
            connection.send(msg.Goodbye(why))
        workers = self.schedule.state.roster.workers
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while any(workers[name].present for name in self.connections):
                    await self._next_left()
        for line in list(self.lines):
            line.end(why, gently=True)
            line.abort()
        while self.lines:
            await self._next_left()

    async def _next_left(self) -> None:
        self._left.clear()
        await self._left.wait()

    def dialled(self) -> TlsConnection:
        """Make a line for somebody who dials."""
        return TlsConnection(self._context, self)

    def came(self, line: TlsConnection) -> None:
        """Let somebody wait until it has proven who it is."""
        self.lines.add(line)
        gone = self._unproven.enter(line)
        if gone is not None:
            gone.end("too many wait")

    def settled(self, line: TlsConnection) -> None:
        """Let somebody wait no more."""
        self._unproven.leave(line)

    def left(self, line: TlsConnection) -> None:
        """Forget a line whose socket is closed."""
        self.lines.discard(line)
        self._left.set()

    def talk(self, line: TlsConnection, first: bytes) -> Talk:
        """Listen to a proven peer: a worker, or a worker's slot that asks for an object."""
        if first.startswith(HTTP):
            return self._serving.talk(line)
        self._numbers += 1
        return WorkerSession(self._numbers, line, self.greeted, self.heard, self.gone)

    def greeted(self, connection: WorkerSession, hello: msg.Hello) -> None:
        """Take a worker in, or say why not."""
        terms = self._terms
        if self._over or self._closing:  # the schedule hears no more of anybody
            self._refuse(connection, "the run is over")
            return
        reason = msg.refusal(hello, release=terms.release, overlay=terms.overlay)
        if reason is not None:
            self.watch.say(hello.worker, "refused", reason)
            self._refuse(connection, reason)
            return
        old = self.connections.pop(hello.worker, None)
        if old is not None:
            old.line.end("it has connected again")
        self.connections[hello.worker] = connection
        connection.welcomed = True
        connection.send(
            msg.Welcome(
                terms.run,
                terms.names.get(hello.worker, terms.job),
                dataclasses.asdict(terms.limits),
                self._rules.heartbeat_s,
                self._rules.lease_s,
                self.schedule.requests,
                terms.memory_bytes,
            )
        )
        self.watch.say(hello.worker, "joined")
        self.happen(ev.Joined(hello.worker, connection.number, hello.slots, hello.holding))

    @staticmethod
    def _refuse(connection: WorkerSession, reason: str) -> None:
        connection.send(msg.Refused(reason))
        connection.line.end(reason, gently=True)

    def gone(self, connection: WorkerSession, why: str) -> None:
        """Take in that a connection has ended."""
        if not connection.welcomed:
            return
        if self.connections.get(connection.name) is connection:
            del self.connections[connection.name]
            self._left.set()
            known = self.schedule.state.roster.workers.get(connection.name)
            left = self._over or (known is not None and known.leaving)
            self.watch.say(connection.name, "left" if left else "gone", why)
        self.happen(ev.Lost(connection.name, connection.number, why))

    def heard(self, connection: WorkerSession, event: Any) -> None:
        """Take what a worker said."""
        worker = connection.name
        if self.connections.get(worker) is not connection:
            return
        match event:
            case msg.Heartbeat(attempts=attempts, health=health, slow_downs=slow_downs):
                self.watch.fares(worker, health)
                self.watch.awaits(worker, event.awaited, time.monotonic())
                self._silent(worker, event.silent_nodes)
                for told in attempts:
                    self._handout.progressed(worker, told)
                self.happen(ev.Beat(worker, attempts, slow_downs))
            case msg.Offer(attempt=attempt, size_bytes=size_bytes, ledger=ledger, cost=cost):
                self._handout.offered(worker, attempt, ledger, cost)
                self.happen(ev.Offered(worker, attempt, size_bytes))
            case Arrived(attempt=attempt, body=body):
                self._handout.arrived(worker, attempt, body)
            case msg.Failed():
                self._handout.failed(worker, event)
            case msg.Goodbye():
                if self._closing:
                    self.watch.parted.add(worker)
                self.happen(ev.Leaving(worker))

    def failed(self, worker: str, told: msg.Failed) -> None:
        """Let the schedule know how an attempt failed."""
        how = told.message or f"it failed ({told.kind})"
        killed = is_killed(told.signal, told.exit_code)
        self.happen(ev.Failed(worker, told.attempt, told.kind, how, told.ordinal, killed))
        if told.attempt not in self.schedule.state.living:
            self._handout.forget(worker, told.attempt)

    def _silent(self, worker: str, nodes: tuple[str, ...]) -> None:
        """Tell, once, of a node of the store that gives no answer."""
        for node in (self._terms.places.nodes & {*nodes}) - self._told:
            self._told.add(node)
            self.watch.news(
                f"{node} does not answer {worker}: its objects are read from another node"
            )

    def _tell_advance(self) -> None:
        awaited = self.watch.silence()
        if awaited is not None:
            self.loop.said.put(awaited)
        advance = self.watch.advance()
        if advance is not None:
            self.loop.said.put(advance)

    def _accept(self, command: cmd.Accept) -> None:
        self.watch.finished(command.worker)
        self._handout.accepted(command.attempt)
        self._send(command.worker, msg.Forget(command.attempt))

    def _cancel(self, command: cmd.Cancel) -> None:
        self._handout.forget(command.worker, command.attempt)
        self._send(command.worker, msg.Forget(command.attempt))

    def _quarantine(self, command: cmd.Quarantine) -> None:
        self.watch.news(f"{command.crashed.piece.key} is quarantined: {command.crashed.how}")

    def _pace(self, command: cmd.Pace) -> None:
        for connection in list(self.connections.values()):
            connection.send(msg.Pace(command.requests))

    def _finish(self, command: cmd.Finish) -> None:
        again = "the run was asked to stop; the same command resumes it"
        self._end(None if command.complete else StoppedError(again))

    def _end(self, error: BaseException | None) -> None:
        self._over = True
        self.watch.look(self.schedule.state, time.monotonic())
        self._tell_advance()
        self.loop.end(error)

    def _send(self, worker: str, message: msg.FromCoordinator) -> None:
        connection = self.connections.get(worker)
        if connection is not None:
            connection.send(message)
