"""Frames no agent would send, through TLS, to a coordinator at work.

`python -m tests.cluster.strangers 10000` sends so many mutated frames, each on a connection of its
own, since a bad one ends it; says how far it is, and at last what came of them, and compares the
run's digest with the local engine's. The peers have a certificate of the run: those without one get
no further than the handshake, which test_coordinator shows. Half spoil their hello, half what
follows a good one.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from mapreduce.cluster.protocol import messages as msg
from mapreduce.cluster.protocol.framing import CHUNK, PARTIAL, Broken, Wire
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import Options, run
from tests.cluster import scripted
from tests.cluster.scripted import Agent, Running, context_of, good
from tests.cluster.test_wire import SAID_BY_WORKER, mutated, raw
from tests.jobs.counting import Links

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from mapreduce.cluster.protocol.agent_config import AgentConfig
    from mapreduce.objects import Entry

AT_ONCE = 8  # peers: each waits for its answers
TELL_EVERY_S = 10.0
ANSWER_S = 0.05  # for a coordinator that has hung up, or waits for the rest of a frame
RULES = Rules(heartbeat_s=0.5, silent_s=1.0, lease_s=2.0, reconnect_s=1.0)


@dataclass
class Attack:
    """What was sent, and what came of it."""

    frames: int = 0
    welcomed: int = 0  # whose hello was a good one
    served: int = 0  # who got anything without having been welcome
    peak_bytes: int = 0
    digest: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


class _Held(Memory):
    """A store whose listing ends only when it may."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(objects)
        self.may_end = threading.Event()

    def entries(self) -> Iterator[Entry]:
        for number, entry in enumerate(super().entries()):
            if number == 1:
                self.may_end.wait()
            yield entry


def attack(
    objects: dict[str, bytes],
    frames: int,
    seed: int,
    tell: Callable[[int], None] = lambda _: None,
) -> Attack:
    """Send so many mutated frames while a good agent works; give what came of them."""
    done, store = Attack(), _Held(objects)
    before = _peak_bytes()
    with Running(Links(), store, ["a", "b"], options=Options(split_bytes=1), rules=RULES) as held:
        try:
            configs = {c.worker: c for c in (held.hosts.config(), held.hosts.config())}
            good(configs["b"], Links())
            with ThreadPoolExecutor(AT_ONCE) as peers:
                shares = [len(range(n, frames, AT_ONCE)) for n in range(AT_ONCE)]
                sent = [
                    peers.submit(_many, configs["a"], Random(f"{seed} {n}"), share, done)
                    for n, share in enumerate(shares)
                ]
                while wait(sent, TELL_EVERY_S).not_done:
                    tell(done.frames)
                for one in sent:
                    one.result()
        finally:
            store.may_end.set()
        done.digest = held.result.result(60).digest
    done.peak_bytes = _peak_bytes() - before
    return done


def _many(config: AgentConfig, dice: Random, frames: int, done: Attack) -> None:
    context = context_of(config)
    for _ in range(frames):
        _one(config, context, dice, done)


def _one(config: AgentConfig, context: ssl.SSLContext, dice: Random, done: Attack) -> None:
    """Dial, say some mutated frames, and see what comes back."""
    with Agent(config, context=context) as agent, contextlib.suppress(OSError, EOFError):
        wire = Wire("worker")
        hello = wire.frame(_hello(config))
        frames = [raw(1, msg.encode(m)) for m in SAID_BY_WORKER if not isinstance(m, msg.Failed)]
        frames.append(raw(PARTIAL, CHUNK.pack(dice.randrange(3), 0) + bytes(50)))
        if dice.random() < 0.5:
            said = hello + mutated(dice.choice(frames), dice)
        else:
            said = bytes(mutated(hello, dice)) + dice.choice(frames)
        is_welcome = _is_good(said, config)
        with done.lock:
            done.frames += 1
            done.welcomed += is_welcome
        agent.socket.sendall(said)
        agent.socket.settimeout(ANSWER_S)
        heard = _heard(agent, wire)
        with done.lock:
            done.served += bool(heard) and not is_welcome


def _hello(config: AgentConfig) -> msg.Hello:
    return msg.Hello(config.worker, msg.PROTOCOL, config.release, config.host, 1)


def _is_good(said: bytes, config: AgentConfig) -> bool:
    """Whether what comes first is, mutated or not, a hello that this worker might say."""
    for event in Wire("coordinator").feed(said):
        if isinstance(event, msg.Hello):
            expected = (config.worker, msg.PROTOCOL, config.release, config.overlay)
            return (event.worker, event.protocol, event.release, event.overlay) == expected
    return False


def _heard(agent: Agent, wire: Wire) -> list[Any]:
    """Give what the coordinator says, but for refusals."""
    heard: list[Any] = []
    with contextlib.suppress(TimeoutError):
        while data := agent.socket.recv(1 << 16):
            heard += wire.feed(data)
    return [e for e in heard if not isinstance(e, msg.Refused | Broken)]


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main(frames: int, seed: int) -> int:
    """Attack, and say what came of it."""
    objects = {f"{n:02}": b'{"data": [{"link": %d, "v": 1.5}]}' % n for n in range(20)}
    expected = run(Links(), Memory(objects), workers=1).digest
    began = time.monotonic()

    def tell(sent: int) -> None:
        rate = sent / (time.monotonic() - began)
        sys.stderr.write(f"{sent:,} of {frames:,} frames, {rate:,.0f} a second\n")

    done = attack(objects, frames, seed, tell)
    same = done.digest == expected
    sys.stdout.write(
        f"{done.frames:,} mutated frames, a connection each, in"
        f" {time.monotonic() - began:.0f} s: {done.welcomed:,} began with a good hello,"
        f" {done.served} others were served; memory grew by {done.peak_bytes / 1e6:.0f} MB;"
        f" digest {'unchanged' if same else 'CHANGED'}\n"
    )
    return 0 if same and not done.served else 1


if __name__ == "__main__":
    scripted.PATIENCE_S = 600.0  # the good agent waits until the attack is over
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
