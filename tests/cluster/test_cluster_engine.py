"""The engine over hosts with real agents, here as processes: one digest, whatever befalls them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mapreduce.cluster.coordinator.run_errors import StoppedError
from mapreduce.cluster.engine import Cluster
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.errors import JobError, MapReduceError, StoreError
from mapreduce.objects.memory import Memory
from mapreduce.objects.s3 import S3
from mapreduce.runs.driver import Options, run
from mapreduce.runs.journal import progress_of
from mapreduce.tables import encoding
from tests.cluster.launching import Processes
from tests.cluster.stand_in import gone as _gone
from tests.cluster.stand_in import soon
from tests.jobs.counting import Links
from tests.jobs.deadly import Deadly
from tests.services.relay import relayed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import mapreduce as mr
    from mapreduce.cluster.protocol.agent_config import AgentConfig
    from mapreduce.engine import Engine
    from mapreduce.objects import Entry
    from mapreduce.runs.progress import Progress
    from mapreduce.tables.partial import Partial
    from tests.services.relay import Relay
    from tests.services.seaweed import Seaweed

ROOT = Path(__file__).parents[2]
QUICK = Rules(heartbeat_s=0.3, silent_s=1.0, lease_s=2.0, reconnect_s=1.0)
SMALL = Options(split_bytes=400_000)
SINGLE = Options(split_bytes=1)


def _trip(seed: int, fixes: int = 200) -> bytes:
    fix = [{"link": (seed * 31 + i) % 197, "v": (i * 7.5 + seed) % 130} for i in range(fixes)]
    return json.dumps({"data": fix}).encode()


OBJECTS = {f"trips/{n:03}": _trip(n) for n in range(40)} | {"trips/bad": b"{", "_note": b""}


@pytest.fixture(scope="module")
def local() -> mr.Result:
    return run(Links(), Memory(OBJECTS), workers=1)


def _cluster(launcher: Processes, *hosts: str, **given: Any) -> Cluster:
    return Cluster(dict.fromkeys(hosts, 1), launcher, address="127.0.0.3", **given)


def _same(got: mr.Result, local: mr.Result) -> None:
    assert got.digest == local.digest
    assert got.receipt["objects"] == local.receipt["objects"]
    assert got.receipt["records"] == local.receipt["records"]
    assert got.ledger.samples == local.ledger.samples


def _all_ended(launcher: Processes) -> bool:
    return all(agent.poll() is not None for agent in launcher.agents.values())


def test_a_store_in_memory_is_served_by_the_coordinator(local: mr.Result) -> None:
    launcher = Processes()
    got = run(Links(), Memory(OBJECTS), engine=_cluster(launcher, "a", "b"), options=SMALL)
    _same(got, local)
    assert launcher.ended == {"a": 0, "b": 0}
    work = got.receipt["work"]
    assert work["slots"] in (1, 2)  # the second may come when all is done
    assert 0 <= work["slots_s"] < work["slots"] * got.receipt["times_s"]["map"]


def test_a_partial_that_came_is_unpacked_once(
    local: mr.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[int] = []

    def unpack(packed: bytes, *given: Any, **named: Any) -> Partial:
        unpacked.append(len(packed))
        return encoding_unpack(packed, *given, **named)

    encoding_unpack = encoding.unpack
    monkeypatch.setattr(encoding, "unpack", unpack)
    got = run(Links(), Memory(OBJECTS), engine=_cluster(Processes(), "a"), options=SINGLE)
    _same(got, local)
    assert len(unpacked) == len(OBJECTS) - 1  # one is ignored, for its name


def test_a_folder_is_served_and_the_rest_goes_on_without_a_broken_host(
    local: mr.Result, tmp_path: Path
) -> None:
    for key, body in OBJECTS.items():
        path = tmp_path / key
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)
    launcher = Processes()
    engine = _cluster(launcher, "a", "broken")
    got = run(Links(), tmp_path, engine=engine, options=SMALL)
    _same(got, local)
    assert engine.status is not None
    states = {h.host: (h.state, h.note) for h in engine.status.hosts}
    assert states["broken"] == ("failed", "broken has no Python")
    assert engine.status.objects == 41


def test_a_bucket_is_read_by_presigned_urls(
    local: mr.Result, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweed.environ.items():
        monkeypatch.setenv(name, value)
    bucket = seaweed.bucket()
    seaweed.put(bucket, OBJECTS)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    store = _signing(seaweed, bucket)
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name)  # so that no agent can have it
    launcher = Processes()
    got = run(Links(), store, engine=_cluster(launcher, "a"), options=SMALL)
    _same(got, local)


def _signing(seaweed: Seaweed, bucket: str) -> S3:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in seaweed.environ.items():
            patch.setenv(name, value)
        return S3.from_url(f"s3://{bucket}")


@dataclass
class _After:
    """Calls something once, when some tasks are committed."""

    engine: Cluster
    tasks: int
    act: Callable[[], None]

    def __call__(self, _: Progress) -> None:
        status = self.engine.status
        if self.tasks and status is not None and status.committed >= self.tasks:
            self.tasks = 0
            self.act()


def _slowly(source: dict[str, bytes]) -> Memory:
    """Deadly("slow") takes 0.3 s for each of these."""
    return Memory({f"deadly-{key}": body for key, body in source.items()})


SLOW = {f"{n:02}": json.dumps({"data": [{"link": n}, {"link": 1}]}).encode() for n in range(10)}


@pytest.fixture(scope="module")
def slow() -> mr.Result:
    """What the slow objects give; their names alone make them slow."""
    return run(Deadly(), Memory(SLOW), workers=1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_host_that_is_lost_or_leaves_changes_nothing(
    number: signal.Signals, slow: mr.Result
) -> None:
    launcher = Processes()
    engine = _cluster(launcher, "a", "b", rules=QUICK)

    def strike() -> None:
        os.killpg(launcher.agents["a"].pid, number)
        later.start()

    def back() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(launcher.agents["a"].pid, signal.SIGCONT)

    later = threading.Timer(2 * QUICK.lease_s, back)
    got = run(
        Deadly(how="slow"),
        _slowly(SLOW),
        engine=engine,
        options=SINGLE,
        on_progress=_After(engine, 2, strike),
    )
    later.cancel()
    assert got.digest == slow.digest
    assert got.receipt["objects"] == slow.receipt["objects"]
    assert _all_ended(launcher)


def test_an_agent_that_is_killed_is_started_again_also_where_it_was_the_only_one(
    slow: mr.Result,
) -> None:
    launcher = Processes()
    rules = dataclasses.replace(QUICK, nobody_deadline_s=20.0)
    engine = _cluster(launcher, "a", rules=rules)
    first: list[int] = []

    def strike() -> None:
        first.append(launcher.agents["a"].pid)
        os.killpg(first[0], signal.SIGKILL)

    got = run(
        Deadly(how="slow"),
        _slowly(SLOW),
        engine=engine,
        options=SINGLE,
        on_progress=_After(engine, 2, strike),
    )
    assert got.digest == slow.digest
    assert got.receipt["objects"] == slow.receipt["objects"]
    assert launcher.agents["a"].pid != first[0]
    assert launcher.ended == {"a": 0}
    assert engine.status is not None
    assert "a was lost; its agent is restarted" in engine.status.news


def test_a_run_whose_agents_are_all_told_to_end_ends_at_once_and_can_be_gone_on_with(
    slow: mr.Result, tmp_path: Path
) -> None:
    launcher = Processes()
    engine = _cluster(launcher, "a", "b", rules=QUICK)  # nobody_deadline_s is ten minutes

    def strike() -> None:
        for agent in launcher.agents.values():
            agent.terminate()

    with pytest.raises(StoppedError, match=r"stopped.*the same command resumes"):
        run(
            Deadly(how="slow"),
            _slowly(SLOW),
            engine=engine,
            options=SINGLE,
            folder=tmp_path,
            on_progress=_After(engine, 2, strike),
        )
    assert _all_ended(launcher)
    again = _cluster(Processes(), "a", rules=QUICK)
    got = run(Deadly(how="slow"), _slowly(SLOW), engine=again, options=SINGLE, folder=tmp_path)
    assert got.digest == slow.digest
    assert got.receipt["resumed"] is not None


class _Refusing(Processes):
    """Hosts that cannot be started the first time."""

    def __init__(self, *refusing: str) -> None:
        super().__init__()
        self.refusing = {*refusing}

    def place(self, host: str) -> None:
        if host in self.refusing:
            self.refusing.discard(host)
            raise MapReduceError(f"{host} has no room")


def test_a_host_that_could_not_be_started_is_tried_again_and_said() -> None:
    launcher = _Refusing("a")
    rules = dataclasses.replace(QUICK, silent_s=0.5, lease_s=0.5)
    engine = _cluster(launcher, "a", "b", rules=rules)
    many = {f"{key}{n}": body for key, body in SLOW.items() for n in range(6)}
    got = run(Deadly(how="slow"), _slowly(many), engine=engine, options=SINGLE)
    assert engine.status is not None
    said = "a takes no part; retry in"
    assert any(said in news for news in engine.status.news)
    assert launcher.agents.keys() == {"a", "b"}
    shares = {share["host"]: share for share in got.receipt["work"]["hosts"]}
    assert shares["a"]["why"] == "a has no room"
    assert not any(share["lost"] for share in shares.values())
    assert sum(share["tasks"] for share in shares.values()) == len(many)
    assert sum(share["bytes"] for share in shares.values()) >= got.receipt["objects"]["bytes"]


class _Unwelcome(Processes):
    """A host whose agent is never taken in; its starter waits until it is ended."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host, self.ends = host, threading.Event()

    def start(self, host: str, config: AgentConfig) -> None:
        if host != self.host:
            super().start(host, config)
        elif self.ends.wait(300):
            raise MapReduceError("it ended before it was welcomed")

    def stop(self, hosts: Sequence[str], run: str, patience_s: float = 1.0) -> None:
        if self.host in hosts:
            self.ends.set()
        super().stop([h for h in hosts if h != self.host], run, patience_s)


