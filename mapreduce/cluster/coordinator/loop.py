"""The coordinator of a run: one asyncio loop in a thread, and the way to and from it.

The run's own thread takes outcomes and advances from `said`, and tells what it has made durable.
The loop leaves nothing behind when it ends: no listener, no connection, no thread.
"""

from __future__ import annotations

import asyncio
import errno
import queue
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeAlias

from mapreduce.cluster.coordinator.server import Server
from mapreduce.cluster.coordinator.split_feed import SplitFeed
from mapreduce.cluster.coordinator.status import RunStatus
from mapreduce.cluster.coordinator.terms import Terms
from mapreduce.cluster.schedule import events as ev
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.engine import Event
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.plan import Split

TICK_S: Final = 0.5
BYE_S: Final = 5.0  # for workers to hear the goodbye and end
BACKLOG: Final = 1024
THREADS: Final = 8  # for files, signatures, checks and merges

Said: TypeAlias = Event | BaseException | None
Service: TypeAlias = "Callable[[], Coroutine[Any, Any, Callable[[], None]]]"


class Coordinator:
    """Runs one run's workers.

    It binds one address (`listen`, with port 0 for any free one). `said` has outcomes and
    advances as they come; at the end None, or what ended the run. Of each outcome `committed` is
    to be called once it is durable.
    """

    def __init__(
        self,
        terms: Terms,
        splits: Iterator[Split],
        context: ssl.SSLContext,
        listen: tuple[str, int],
        rules: Rules,
        watch: RunStatus,
    ) -> None:
        self.said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self.pool = ThreadPoolExecutor(THREADS, "coordinator")
        self._splits = splits
        self._listen = listen
        self._server = Server(terms, context, rules, watch, self)
        self._error: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._services: list[Service] = []
        self._ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._serve, name="coordinator", daemon=True)

    def beside(self, service: Service) -> None:
        """Run something else on the loop, that gives what closes it; before `start` alone."""
        self._services.append(service)

    def start(self) -> int:
        """Begin to listen; give the port. A UsageError says why this machine cannot."""
        self._thread.start()
        return self._ready.result()

    def committed(self, task: int) -> None:
        """Tell that a task's outcome is durable."""
        self._soon(lambda: self._server.happen(ev.Committed(task)))

    def drain(self) -> None:
        """Let what runs finish, then stop."""
        self._soon(lambda: self._server.happen(ev.Draining()))

    def stop(self, error: BaseException | None = None) -> None:
        """Stop at once."""
        self._soon(lambda: self.end(error))

    def join(self, timeout_s: float) -> bool:
        """Wait until nothing is left; tell whether that is so."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # For the server.

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that takes a while; if it fails, the run ends."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._spawned)

    def end(self, error: BaseException | None) -> None:
        """End the run."""
        if not self._over.is_set():
            self._error = error
            self._over.set()

    def order(self, wanted: int) -> None:
        """Ask for splits until so many are under way."""
        self._supply.order(wanted)

    # The loop.

    def _serve(self) -> None:
        error: BaseException | None
        try:
            asyncio.run(self._main())
            error = self._error
        except BaseException as other:  # noqa: BLE001 - raised again where the run waits
            error = other
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)
        if not self._ready.done():
            self._ready.set_exception(error or MapReduceError("the coordinator did not start"))
        self.said.put(error)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._loop.set_exception_handler(self._unforeseen)
        server = await self._listening()
        closers: list[Callable[[], None]] = []
        self._supply = SplitFeed(self._splits, lambda split: self._soon(lambda: self._took(split)))
        try:
            for service in self._services:
                closers.append(await service())  # noqa: PERF401 - those begun are closed
            self._tick()
            self._ready.set_result(server.sockets[0].getsockname()[1])
            await self._over.wait()
        finally:
            server.close()
            why = "the run is over" if self._error is None else "the run has stopped"
            await self._server.close(why, BYE_S)
            for close in closers:
                close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.to_thread(self._supply.end, 1.0)

    async def _listening(self) -> asyncio.Server:
        address, port = self._listen
        try:
            return await self._loop.create_server(
                self._server.dialled, address, port, backlog=BACKLOG
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UsageError(
                    f"cannot listen on {address}, port {port}: another program uses it. Set"
                    " another listen_port in [cluster] of hosts.toml, or 0 for any free port"
                ) from None
            raise UsageError(
                f"cannot listen on {address}, port {port}: {error.strerror or error}. Set"
                " address in [cluster] of hosts.toml to the address of this machine to which"
                " hosts connect"
            ) from None

    def _tick(self) -> None:
        if not self._over.is_set():
            self._server.tick(time.monotonic())
            self._loop.call_later(TICK_S, self._tick)

    def _took(self, split: Split | BaseException | None) -> None:
        if isinstance(split, BaseException):
            self.end(split)
        elif split is None:
            self._server.happen(ev.Listed())
        else:
            self._supply.came()
            self._server.happen(ev.Planned(split))

    def _soon(self, act: Callable[[], object]) -> None:
        """Do something on the loop, from another thread; nothing once it is gone."""
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            return

    def _unforeseen(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError):  # that is one connection's, or too many of them
            self.end(error or MapReduceError(str(context.get("message"))))

    def _spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(error)
