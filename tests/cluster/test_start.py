"""Agents started and ended where a host fails at first, or hangs: no host is reached here."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from mapreduce.cluster.coordinator.agent_supervisor import AgentSupervisor
from mapreduce.cluster.coordinator.status import RunStatus
from mapreduce.cluster.protocol.agent_config import AgentConfig
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.cluster.schedule.state import State
from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mapreduce.cluster.coordinator.loop import Coordinator
    from mapreduce.job.name import JobName

PATIENCE_S = 60.0


class Script:
    """A launcher whose hosts do as a test says."""

    release = "r-test"
    overlay = ""

    def __init__(self) -> None:
        self.on_place: Callable[[str], None] = lambda _: None
        self.on_start: Callable[[str], None] = lambda _: None
        self.on_stop: Callable[[], None] = lambda: None
        self.stopped: list[str] = []

    def prepare(self, job: JobName) -> None:
        """Nothing is to be made ready."""

    def place(self, host: str) -> JobName | None:
        self.on_place(host)
        return None

    def start(self, host: str, config: AgentConfig) -> None:
        del config
        self.on_start(host)

    def stop(self, hosts: Sequence[str], run: str, patience_s: float = 1.0) -> None:
        del run, patience_s
        self.on_stop()
        self.stopped += hosts


class Ended:
    """A coordinator of which it is only asked whether it was told to stop."""

    def __init__(self) -> None:
        self.errors: list[BaseException | None] = []

    def stop(self, error: BaseException | None = None) -> None:
        self.errors.append(error)


def _config(host: str, at: tuple[str, int]) -> AgentConfig:
    named = {"run": "r", "worker": host, "host": host, "address": at[0], "port": at[1]}
    secret = {"authority": b"", "certificate": b"", "key": b""}
    return AgentConfig(**named, server_name="x", release="r-test", **secret)  # type: ignore[arg-type]  # as named


def _begun(script: Script, hosts: str) -> tuple[AgentSupervisor, Ended]:
    watch, ended = RunStatus("r", hosts), Ended()
    start = AgentSupervisor(hosts, script, None, watch, lost_s=0.0)
    watch.look(State(Rules(), 0.0), time.monotonic())
    start.begin(cast("Coordinator", ended), ("127.0.0.1", 1), _config)
    return start, ended


def _tended(start: AgentSupervisor, until: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < end
        start.watch.look(State(Rules(), 0.0), time.monotonic())
        start.tend(quiet=False)
        time.sleep(0.02)  # as the run's own thread waits for what comes


def test_a_host_that_failed_at_first_and_runs_now_is_not_counted_among_the_failed() -> None:
    script, late, tries = Script(), threading.Event(), {"a": 0, "b": 0}

    def starts(host: str) -> None:
        tries[host] += 1
        if tries[host] == 1:
            raise MapReduceError("no welcome in time")

    def placed(host: str) -> None:
        if host == "b":
            late.wait(PATIENCE_S)
            tries["b"] += 1
            raise MapReduceError("b is off")

    script.on_start, script.on_place = starts, placed
    start, ended = _begun(script, "ab")
    _tended(start, lambda: tries["a"] == 2 and "a" not in start._at)
    late.set()
    _tended(start, lambda: tries["b"] == 2)  # it was found off once, and is looked for again
    start.end()
    assert ended.errors == []


def test_ctrl_c_while_a_hanging_host_is_cut_short_leaves_no_agent_behind() -> None:
    script = Script()
    started, cutting, hung = threading.Event(), threading.Event(), threading.Event()
    first = [True]

    def stops() -> None:
        if first:
            first.clear()
            cutting.set()
            hung.wait(PATIENCE_S)

    def starts(_: str) -> None:
        started.wait(PATIENCE_S)

    script.on_start = starts
    script.on_stop = stops
    start, _ = _begun(script, "a")
    _until(start._starting)

    def interrupts() -> None:
        cutting.wait(PATIENCE_S)
        (short,) = (t for t in threading.enumerate() if t.name == "cut short")
        started.set()
        _until(short._over.is_set)  # type: ignore[attr-defined]  # it waits for this one alone
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupts).start()
    with pytest.raises(KeyboardInterrupt):
        start.end()
    assert script.stopped == ["a"]
    hung.set()


def _until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)  # nothing tells of it