def test_a_run_that_ends_while_an_agent_is_started_does_not_wait_for_its_welcome(
    local: mr.Result,
) -> None:
    launcher = _Unwelcome("late")
    got = run(Links(), Memory(OBJECTS), engine=_cluster(launcher, "a", "late"), options=SMALL)
    _same(got, local)
    assert launcher.ends.is_set()


class _Linked:
    """Hosts whose connections all go through a relay each, at some rate."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        patch: pytest.MonkeyPatch,
        **rates: float | None,
    ) -> None:
        self.relays: dict[str, Relay] = {}

        def way(config: AgentConfig) -> str:
            target = (config.address, config.port)
            self.relays[config.host] = stack.enter_context(relayed(target, rates[config.host]))
            return f"https://127.0.0.1:{self.relays[config.host].port}/"

        def behind(config: AgentConfig) -> AgentConfig:
            port = self.relays[config.host].port
            return msgspec.structs.replace(config, address="127.0.0.1", port=port)

        patch.setattr(
            "mapreduce.cluster.coordinator.agent_supervisor._origin", way
        )  # where it reads objects
        self.launcher = Processes(behind)
        self.engine = _cluster(self.launcher, *rates, rules=QUICK)


def test_a_host_that_is_cut_off_beyond_its_lease_and_comes_back_changes_nothing(
    slow: mr.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:
        linked = _Linked(stack, monkeypatch, a=None, b=None)

        def cut() -> None:
            linked.relays["a"].hold()
            back = threading.Timer(2 * QUICK.lease_s, linked.relays["a"].go_on)
            stack.callback(back.join)
            stack.callback(back.cancel)
            back.start()

        after = _After(linked.engine, 2, cut)
        got = run(
            Deadly(how="slow"),
            _slowly(SLOW),
            engine=linked.engine,
            options=SINGLE,
            on_progress=after,
        )
    assert after.tasks == 0  # it was cut off
    assert got.digest == slow.digest
    assert got.receipt["objects"] == slow.receipt["objects"]
    assert _all_ended(linked.launcher)


def test_a_link_twenty_times_slower_changes_nothing(
    local: mr.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Memory):
        """Lists nothing before both hosts are there: else the fast one might do it all alone."""

        def entries(self) -> Iterator[Entry]:
            assert soon(lambda: present() == {"fast", "slow"}, 60.0)
            yield from super().entries()

    def present() -> set[str]:
        status = linked.engine.status
        return {h.host for h in status.hosts if h.state == "idle"} if status is not None else set()

    with contextlib.ExitStack() as stack:
        linked = _Linked(stack, monkeypatch, fast=4e6, slow=2e5)
        got = run(Links(), Late(OBJECTS), engine=linked.engine, options=SINGLE)
        passed = {host: relay.passed_bytes for host, relay in linked.relays.items()}
    _same(got, local)
    assert passed["slow"] > 10_000  # it took part
    assert linked.launcher.ended["fast"] == 0


def test_an_object_that_kills_is_set_aside_and_nothing_else() -> None:
    source = Memory(SLOW | {"07-deadly": SLOW["07"]})
    expected = run(Deadly(how="kill"), source, workers=1)
    launcher = Processes()
    got = run(Deadly(how="kill"), source, engine=_cluster(launcher, "a", "b"), options=SMALL)
    assert got.digest == expected.digest
    assert got.receipt["objects"] == expected.receipt["objects"]
    assert [(q.key, q.reason) for q in got.ledger.quarantined] == [("07-deadly", "crashed")]
    assert "SIGKILL" in got.ledger.quarantined[0].place


def test_a_fault_in_map_stops_the_run_with_its_place() -> None:
    source = Memory({"1-deadly": json.dumps({"data": [{"link": 1}, {"link": 13}]}).encode()})
    launcher = Processes()
    with pytest.raises(JobError, match=r"(?s)'1-deadly', record 1.*thirteen"):
        run(Deadly(how="fail"), source, engine=_cluster(launcher, "a"))
    assert launcher.ended == {"a": 0}


def test_hosts_that_can_all_not_be_started_are_named() -> None:
    engine = _cluster(Processes(), "broken1", "broken2")
    with pytest.raises(StoreError, match=r"(?s)broken1 has no Python.*broken2 has no Python"):
        run(Links(), Memory(OBJECTS), engine=engine)


def test_a_job_that_is_not_there_is_the_jobs_fault() -> None:
    class Waiting(Processes):
        """As over SSH, an agent that ends before it is welcomed has not started."""

        def start(self, host: str, config: AgentConfig) -> None:
            super().start(host, config)
            raise MapReduceError(f"it ended with {self.agents[host].wait(60)}: {self.log(host)}")

    def elsewhere(config: Any) -> Any:
        return msgspec.structs.replace(config, release="r-other")

    engine = _cluster(Waiting(elsewhere), "a")
    with pytest.raises(StoreError, match=r"(?s)no host could be started.*ended with 2: .*r-other"):
        run(Links(), Memory(OBJECTS), engine=engine)


SCRIPT = """
import sys
from pathlib import Path
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import run
from tests.cluster.test_cluster_engine import SLOW, SINGLE, _cluster
from tests.cluster.launching import Processes
from tests.jobs.deadly import Deadly

