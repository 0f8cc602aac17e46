"""The wire: any slicing gives the same events, and no bytes crash, hang or swell it.

`python -m tests.cluster.test_wire 1000000` mutates a million frames.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.cluster.protocol import messages as msg
from mapreduce.cluster.protocol.framing import (
    CHUNK_BYTES,
    CONTROL,
    HEAD,
    MAGIC,
    PARTIAL,
    Arrived,
    Broken,
    Caps,
    LocalError,
    Wire,
)
from mapreduce.errors import MapReduceError
from mapreduce.job.name import JobName
from mapreduce.ledger import Cost, Dropped, Ledger, Quarantined
from mapreduce.objects import Location
from mapreduce.plan import Piece

HELLO = msg.Hello("pi07", msg.PROTOCOL, "r1", "pi07.local", 4)
WELCOME = msg.Welcome("run-1", JobName("a.b:C", {"limit": 3}), {"max_keys": 5}, 5.0, 30.0)
LEDGER = Ledger(
    3,
    1000,
    9,
    8,
    {"no_link": 1},
    [Quarantined(2, "ключ\n", "e", "empty", "")],
    [Dropped("no_link", 1, 4, "k")],
)


def offer(attempt: int, size_bytes: int) -> msg.Offer:
    return msg.Offer(attempt, size_bytes, LEDGER, Cost(0.5, 1.5, 1 << 20))


def pair(caps: Caps | None = None) -> tuple[Wire, Wire]:
    """Two wires that have greeted each other."""
    coordinator, worker = Wire("coordinator", caps), Wire("worker")
    assert coordinator.feed(worker.frame(HELLO)) == [HELLO]
    assert worker.feed(coordinator.frame(WELCOME)) == [WELCOME]
    return coordinator, worker


def pulled(size_bytes: int, caps: Caps | None = None) -> tuple[Wire, Wire]:
    coordinator, worker = pair(caps)
    coordinator.feed(worker.frame(offer(9, size_bytes)))
    worker.feed(coordinator.frame(msg.Pull(9)))
    return coordinator, worker


def raw(kind: int, body: bytes, size: int | None = None) -> bytes:
    return HEAD.pack(MAGIC, kind, 0, len(body) if size is None else size) + body


def broken(events: list[Any]) -> str:
    assert isinstance(events[-1], Broken), events
    assert not any(isinstance(e, Broken) for e in events[:-1])
    return events[-1].why


SAID_BY_WORKER: list[msg.FromWorker] = [
    msg.Heartbeat((msg.Progress(3, 2, 500),), msg.Health(0.5, 1 << 30, 4 << 30, 61.5, 5), 2),
    offer(4, 77),
    msg.Failed(5, "crashed", "signal SIGSEGV", 11, None, 1 << 20, 17),
    msg.Goodbye("SIGTERM"),
]
SAID_BY_COORDINATOR: list[msg.FromCoordinator] = [
    msg.Task(2, 7, (Piece(0, "k\n\0", 5, "e"),), (Location(url="http://x/?sig=abc"),)),
    msg.Forget(4),
    msg.Pace(3),
    msg.Goodbye(""),
]


@pytest.mark.parametrize("message", SAID_BY_WORKER)
def test_what_a_worker_says_is_heard(message: msg.FromWorker) -> None:
    coordinator, worker = pair()
    assert coordinator.feed(worker.frame(message)) == [message]


@pytest.mark.parametrize("message", SAID_BY_COORDINATOR)
def test_what_the_coordinator_says_is_heard(message: msg.FromCoordinator) -> None:
    coordinator, worker = pair()
    assert worker.feed(coordinator.frame(message)) == [message]


def stream() -> bytes:
    """All that a busy worker sends after its welcome, with a partial and a heartbeat inside it."""
    coordinator, worker = pulled(CHUNK_BYTES + 1000)
    sent = [worker.frame(m) for m in SAID_BY_WORKER]
    body = Random(3).randbytes(CHUNK_BYTES + 1000)
    for chunk in worker.partial_frames(9, body):
        sent += [chunk, worker.frame(msg.Heartbeat())]
    assert coordinator.feed(b"".join(sent))[-2] == Arrived(9, bytearray(body))
    return b"".join(sent)


STREAM = stream()


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(STREAM)), max_size=40), st.booleans())
def test_any_slicing_gives_the_same_events(cuts: list[int], spoil: bool) -> None:
    data = bytearray(STREAM)
    if spoil:
        data[len(data) // 2] ^= 0xFF
        data[3] = 7
    whole = pulled(CHUNK_BYTES + 1000)[0].feed(data)
    sliced, events = pulled(CHUNK_BYTES + 1000)[0], []
    edges = [0, *sorted(cuts), len(data)]
    for start, stop in pairwise(edges):
        events += sliced.feed(data[start:stop])
    assert events == whole


def test_byte_by_byte_gives_the_same_events() -> None:
    data = STREAM[: len(STREAM) - CHUNK_BYTES]
    whole = pulled(CHUNK_BYTES + 1000)[0].feed(data)
    wire = pulled(CHUNK_BYTES + 1000)[0]
    head = [e for i in range(2000) for e in wire.feed(data[i : i + 1])]
    assert head + wire.feed(data[2000:]) == whole


@pytest.mark.parametrize("size", [0, 1 << 17, 1 << 31, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("kind", [0, CONTROL, PARTIAL, 3, 255])
def test_a_stranger_announcing_too_much_is_cut_off_at_once(kind: int, size: int) -> None:
    wire = Wire("coordinator")
    assert "at most" in broken(wire.feed(raw(kind, b"", size)))
    assert wire.buffered_bytes == 0


def test_a_worker_let_in_may_not_announce_too_much_either() -> None:
    for kind in (CONTROL, PARTIAL):
        coordinator, _ = pulled(1000)
        assert "at most" in broken(coordinator.feed(raw(kind, b"", 1 << 63)))


def test_a_first_message_has_a_smaller_cap_than_later_ones() -> None:
    caps = Caps(hello_bytes=200)
    long = msg.Heartbeat(tuple(msg.Progress(1 << 40) for _ in range(100)))
    coordinator, worker = pair(caps)
    assert coordinator.feed(worker.frame(long)) == [long]
    fresh = Wire("coordinator", caps)
    hello = msgspec.structs.replace(HELLO, holding=tuple(range(1 << 40, (1 << 40) + 100)))
    assert "at most 200" in broken(fresh.feed(Wire("worker").frame(hello)))


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"\x16\x03\x01\x02", b"\0", b"M\0"]
)
def test_another_programs_bytes_are_noticed_at_the_first(noise: bytes) -> None:
    assert "another program" in broken(Wire("coordinator").feed(noise))


def test_anything_but_a_hello_first_is_refused() -> None:
    _, worker = pair()
    assert "a Hello first" in broken(Wire("coordinator").feed(worker.frame(msg.Heartbeat())))


def test_a_second_hello_is_refused() -> None:
    coordinator, _ = pair()
    assert "and once" in broken(coordinator.feed(Wire("worker").frame(HELLO)))


def test_a_worker_that_does_not_wait_for_its_welcome_is_refused() -> None:
    _, worker = pair()
    data = Wire("worker").frame(HELLO) + worker.frame(msg.Heartbeat())
    events = Wire("coordinator").feed(data)
    assert events[0] == HELLO
    assert "silence until the welcome" in broken(events)


def test_after_a_refusal_nothing_is_heard() -> None:
    coordinator, worker = Wire("coordinator"), Wire("worker")
    coordinator.feed(worker.frame(HELLO))
    refused = msg.Refused("other release")
    assert worker.feed(coordinator.frame(refused)) == [refused]
    assert coordinator.feed(b"anything") == []
    assert worker.feed(b"anything") == []


def test_a_message_of_the_wrong_direction_is_refused() -> None:
    coordinator, _ = pair()
    body = msg.encode(msg.Forget(1))
    assert "no message" in broken(coordinator.feed(raw(CONTROL, body)))


def test_a_partial_comes_whole_and_heartbeats_pass_between_its_chunks() -> None:
    body = Random(1).randbytes(3 * CHUNK_BYTES + 5)
    coordinator, worker = pulled(len(body))
    events: list[Any] = []
    for chunk in worker.partial_frames(9, body):
        events += coordinator.feed(chunk + worker.frame(msg.Heartbeat()))
    assert [type(e).__name__ for e in events] == ["Heartbeat"] * 3 + ["Arrived", "Heartbeat"]
    assert events[3] == Arrived(9, bytearray(body))
    assert coordinator.buffered_bytes == 0


@pytest.mark.parametrize(
    ("attempt", "offset", "count"),
    [(8, 0, 10), (9, 1, 10), (9, 0, 101), (9, 1 << 63, 1), (9, 0, 0)],
)
def test_a_partial_nobody_pulled_or_out_of_place_is_refused(
    attempt: int, offset: int, count: int
) -> None:
    coordinator, _ = pulled(100)
    body = attempt.to_bytes(8, "little") + offset.to_bytes(8, "little") + bytes(count)
    broken(coordinator.feed(raw(PARTIAL, body)))


def test_a_partial_that_was_offered_and_not_pulled_is_refused() -> None:
    coordinator, worker = pair()
    coordinator.feed(worker.frame(offer(9, 10)))
    broken(coordinator.feed(raw(PARTIAL, (9).to_bytes(8, "little") + bytes(8) + bytes(10))))


def test_an_offer_beyond_the_cap_and_too_many_offers_are_refused() -> None:
    coordinator, worker = pair(Caps(partial_bytes=1000, offers=3))
    assert "at most 1,000" in broken(coordinator.feed(worker.frame(offer(1, 1001))))
    coordinator, worker = pair(Caps(offers=3))
    assert "more than 3" in broken(
        coordinator.feed(b"".join(worker.frame(offer(n, 5)) for n in range(4)))
    )


def test_what_is_still_coming_of_a_cancelled_partial_is_skipped() -> None:
    body = bytes(2 * CHUNK_BYTES)
    coordinator, worker = pulled(len(body))
    first, second = worker.partial_frames(9, body)
    assert coordinator.feed(first) == []
    coordinator.frame(msg.Forget(9))
    assert coordinator.buffered_bytes == 0
    assert coordinator.feed(second + worker.frame(msg.Heartbeat())) == [msg.Heartbeat()]


def test_the_end_of_a_stream_inside_something_is_told() -> None:
    coordinator, worker = pulled(100)
    assert coordinator.feed_end() == []
    coordinator, worker = pulled(100)
    coordinator.feed(worker.frame(msg.Heartbeat())[:-1])
    assert "ended" in broken(coordinator.feed_end())


def test_memory_follows_what_has_come_and_not_what_was_announced() -> None:
    coordinator, _ = pulled(1 << 31)
    tracemalloc.start()
    try:
        coordinator.feed(raw(CONTROL, b"\0" * 10, 16 << 20))
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()


def test_what_this_side_does_wrong_is_its_own_fault() -> None:
    coordinator, worker = pair()
    for wire, message in (
        (coordinator, msg.Heartbeat()),
        (coordinator, msg.Pull(3)),
        (coordinator, WELCOME),
        (worker, msg.Forget(1)),
        (worker, HELLO),
        (Wire("worker"), msg.Heartbeat()),
        (Wire("coordinator"), msg.Goodbye()),
    ):
        with pytest.raises(LocalError):
            wire.frame(message)
    with pytest.raises(LocalError, match="not offered and pulled"):
        worker.partial_frames(1, b"x")


def test_a_worker_does_not_trust_the_coordinator_either() -> None:
    _, worker = pair()
    broken(worker.feed(raw(CONTROL, msg.encode(msg.Pull(3)))))
    _, worker = pair()
    broken(worker.feed(raw(PARTIAL, bytes(20))))
    broken(Wire("worker").feed(raw(CONTROL, msg.encode(msg.Forget(1)))))


@pytest.mark.parametrize(
    "body",
    [
        b"\x91" * 100_000 + b"\xc0",  # nested beyond any stack
        msg.encode(offer(1, 5)).replace(b"\xa2ok\x03", b"\xa2ok\xff"),  # an account below 0
        msgspec.msgpack.encode({"type": "Offer", "attempt": -1}),
        msgspec.msgpack.encode({"type": "Heartbeat", "attempts": [], "more": 1}),
        msgspec.msgpack.encode(["Heartbeat"]),
        msg.encode(offer(1, 5)) + b"\0",
        b"\xc1",
        msg.encode(msgspec.structs.replace(offer(1, 5), cost=Cost(float("nan"), 0.0, 0))),
    ],
)
def test_what_is_no_message_is_refused_without_a_crash(body: bytes) -> None:
    with pytest.raises(msg.MessageError):
        msg.from_worker(body)


def test_a_task_whose_places_do_not_fit_is_refused() -> None:
    body = msg.encode(msg.Task(1, 1, (Piece(0, "k", 1, "e"),), ()))
    with pytest.raises(msg.MessageError, match="1 pieces has 0 locations"):
        msg.from_coordinator(body)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            msgspec.structs.replace(HELLO, protocol=99),
            f"protocol 99, the coordinator {msg.PROTOCOL}",
        ),
        (msgspec.structs.replace(HELLO, release="r0"), "release 'r0', the coordinator 'r1'"),
        (msgspec.structs.replace(HELLO, overlay="o"), "overlay release 'o', the coordinator ''"),
    ],
)
def test_a_mismatch_names_both_sides_and_the_remedy(theirs: msg.Hello, ours: str) -> None:
    reason = msg.refusal(theirs, release="r1")
    assert reason is not None
    assert ours in reason
    assert "fab deploy --only pi07" in reason
    assert msg.refusal(HELLO, release="r1") is None


def test_a_hello_of_another_version_is_still_read() -> None:
    later = {**msgspec.to_builtins(HELLO), "protocol": 2, "new": [1]}
    assert msg.from_worker(msgspec.msgpack.encode(later)) == msgspec.structs.replace(
        HELLO, protocol=2
    )


def test_a_signed_url_shows_in_no_representation() -> None:
    assert "sig=abc" not in repr(SAID_BY_COORDINATOR[0])


def mutated(frame: bytes, dice: Random) -> bytearray:
    """Change, cut or lengthen a frame in up to eight places."""
    data = bytearray(frame)
    for _ in range(dice.choice([0, 1, 1, 2, 8])):
        where = dice.randrange(len(data))
        what = dice.random()
        if what < 0.6:
            data[where] = dice.choice([0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)])
        elif what < 0.8:
            del data[where:]
            data += b"\0"
        else:
            data[where:where] = dice.randbytes(dice.randrange(1, 9))
    return data


def mutate(count: int, seed: int) -> int:
    """Feed mutated frames; give the most bytes a wire kept. Never raises but for a fault."""
    dice, most = Random(seed), 0
    frames = [Wire("worker").frame(HELLO)] + [raw(CONTROL, msg.encode(m)) for m in SAID_BY_WORKER]
    frames.append(raw(PARTIAL, (9).to_bytes(8, "little") + bytes(8) + bytes(50)))
    wire: Wire | None = None
    for _ in range(count):
        if wire is None or dice.random() < 0.05:
            wire = pulled(1000)[0] if dice.random() < 0.5 else Wire("coordinator")
        events = wire.feed(mutated(dice.choice(frames), dice))
        for event in events:
            if isinstance(event, msg.Offer):
                wire.frame(msg.Forget(event.attempt))
        most = max(most, wire.buffered_bytes)
        if any(isinstance(event, Broken) for event in events):
            wire = None  # it would look at nothing more
    return most


def test_mutated_frames_never_crash_hang_or_swell_it() -> None:
    tracemalloc.start()
    try:
        assert mutate(20_000, seed=1) < 20 * 1000
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_random_bytes_end_in_nothing_or_broken(parts: list[bytes], framed: bool) -> None:
    wire = pulled(100)[0] if framed else Wire("coordinator")
    events = [e for p in parts for e in wire.feed(raw(CONTROL, p) if framed and p else p)]
    assert sum(isinstance(e, Broken) for e in events) <= 1
    assert wire.buffered_bytes <= sum(map(len, parts)) + 12


def test_an_error_of_the_wire_is_one_of_ours() -> None:
    assert issubclass(LocalError, MapReduceError)


if __name__ == "__main__":
    began, frames = time.perf_counter(), int(sys.argv[1])
    kept, took_s = mutate(frames, seed=0), time.perf_counter() - began
    sys.stdout.write(f"{frames:,} frames in {took_s:.0f} s; at most {kept:,} bytes kept\n")
