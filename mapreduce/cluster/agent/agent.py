"""An agent: it talks with the coordinator and feeds a pool of slots.

It runs what it is given in that order, keeps what comes of it until that is accepted, and ends
itself and its slots when told to, or when the coordinator is gone for good. All of its state is
touched by one thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final

import msgspec

from mapreduce.attempts.slot_messages import Begin, Done, Peer
from mapreduce.attempts.slot_process import CancelledError
from mapreduce.cluster.agent.connection import Connection, LostError, RefusedError, UntrustedError
from mapreduce.cluster.agent.health import Gauges, default_slots
from mapreduce.cluster.agent.held_attempts import HeldAttempts
from mapreduce.cluster.agent.slots import End, Slot, SlotPool
from mapreduce.cluster.protocol import messages as say
from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.cluster.protocol.framing import Event
from mapreduce.cluster.protocol.messages import Welcome
from mapreduce.errors import JobError, MapReduceError
from mapreduce.limits import Limits
from mapreduce.machine import default_workers
from mapreduce.objects.backoff import Backoff
from mapreduce.objects.patience import RetryPolicy
from mapreduce.tls import Identity, client_context

NICE: Final = 10
KEPT_SHARE: Final = 4  # a quarter of the memory may be partials that wait to be pulled
KEPT_BYTES: Final = 256 << 20  # where the memory is unknown
LEAST_SLOT_BYTES: Final = 256 << 20  # of data, reserved stacks included: less may not even start
ENOUGH_WAITING: Final = 1 << 20  # bytes not sent yet, above which heartbeats are left out
FIRST_PAUSE_S: Final = 0.1  # before connecting again
LONGEST_PAUSE_S: Final = 5.0
THREADS: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")

log = logging.getLogger("mapreduce.worker")


class LeaveError(MapReduceError):
    """The agent ends: with which exit code, and why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Agent:
    """One worker of one run.

    `on_welcome` is called with the number of slots when the coordinator takes it in for the first
    time. No attempt begins while more than `kept_bytes` of partials wait to be pulled; None is a
    quarter of the memory.
    """

    def __init__(
        self,
        config: AgentConfig,
        on_welcome: Callable[[int], None] = lambda _: None,
        kept_bytes: int | None = None,
    ) -> None:
        self._config = config
        self._on_welcome = on_welcome
        self._gauges = Gauges()
        free, total = self._gauges.memory()
        self._memory_bytes = total or 0
        self._slots = config.slots or default_slots(default_workers(), free)
        self._slot_bytes = (
            0 if free is None else max(LEAST_SLOT_BYTES, free * 3 // 4 // self._slots)
        )
        if kept_bytes is None:
            kept_bytes = self._memory_bytes // KEPT_SHARE or KEPT_BYTES
        self._held = HeldAttempts(kept_bytes)
        self._pool: SlotPool | None = None
        self._link: Connection | None = None
        self._requests = 0
        self._over = False
        self._last_word: str | None = None  # it said goodbye, and finishes what it is at
        self._leaving: asyncio.Future[None] | None = None

    async def run(self) -> int:
        """Take part until told to leave; give the exit code. No slot is left then."""
        loop = asyncio.get_running_loop()
        self._leaving = loop.create_future()
        try:
            await self._first_of(self._connected(), self._left())
        except LeaveError as leave:
            log.info("ends: %s", leave)
            return leave.code
        finally:
            if self._link is not None:
                await self._link.close()
            if self._pool is not None:
                self._pool.stop()
        return 0

    def drain(self, why: str) -> None:
        """Finish what runs, hand it over, and end; where nobody is there to take it, end at once.

        What has not begun goes back to the coordinator, which hears of it by the goodbye.
        """
        if self._last_word is not None or not self._say(say.Goodbye(why)):
            self.leave(0, why)
            return
        log.info("finishing %d attempts, then ending: %s", len(self._held.running), why)
        self._last_word = why
        self._feed()

    def leave(self, code: int, why: str) -> None:
        """Say goodbye and end, finishing nothing."""
        self._say(say.Goodbye(why))
        self._end(code, why)

    def _end(self, code: int, why: str) -> None:
        """End without a word: whoever is lost so is started again, and looked through before."""
        if self._leaving is not None and not self._leaving.done():
            self._leaving.set_exception(LeaveError(code, why))

    async def _left(self) -> None:
        if self._leaving is not None:
            await self._leaving

    async def _connected(self) -> None:
        """Connect, and connect again whenever that breaks."""
        patience = RetryPolicy(FIRST_PAUSE_S, LONGEST_PAUSE_S, self._config.patience_s)
        backoff = Backoff(patience, Random())  # noqa: S311 - spreads pauses, guards nothing
        context = client_context(_identity(self._config))
        refused_since: float | None = None
        while True:
            refused = False
            try:
                self._link = await Connection.to(self._config, context)
                await self._session(self._link, backoff)
            except UntrustedError as error:
                if self._pool is None:
                    raise LeaveError(2, str(error)) from error
                why, refused = str(error), True
            except LostError as error:
                why, refused = str(error), isinstance(error, RefusedError)
            finally:
                link, self._link = self._link, None
                if link is not None:
                    await link.close()
            now = time.monotonic()
            refused_since = (refused_since or now) if refused else None
            if refused_since is not None and now - refused_since >= self._config.refused_s:
                raise LeaveError(3, f"{why}, for {self._config.refused_s:g} s: its run is over")
            wait_s = backoff.wait_s(now)
            if wait_s is None:
                raise LeaveError(3, f"{why}, for {self._config.patience_s:g} s")
            log.info("%s; trying again", why)
            await asyncio.sleep(wait_s)

    async def _session(self, link: Connection, backoff: Backoff) -> None:
        answer = await link.greet(self._hello())
        if isinstance(answer, say.Refused):
            raise LeaveError(2, f"refused: {answer.reason}")
        if answer.run != self._config.run:
            raise LeaveError(2, f"expected run {self._config.run!r}, got {answer.run!r}")
        backoff.progressed()
        link.watch(answer.lease_s)
        self._welcomed(link, answer)
        await self._first_of(
            self._listen(link),
            self._beat(link, answer.heartbeat_s),
            link.send_partials(self._partial_of),
        )

    def _hello(self) -> say.Hello:
        config = self._config
        return say.Hello(
            config.worker,
            say.PROTOCOL,
            config.release,
            config.host,
            self._slots,
            config.overlay,
            self._held.holding,
        )

    def _welcomed(self, link: Connection, welcome: Welcome) -> None:
        """Begin, or go on: offer anew what is done, and say what failed meanwhile."""
        self._requests = welcome.requests
        if self._pool is None:
            loop = asyncio.get_running_loop()

            def on_end(slot: Slot, end: End) -> None:
                loop.call_soon_threadsafe(self._ended, slot, end)

            begin = self._begin(welcome)
            environ = {**dict.fromkeys(THREADS, "1"), **os.environ}
            self._pool = SlotPool(self._slots, begin, environ, on_end)
            log.info("welcomed to run %s with %d slots", welcome.run, self._slots)
            self._on_welcome(self._slots)
        else:
            log.info("welcomed again, holding %d attempts", len(self._held.holding))
        for kept in self._held.kept.values():
            link.say(kept.offer)
        for failed in self._held.unsaid.values():
            link.say(failed)
        self._held.unsaid.clear()
        if self._last_word is not None:
            link.say(say.Goodbye(self._last_word))
        self._feed()

    def _begin(self, welcome: Welcome) -> Begin:
        config = self._config
        address = f"[{config.address}]" if ":" in config.address else config.address
        try:
            limits = msgspec.convert(welcome.limits, Limits)
        except msgspec.ValidationError as error:
            raise LeaveError(2, f"the limits of this run are not understood: {error}") from error
        return Begin(
            welcome.job,
            limits,
            (*config.path, *(p for p in sys.path if p)),
            config.memory_bytes or welcome.memory_bytes or self._slot_bytes,
            NICE,
            Peer(
                f"https://{address}:{config.port}/",
                config.server_name,
                config.authority,
                config.certificate,
                config.key,
            ),
        )

    async def _listen(self, link: Connection) -> None:
        while True:
            self._heard(link, await link.hear())

    def _heard(self, link: Connection, event: Event) -> None:
        match event:
            case say.Task():
                self._held.waiting[event.attempt] = event
            case say.Pull():
                link.pull(event.attempt)
            case say.Forget():
                if self._held.forget(event.attempt) and self._pool is not None:
                    self._pool.cancel(event.attempt)
            case say.Pace():
                self._requests = event.requests
            case say.Goodbye():
                self._over = True
                if self._pool is not None:
                    self._pool.stop()
                link.say(say.Goodbye("as told"))  # once nothing is left to look after
                raise LeaveError(0, f"the coordinator ended the session: {event.why}".rstrip())
        self._feed()

    def _ended(self, slot: Slot, end: End) -> None:
        """Take in what came of a slot's attempt."""
        if self._over:  # the slots were ended: that is what came of it
            return
        slot.attempt = None
        if isinstance(end, Done):
            offer = self._held.keep(end)
            if offer is not None:
                self._say(offer)
        elif isinstance(end, say.Failed):
            if self._held.fail(end):
                log.info("attempt %d failed (%s)", end.attempt, end.kind)
                if self._say(end):
                    del self._held.unsaid[end.attempt]
        elif isinstance(end, JobError):
            self._end(4, f"the job's code on this host is not what it was: {end}")
            return
        elif not isinstance(end, CancelledError):
            self.leave(2, f"its slots cannot run: {end}")
            return
        self._feed()

    def _feed(self) -> None:
        """Give every idle slot what comes next; leave where nothing is left and no more comes."""
        if self._pool is None:
            return
        if self._last_word is not None:
            if not self._held.at_hand:
                self.leave(0, self._last_word)
            return
        while (slot := self._pool.idle()) is not None and (task := self._held.start()):
            slot.give(task, self._requests)

    def _say(self, message: say.FromWorker) -> bool:
        """Say it, if there is anyone to hear."""
        if self._link is None or not self._link.welcomed:
            return False
        self._link.say(message)
        return True

    def _partial_of(self, attempt: int) -> bytes | None:
        kept = self._held.kept.get(attempt)
        return None if kept is None else kept.partial

    async def _beat(self, link: Connection, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            health = await asyncio.to_thread(self._gauges.read)
            if self._pool is not None:
                self._pool.look_after()
            if self._pool is None or link.unsent_bytes > ENOUGH_WAITING:
                continue
            running = (self._pool.progress(a) for a in self._held.running)
            waiting = (say.Progress(a) for a in self._held.waiting)
            kept = (k.progress for k in self._held.kept.values())
            pool = self._pool
            of_store = (pool.new_slow_downs(), pool.silent_nodes, pool.awaited)
            link.say(say.Heartbeat((*running, *waiting, *kept), health, *of_store))

    @staticmethod
    async def _first_of(*acts: Coroutine[Any, Any, None]) -> None:
        """Do all of them until one ends, and end the others; what it raises is raised."""
        tasks = [asyncio.ensure_future(act) for act in acts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()


def _identity(config: AgentConfig) -> Identity:
    pem = (raw.decode("ascii") for raw in (config.authority, config.certificate, config.key))
    return Identity(config.worker, *pem)