class Telling(Processes):
    def start(self, host, config):
        super().start(host, config)
        sys.stdout.write(f"{self.agents[host].pid}\\n")  # at once: hosts begin side by side
        sys.stdout.flush()

folder, gate = map(Path, sys.argv[1:])
source = Memory({f"{key}-deadly" if key > "03" else key: body for key, body in SLOW.items()})
if __name__ == "__main__":
    engine = _cluster(Telling(), "a", "b")
    job = Deadly(how="wait", gate=str(gate))
    got = run(job, source, engine=engine, options=SINGLE, folder=folder)
    print(got.digest)
"""


def test_interrupted_it_leaves_nothing_and_goes_on_where_it_stopped(
    tmp_path: Path, slow: mr.Result
) -> None:
    program = tmp_path / "program.py"
    program.write_text(SCRIPT)
    folder = tmp_path / "out"
    gate = tmp_path / "gate"  # until it is there, six of ten objects are not done
    command = [sys.executable, str(program), str(folder), str(gate)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)
    assert first.stdout is not None
    agents = [int(first.stdout.readline()) for _ in "ab"]
    assert soon(lambda: _committed(folder) >= 2, 60.0)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode != 0
    assert all(map(_gone, agents))
    before = _committed(folder)
    assert 2 <= before <= 4
    gate.touch()
    second = subprocess.run(command, capture_output=True, env=environ, timeout=60, check=True)
    assert second.stdout.decode().split()[-1] == slow.digest


DEPLOYING = """
import threading
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import run
from tests.cluster.test_cluster_engine import OBJECTS, _cluster
from tests.cluster.launching import Processes
from tests.jobs.counting import Links

class Deploying(Processes):
    def place(self, host):
        if host == "slow":
            threading.Event().wait()

    def start(self, host, config):
        super().start(host, config)
        print(self.agents[host].pid, flush=True)

    def stop(self, hosts, run, patience_s=1.0):
        super().stop(hosts, run, patience_s)
        print("ended", *hosts, flush=True)

if __name__ == "__main__":
    engine = _cluster(Deploying(), "slow", "a", patience_s=1.0)
    run(Links(), Memory(OBJECTS), engine=engine)
"""


def test_interrupted_while_a_host_is_deployed_to_it_says_so_and_a_second_time_leaves_no_agent(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"
    program.write_text(DEPLOYING)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        agent = int(running.stdout.readline())
        running.send_signal(signal.SIGINT)
        assert running.stderr.readline() == (
            "waiting for deployment steps on slow; press Ctrl-C again to stop waiting\n"
        )
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=30)
    assert running.returncode not in {0, None}
    assert said == "ended a\n"
    assert _gone(agent)


def _committed(folder: Path) -> int:
    with contextlib.suppress(MapReduceError, AttributeError, OSError):
        return progress_of(folder).committed
    return 0


def _engine_protocol(engine: Cluster) -> Engine:
    return engine
