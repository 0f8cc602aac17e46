"""The coordinator before agents that lie, break rules, fall silent or are no agents at all."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import ssl
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from mapreduce.cluster.coordinator import control_socket
from mapreduce.cluster.coordinator.results import checked
from mapreduce.cluster.coordinator.tls_stream import TlsStream, TlsStreamError
from mapreduce.cluster.coordinator.unproven import Unproven
from mapreduce.cluster.engine import Cluster
from mapreduce.cluster.protocol.framing import CHUNK, HEAD, MAGIC, PARTIAL
from mapreduce.cluster.protocol.messages import (
    PROTOCOL,
    Failed,
    Forget,
    Goodbye,
    Heartbeat,
    Hello,
    Refused,
    Task,
)
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.errors import JobError, ObjectError, PartialError, StoreError, UsageError
from mapreduce.ledger import Ledger, Quarantined
from mapreduce.objects.directory import Directory
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import Options, run
from mapreduce.tables import encoding, partial
from mapreduce.tables.partial import Partial
from mapreduce.tls import Authority, Identity, client_context, server_context
from tests.cluster.scripted import Agent, Hosts, Running, good, reset
from tests.cluster.strangers import attack
from tests.jobs.counting import Links, PlainRows
from tests.jobs.here import Here

if TYPE_CHECKING:
    from pathlib import Path

    import mapreduce as mr
    from mapreduce.cluster.protocol.agent_config import AgentConfig
    from mapreduce.objects import Entry, Location

QUICK = Rules(heartbeat_s=0.2, silent_s=0.6, lease_s=1.0, reconnect_s=0.5, nobody_deadline_s=60.0)
SMALL = Options(split_bytes=1 << 18)


def _trip(seed: int, fixes: int = 50) -> bytes:
    fix = [{"link": (seed * 31 + i) % 97, "v": (i * 7.5 + seed) % 130} for i in range(fixes)]
    return json.dumps({"data": fix}).encode()


OBJECTS = {f"{n:03}": _trip(n) for n in range(12)}


@pytest.fixture(scope="module")
def local() -> mr.Result:
    """What the local engine makes of the same objects."""
    return run(Links(), Memory(OBJECTS), workers=1)


def _running(hosts: str = "a", **given: Any) -> Running:
    given.setdefault("options", SMALL)
    return Running(Links(), Memory(OBJECTS), list(hosts), **given)


def test_scripted_agents_give_the_digest_of_the_local_engine(local: mr.Result) -> None:
    with _running("ab") as running:
        for _ in "ab":
            good(running.hosts.config(), Links())
        got = running.result.result(100)
    assert got.digest == local.digest
    assert got.receipt["objects"] == local.receipt["objects"]
    assert got.receipt["records"] == local.receipt["records"]
    assert got.receipt["engine"] == "ssh"


def test_objects_that_cannot_be_located_are_set_aside_as_on_one_machine() -> None:
    class Unfound(Memory):
        def locate(self, entry: Entry) -> Location:
            if entry.key in {"003", "007"}:
                raise ObjectError("gone", "it was there")
            return super().locate(entry)

    with Running(Links(), Unfound(OBJECTS), ["a"], options=SMALL) as running:
        good(running.hosts.config(), Links())
        got = running.result.result(100)
    known = run(Links(), Unfound(OBJECTS), engine=Here(), options=SMALL)
    assert [(bad.key, bad.reason) for bad in got.ledger.quarantined] == [
        ("003", "gone"), ("007", "gone")
    ]  # fmt: skip
    assert (got.digest, got.ledger) == (known.digest, known.ledger)
    assert got.receipt["objects"] == known.receipt["objects"]


def test_work_begins_before_the_listing_ends(local: mr.Result) -> None:
    listed = threading.Event()

    class Slow(Memory):
        def entries(self) -> Any:
            for n, entry in enumerate(super().entries()):
                if n == 6:
                    assert listed.wait(20)
                yield entry

    with Running(Links(), Slow(OBJECTS), ["a"], options=SMALL) as running:
        agent = Agent(running.hosts.config()).welcomed()
        agent.job = Links()
        task = agent.hear(Task)
        agent.offer(task, *agent.worked(task))
        agent.deliver(task.attempt)
        agent.hear(Forget, lambda a: a.attempt == task.attempt)
        listed.set()
        threading.Thread(target=agent.serve, args=(Links(),), daemon=True).start()
        assert running.result.result(100).digest == local.digest


def _untrue(ledger: Ledger, task: Task, how: str) -> Ledger:
    piece = task.pieces[0]
    if how == "more objects":
        return msgspec.structs.replace(ledger, ok=ledger.ok + 1)
    if how == "unbalanced":
        return msgspec.structs.replace(ledger, kept=ledger.kept + 1)
    if how == "another's object":
        other = Quarantined(9999, piece.key, piece.etag, "gone", "")
        return msgspec.structs.replace(ledger, quarantined=[other])
    own = Quarantined(piece.ordinal, piece.key, piece.etag, "because", "")
    return msgspec.structs.replace(
        ledger, quarantined=[own], ok=ledger.ok - 1, ok_bytes=ledger.ok_bytes - piece.size_bytes
    )


@pytest.mark.parametrize(
    "how", ["flipped", "more objects", "unbalanced", "another's object", "no such reason"]
)
def test_a_result_that_cannot_be_is_done_again_elsewhere(how: str, local: mr.Result) -> None:
    with _running("ab") as running:
        liar = Agent(running.hosts.config()).welcomed()
        liar.job = Links()
        task = liar.hear(Task)
        body, ledger = liar.worked(task)
        if how == "flipped":
            body = body[:-3] + bytes([body[-3] ^ 1]) + body[-2:]
        else:
            ledger = _untrue(ledger, task, how)
        liar.offer(task, body, ledger)
        liar.deliver(task.attempt)
        good(running.hosts.config(), Links())
        threading.Thread(target=liar.serve, args=(Links(),), daemon=True).start()
        got = running.result.result(100)
    assert got.digest == local.digest
    assert got.receipt["objects"] == local.receipt["objects"]


@pytest.mark.parametrize("how", ["kills", "falls silent", "dials again"])
def test_what_a_lost_worker_had_is_done_elsewhere(how: str, local: mr.Result) -> None:
    with _running("ab", rules=QUICK) as running:
        first = running.hosts.config()
        lost = Agent(first).welcomed()
        lost.hear(Task)
        if how == "kills":
            reset(lost.socket)
        elif how == "dials again":
            again = Agent(first).welcomed()
            assert lost.is_hung_up_on()
            threading.Thread(target=again.serve, args=(Links(),), daemon=True).start()
        good(running.hosts.config(), Links())
        if how != "falls silent":
            lost.socket.close()
        got = running.result.result(100)
    assert got.digest == local.digest


def test_a_partial_that_swells_beyond_what_was_sent_is_refused_at_the_door() -> None:
    job = PlainRows()
    keys = np.arange(100_000) % 9000
    table = partial.combine(job.ids, [job.ids.fold(keys, n=1)], [0])
    whole = Partial((table,))
    sound = bytearray(encoding.pack(whole))
    given = checked(sound, Ledger(), (), job.schemas())
    assert encoding.digest(given) == encoding.digest(whole)
    small = bytearray(encoding.pack(whole, compress=True))
    assert len(small) < len(sound) / 2
    with pytest.raises(PartialError, match=r"is over the cap of"):
        checked(small, Ledger(), (), job.schemas())


def test_a_late_result_is_dropped_and_counts_once(local: mr.Result) -> None:
    with _running("ab", rules=QUICK) as running:
        late = Agent(running.hosts.config()).welcomed()
        late.job = Links()
        task = late.hear(Task)
        work = late.worked(task)
        late.job = None  # from now on it is silent
        late.hear(Forget, lambda c: c.attempt == task.attempt)
        late.offer(task, *work)
        late.hear(Forget, lambda d: d.attempt == task.attempt)
        late.socket.close()
        good(running.hosts.config(), Links())
        assert running.result.result(100).digest == local.digest


def test_a_worker_of_another_release_is_refused_and_both_are_named(local: mr.Result) -> None:
    with _running("ab") as running:
        old = Agent(running.hosts.config()).hello(release="r-old")
        refused = old.hear(Refused)
        assert old.is_hung_up_on()
        good(running.hosts.config(), Links())
        assert running.result.result(100).digest == local.digest
    assert "'r-old'" in refused.reason
    assert "'r-test'" in refused.reason


def test_a_worker_that_comes_when_the_run_is_over_is_told_so(local: mr.Result) -> None:
    with _running("ab") as running:
        late = Agent(running.hosts.config())  # proven, and it has not said hello
        agent = Agent(running.hosts.config()).welcomed()
        agent.job = Links()
        while isinstance(task := agent.hear(Task | Goodbye), Task):  # type: ignore[arg-type]  # isinstance takes it
            agent.offer(task, *agent.worked(task))
            agent.deliver(task.attempt)
        assert late.hello().hear(Refused).reason == "the run is over"
        agent.socket.close()
        assert running.result.result(100).digest == local.digest


def test_the_name_in_the_hello_is_the_certificates(local: mr.Result) -> None:
    with _running("ab") as running:
        config = running.hosts.config()
        assert Agent(config).hello(worker="someone else").is_hung_up_on()
        good(config, Links())
        good(running.hosts.config(), Links())
        assert running.result.result(100).digest == local.digest


def _frame(kind: int, body: bytes, size: int | None = None) -> bytes:
    return HEAD.pack(MAGIC, kind, 0, len(body) if size is None else size) + body


RUDE = {
    "garbage": b"\x00" * 4096,
    "a frame of 2^63 bytes": _frame(1, b"", 1 << 63),
    "a partial nobody pulled": _frame(PARTIAL, CHUNK.pack(0, 0) + b"x"),
    "no message": _frame(1, b"\xc1"),
    "a second hello": b"hello",
}


@pytest.mark.parametrize("what", RUDE)
def test_a_worker_that_breaks_a_rule_loses_its_connection_alone(
    what: str, local: mr.Result
) -> None:
    with _running("ab", rules=QUICK) as running:
        rude = Agent(running.hosts.config()).welcomed()
        if what == "a second hello":
            rude.wire = type(rude.wire)("worker")
            rude.hello()
        else:
            rude.socket.sendall(RUDE[what])
        assert rude.is_hung_up_on()
        good(running.hosts.config(), Links())
        assert running.result.result(100).digest == local.digest


def _identity(config: AgentConfig, of: str) -> Identity | None:
    own = config.authority.decode(), config.certificate.decode(), config.key.decode()
    other = Authority("another").worker(config.worker)
    if of == "another run":
        return Identity(other.name, own[0], other.certificate, other.key)
    return None


def test_a_certificate_of_another_run_is_not_served(local: mr.Result) -> None:
    with _running("a") as running:
        config = running.hosts.config()
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            Agent(config, _identity(config, "another run")).welcomed()
        good(config, Links())
        assert running.result.result(100).digest == local.digest


def test_no_certificate_is_not_served(local: mr.Result) -> None:
    with _running("a") as running:
        config = running.hosts.config()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=config.authority.decode())
        plain = socket.create_connection((config.address, config.port), timeout=20)
        said = b""
        with (
            plain,
            contextlib.suppress(ssl.SSLError, ConnectionError),
            context.wrap_socket(plain, server_hostname=config.server_name) as line,
        ):
            line.sendall(b"GET /0/0 HTTP/1.1\r\n\r\n")
            said = line.recv(1000)
        assert not said
        good(config, Links())
        assert running.result.result(100).digest == local.digest


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_strangers_in_numbers_cost_little_and_keep_nobody_out(local: mr.Result) -> None:
    with _running("a") as running:
        config = running.hosts.config()
        before = _peak()
        where = (config.address, config.port)
        strangers = [socket.create_connection(where, timeout=20) for _ in range(700)]
        words = [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", os.urandom(500)]
        for n, line in enumerate(strangers):
            with contextlib.suppress(OSError):
                line.sendall(words[n % 4])
        for _ in range(300):  # as a scan of ports does
            reset(socket.create_connection(where, timeout=20))
        good(config, Links())
        assert running.result.result(100).digest == local.digest
        assert _peak() - before < 64 << 20
        for line in strangers:
            line.close()


def test_mutated_frames_of_a_proven_peer_are_served_nothing_and_change_nothing(
    local: mr.Result,
) -> None:
    done = attack(OBJECTS, 150, seed=1)
    assert done.digest == local.digest
    assert done.served == 0
    assert done.welcomed > 10
    assert done.peak_bytes < 64 << 20


def _gone_after_s(line: socket.socket, words: bytes, began: float) -> float:
    """Say a byte every half second; give how long after it dialled it was hung up on."""
    line.settimeout(0.5)
    while time.monotonic() - began < 20:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            line.sendall(words[:1])
            words = words[1:]
        try:
            if not line.recv(100):
                break
        except TimeoutError:
            continue
        except (ConnectionError, ssl.SSLError):
            break
    return time.monotonic() - began


def test_a_peer_that_takes_its_time_is_gone_after_five_seconds(local: mr.Result) -> None:
    with _running("a") as running, ThreadPoolExecutor() as threads:
        config, began = running.hosts.config(), time.monotonic()
        stranger = socket.create_connection((config.address, config.port), timeout=20)
        proven = Agent(config)
        hello = proven.wire.frame(Hello(config.worker, PROTOCOL, config.release, "a", 1))
        shake = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(30)
        waits = [
            threads.submit(_gone_after_s, line, words, began)
            for line, words in ((stranger, shake), (proven.socket, hello))
        ]
        assert all(5 <= wait.result() < 20 for wait in waits)  # 20: had it been left to say it all
        stranger.close()
        good(config, Links())
        assert running.result.result(100).digest == local.digest


def _get(agent: Agent, target: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    asked = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
    agent.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{asked}\r\n".encode())
    with agent.socket.makefile("rb") as answer:
        status = int(answer.readline().split()[1])
        told = dict(
            line.decode().rstrip().split(": ", 1) for line in iter(answer.readline, b"\r\n")
        )
        return status, told, answer.read(int(told["Content-Length"]))


def test_only_what_was_given_to_a_worker_is_served_to_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(_trip(1))
    (tmp_path / "secret").write_bytes(b"secret")
    with Running(Links(), Directory(tmp_path / "in"), ["a", "b"]) as running:
        first, second = running.hosts.config(), running.hosts.config()
        agent = Agent(first).welcomed()
        agent.job = Links()
        task = agent.hear(Task)
        (piece,), (location,) = task.pieces, task.locations
        target = "/" + (location.url or "").split("/", 3)[3]
        assert target == f"/{task.attempt}/0"
        assert str(tmp_path) not in repr(msgspec.to_builtins(task))
        with Agent(first) as own, Agent(second) as other:
            status, headers, body = _get(own, target, If_Match=f'"{piece.etag}"')
            assert (status, body) == (200, _trip(1))
            assert headers["ETag"] == f'"{piece.etag}"'
            status, headers, body = _get(own, target, Range="bytes=3-9")
            assert (status, body) == (206, _trip(1)[3:10])
            assert headers["Content-Range"] == f"bytes 3-9/{len(_trip(1))}"
            assert _get(own, target, If_Match='"other"')[0] == 412
            assert _get(own, target, Range=f"bytes={1 << 40}-{1 << 41}")[0] == 416
            for wrong in ("/0/1", f"/{task.attempt + 1}/0", "/../secret", "/", "/0/0/../../secret"):
                status, _, body = _get(own, wrong)
                assert status == 403
                assert b"secret" not in body
            assert _get(other, target)[0] == 403
        (tmp_path / "in" / "a").write_bytes(_trip(2))
        with Agent(first) as own:
            assert _get(own, target, If_Match=f'"{piece.etag}"')[0] == 412
        agent.offer(task, *agent.worked(task))
        agent.deliver(task.attempt)
        agent.hear(Goodbye)
        agent.socket.close()
        got = running.result.result(100)
    assert [q.reason for q in got.ledger.quarantined] == ["changed"]


def test_a_fault_of_the_job_ends_the_run_and_the_workers() -> None:
    with _running("a") as running:
        agent = Agent(running.hosts.config()).welcomed()
        task = agent.hear(Task)
        agent.say(Failed(task.attempt, "job", "it has no such table"))
        agent.hear(Goodbye)
        agent.socket.close()
        with pytest.raises(JobError, match="no such table"):
            running.result.result(100)
    assert running.hosts.stopped == ("a",)


def test_without_a_worker_the_run_ends_and_can_be_resumed() -> None:
    with _running("a", rules=Rules(nobody_deadline_s=0.5)) as running:
        running.hosts.config()
        with pytest.raises(StoreError, match="no worker"):
            running.result.result(100)


def test_the_control_socket_is_its_owners_and_tells_and_stops(tmp_path: Path) -> None:
    with _running("ab", folder=tmp_path) as running:
        agent = Agent(running.hosts.config()).welcomed()
        agent.job = Links()
        task = agent.hear(Task)
        assert (tmp_path / control_socket.NAME).stat().st_mode & 0o777 == 0o600
        agent.say(Heartbeat())
        told = control_socket.ask(tmp_path, "status")
        while told["running"] != 1:
            told = control_socket.ask(tmp_path, "status")
        assert {h["host"] for h in told["hosts"]} == {"a", "b"}
        assert control_socket.ask(tmp_path, "stop") == {"stopping": True}
        agent.offer(task, *agent.worked(task))
        agent.deliver(task.attempt)
        agent.hear(Goodbye)
        agent.socket.close()
        with pytest.raises(StoreError, match="asked to stop"):
            running.result.result(100)
    assert not (tmp_path / control_socket.NAME).exists()
    with pytest.raises(UsageError, match="no run on hosts"):
        control_socket.ask(tmp_path, "status")
    # What was committed is not done again.
    with Running(Links(), Memory(OBJECTS), ["a"], options=SMALL, folder=tmp_path) as resumed:
        good(resumed.hosts.config(), Links())
        got = resumed.result.result(100)
    assert got.digest == run(Links(), Memory(OBJECTS), workers=1).digest


def test_an_address_that_is_not_this_machines_is_wrong_use() -> None:
    engine = Cluster({"a": 1}, Hosts(), address="192.0.2.1")
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1"):
        run(Links(), Memory(OBJECTS), engine=engine)


def test_a_port_that_another_program_has_is_told_with_what_to_change() -> None:
    with socket.create_server(("127.0.0.3", 0)) as other:
        port = other.getsockname()[1]
        engine = Cluster({"a": 1}, Hosts(), address="127.0.0.3", port=port)
        with pytest.raises(UsageError, match=rf"port {port}: another program uses it.*listen_port"):
            run(Links(), Memory(OBJECTS), engine=engine)


def test_on_the_porch_the_commonest_address_gives_way() -> None:
    class Peer:
        def __init__(self, address: str) -> None:
            self.address = address

    waiting: Unproven[Peer] = Unproven(3)
    many = [Peer("x"), Peer("x")]
    single = Peer("y")
    assert waiting.enter(single) is None
    assert [waiting.enter(p) for p in many] == [None, None]
    assert waiting.enter(Peer("z")) is many[0]
    waiting.leave(single)
    waiting.leave(single)
    assert len(waiting) == 2


def test_a_channel_gives_nothing_before_the_proof() -> None:
    authority = Authority("r")
    server = TlsStream(server_context(authority.coordinator("127.0.0.1")))
    client = TlsStream(
        client_context(authority.worker("w")), server_side=False, server_name="127.0.0.1"
    )
    assert server.feed(client.outgoing()) == b""
    assert not server.open
    assert server.certificate == {}
    client.feed(server.outgoing())
    client.write(b"x" * 100_000)
    assert server.feed(client.outgoing()) == b"x" * 100_000
    assert server.open
    with pytest.raises(TlsStreamError):
        server.feed(struct.pack("!BHH", 23, 0x0303, 20) + b"\0" * 20)
