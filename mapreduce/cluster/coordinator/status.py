"""How a run and its hosts fare, for people: states, rates, temperatures, and what is done.

Told by the coordinator as things happen; read from any thread, as one immutable `Status`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mapreduce.cluster.protocol.messages import Health
from mapreduce.cluster.schedule.state import State
from mapreduce.engine import Advance, Share
from mapreduce.objects import Awaited

SMOOTH_S: Final = 10.0  # about how far back a rate looks
NEWS: Final = 20
MOST_NEWS: Final = 1000  # characters of one
MOST_NODE: Final = 100  # characters of its name
OUT: Final = ("failed", "refused", "gone", "sees no input")  # takes no part for now
THROTTLED_NOW: Final = 0b1111  # under-voltage, capped, throttled, too hot: at this moment


class HostStatus(msgspec.Struct, frozen=True):
    """One host. `state` is a word, `note` says why; None where a thing is not known."""

    host: str
    state: str
    note: str = ""
    slots: int = 0
    busy: int = 0
    done: int = 0
    bytes_per_s: float = 0.0
    load: float | None = None
    memory_free_bytes: int | None = None
    temperature_c: float | None = None
    throttled: bool | None = None


class Status(msgspec.Struct, frozen=True):
    """The run: tasks by where they are, what is read, how fast, and the hosts.

    `left_s` is known once all tasks are planned; `news` are the last events worth telling. `slots`
    is the most there were at once, `slots_s` for how long they were there, all together.
    """

    run: str
    state: str = "starting"
    seconds: float = 0.0
    listed: bool = False
    committed: int = 0
    running: int = 0
    waiting: int = 0
    objects: int = 0
    read_bytes: int = 0
    bytes_per_s: float = 0.0
    left_s: float | None = None
    hosts: tuple[HostStatus, ...] = ()
    news: tuple[str, ...] = ()
    slots: int = 0
    slots_s: float = 0.0


@dataclass(slots=True)
class _Host:
    state: str = "waits"
    note: str = ""
    health: Health = field(default_factory=Health)
    done: int = 0
    read_bytes: int = 0
    lost: int = 0
    asides: int = 0
    throttled: bool = False  # at any time
    why: str = ""
    rated_bytes: int = 0
    smoothed: float = 0.0
    known: float = 0.0  # how much of `smoothed` is measured: 0 before the first byte, then to 1
    bytes_per_s: float = 0.0
    awaited: Awaited = field(default_factory=Awaited)
    awaited_at: float = 0.0


class RunStatus:
    """What is known of the hosts of a run."""

    def __init__(self, run: str, hosts: Iterable[str]) -> None:
        self.status = Status(run)
        self._hosts = {name: _Host() for name in hosts}
        self.parted: set[str] = set()  # by a goodbye at the end: nothing of them is left
        self._began: float | None = None
        self._rated = 0.0
        self._advance = (0, 0)
        self._done = (0, 0)
        self._news: deque[str] = deque(maxlen=NEWS)
        self._silence = Awaited()
        self._told_silence = Awaited()

    def news(self, text: str) -> None:
        """Tell what people should hear of."""
        self._news.append(text[:MOST_NEWS])

    def say(self, host: str, state: str, note: str = "") -> None:
        """Tell what a host is at, and why."""
        one = self._hosts.setdefault(host, _Host())
        one.state, one.note = state, note
        one.lost += state == "gone"
        if state in OUT and note:
            one.why = note[:MOST_NEWS]

    def set_aside(self, host: str, why: str, for_s: float) -> None:
        """Tell that a host keeps failing and gets no work for a while."""
        one = self._hosts.setdefault(host, _Host())
        one.asides, one.why = one.asides + 1, why[:MOST_NEWS]
        self.news(f"{host} is suspended for {for_s:g} s: {why}")

    def shares(self) -> tuple[Share, ...]:
        """Give what each host did, and what befell it."""
        return tuple(
            Share(name, one.done, one.read_bytes, one.lost, one.asides, one.throttled, one.why)
            for name, one in self._hosts.items()
        )

    def fares(self, host: str, health: Health) -> None:
        """Tell how a host fares."""
        one = self._hosts.setdefault(host, _Host())
        one.health = health
        one.throttled = one.throttled or bool((health.throttled or 0) & THROTTLED_NOW)

    def awaits(self, host: str, awaited: Awaited, now: float) -> None:
        """Tell which node of the store a host waits for, and since when; or that it does not."""
        one = self._hosts.setdefault(host, _Host())
        one.awaited, one.awaited_at = awaited, now

    def silence(self) -> Awaited | None:
        """Give who is silent longest, and where; None where that is as it was when last asked."""
        before, self._told_silence = self._told_silence, self._silence
        return self._silence if str(self._silence) != str(before) else None

    def moved(self, host: str | None, objects: int, read_bytes: int) -> None:
        """Tell what was done there; less than nothing where it turned out to be for nothing."""
        if host is not None:
            self._hosts.setdefault(host, _Host()).read_bytes += read_bytes
        self._advance = self._advance[0] + objects, self._advance[1] + read_bytes
        self._done = self._done[0] + objects, self._done[1] + read_bytes

    def finished(self, host: str) -> None:
        """Tell that an attempt of a host was accepted."""
        self._hosts.setdefault(host, _Host()).done += 1

    def advance(self) -> Advance | None:
        """Give what was done since this was last asked; None where that is nothing."""
        objects, read_bytes = self._advance
        self._advance = (0, 0)
        return Advance(objects, read_bytes) if objects or read_bytes else None

    def look(self, state: State, now: float) -> Status:
        """Take in the schedule's state; give the status, and keep it for others."""
        if self._began is None:
            self._began = self._rated = now
        self._rate(now)
        self._silence = self._longest_silence(state, now)
        rate = sum(h.bytes_per_s for h in self._hosts.values())
        waiting = sum(t.open for t in state.tasks.values())
        left = None
        if state.listed and rate >= 1:  # less is what has faded of an earlier rate
            rest = sum(f.cost for t in state.tasks.values() for f in t.fragments)
            left = rest / rate
        self.status = Status(
            self.status.run,
            "over" if state.over else "draining" if state.draining else "running",
            now - self._began,
            state.listed,
            len(state.committed),
            state.roster.running,
            max(0, waiting - state.roster.running),
            *self._done,
            rate,
            left,
            tuple(self._host(name, one, state, now) for name, one in self._hosts.items()),
            tuple(self._news),
            state.most_slots,
            state.slots_s,
        )
        return self.status

    def _rate(self, now: float) -> None:
        passed = now - self._rated
        if passed <= 0:
            return
        weight = 1 - math.exp(-passed / SMOOTH_S)
        for one in self._hosts.values():
            pace = max(0, one.read_bytes - one.rated_bytes) / passed
            one.rated_bytes = one.read_bytes
            if not one.read_bytes and not one.known:
                continue  # it has not begun: the time of its start is no slowness of its reading
            one.smoothed += weight * (pace - one.smoothed)
            one.known += weight * (1 - one.known)
            one.bytes_per_s = one.smoothed / one.known
        self._rated = now

    def _longest_silence(self, state: State, now: float) -> Awaited:
        busy = {name: w for name, w in state.roster.workers.items() if w.present and w.busy}
        waiting = {name: _awaited(one, now) for name, one in self._hosts.items() if name in busy}
        host, longest = max(waiting.items(), key=lambda w: w[1].seconds, default=("", Awaited()))
        if longest.node and not all(one.node for one in waiting.values()):
            return Awaited(f"{longest.node} at {host}", longest.seconds)
        return longest

    def _host(self, name: str, one: _Host, state: State, now: float) -> HostStatus:
        worker = state.roster.workers.get(name)
        shown = one.state
        if worker is not None and worker.connected:
            if worker.aside_until is not None:
                shown = "set aside"
            elif worker.silent:
                shown = "silent"
            elif worker.leaving:
                shown = "leaving"
            else:
                shown = "works" if worker.busy else "idle"
        throttled = one.health.throttled
        return HostStatus(
            name,
            shown,
            str(_awaited(one, now)) or one.note if shown == "works" else one.note,
            worker.slots if worker else 0,
            worker.busy if worker else 0,
            one.done,
            one.bytes_per_s if shown == "works" else 0.0,  # the mean of what it does no more
            one.health.load,
            one.health.memory_free_bytes,
            one.health.temperature_c,
            None if throttled is None else bool(throttled & THROTTLED_NOW),
        )


def _awaited(one: _Host, now: float) -> Awaited:
    """Give which node a host waits for by now; what a host says of it is shown and not believed."""
    if not one.awaited.node:
        return one.awaited
    node = "".join(c if c.isprintable() else "?" for c in one.awaited.node[:MOST_NODE])
    return Awaited(node, one.awaited.seconds + now - one.awaited_at)
