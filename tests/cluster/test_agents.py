import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mapreduce.cluster.fleet import agent_control, operations
from mapreduce.cluster.fleet.agent_control import start_agent
from mapreduce.cluster.fleet.deploy import Deployed, Plan, deploy
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.operations import HostChoice
from mapreduce.cluster.fleet.parallel import FleetError
from mapreduce.cluster.inventory.inventory import Inventory
from mapreduce.cluster.onhost import agents as onhost_agents
from mapreduce.cluster.ssh.ssh import HostError, Remote
from mapreduce.errors import UsageError
from tests.cluster.shelves import enrolled_shelf, small_plan
from tests.services.sshd import Shelf

PI_4 = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
PI_5 = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics\n"
PC = "processor\t: 0\nflags\t\t: fpu vme sse2 aes avx\n"


@pytest.mark.parametrize(
    ("says", "chacha"), [(PI_4, True), (PI_5, False), (PC, False), ("processor\t: 0\n", False)]
)
def test_an_agent_prefers_chacha20_where_the_processor_has_no_aes(
    says: str, chacha: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(says)
    monkeypatch.setattr(onhost_agents, "CPU", str(tmp_path / "cpuinfo"))
    monkeypatch.delenv("OPENSSL_CONF", raising=False)
    environ = onhost_agents.environment(str(tmp_path), ["a", "b"])
    assert environ["PYTHONPATH"] == "a:b"
    assert ("OPENSSL_CONF" in environ) == chacha
    if chacha:
        assert Path(environ["OPENSSL_CONF"]).read_text() == onhost_agents.CHACHA_FIRST


AGENT = """
import os, signal, subprocess, sys, time
config = sys.stdin.buffer.read()
mode = config.split()[0].decode()
if mode == "dies":
    sys.exit("cannot read the moon")
if mode == "mute":
    time.sleep(600)
def drain(*_):
    print("drained", file=sys.stderr, flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, drain if mode == "good" else signal.SIG_IGN)
if mode == "stubborn":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(f"nice {os.nice(0)}, read {len(config)} bytes", file=sys.stderr, flush=True)
print("started", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Shelf, Inventory, dict[str, Deployed]]]:
    with pytest.MonkeyPatch.context() as patch, enrolled_shelf(2) as (hosts, inventory):
        plan = small_plan(tmp_path_factory.mktemp("plan"), patch, text=AGENT)
        table = deploy(inventory, inventory.hosts, Quiet(), plan)
        table.check("deploy")
        yield hosts, inventory, table.values_by_host


Ready = tuple[Shelf, Inventory, dict[str, Deployed]]


def start(
    ready: Ready, run: str, config: bytes, on: str = "pi1", **more: Any
) -> agent_control.Started:
    _, inventory, placed = ready
    [host] = inventory.select([on])
    with Remote(host, inventory) as remote:
        return start_agent(remote, run, config, placed[on], module="smallpkg", **more)


def log_of(ready: Ready, run: str, host: str = "pi1") -> str:
    hosts, _, _ = ready
    root = {h.name: h for h in hosts.hosts}[host].root
    return (root / "runs" / run / host / "agent.log").read_text()


def test_an_agent_starts_detached_with_low_priority_and_drains_when_stopped(
    deployed: Ready,
) -> None:
    hosts, inventory, _ = deployed
    started = start(deployed, "r1", b"good")
    assert started.said == "started"
    assert hosts.hosts[0].agents() == [started.pid]
    assert os.getsid(started.pid) == started.pid
    nice = min(19, os.nice(0) + agent_control.NICE)  # these tests may be nice themselves
    assert log_of(deployed, "r1") == f"nice {nice}, read 4 bytes\n"
    folder = hosts.hosts[0].root / "runs" / "r1" / "pi1"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "agent.log").stat().st_mode & 0o777 == 0o600
    states = agent_control.status(inventory, inventory.hosts, Quiet())
    assert "runs r1" in states["pi1"].state
    assert "idle" in states["pi2"].state
    table = agent_control.stop(inventory, inventory.hosts, Quiet(), run_id="r1")
    assert [o.state for o in table.values()] == ["ended r1", "no agent was running"]
    assert hosts.hosts[0].agents() == []
    assert log_of(deployed, "r1").endswith("drained\n")


def test_a_second_agent_of_a_run_is_refused(deployed: Ready) -> None:
    start(deployed, "twice", b"good")
    with pytest.raises(HostError, match="running already"):
        start(deployed, "twice", b"good")
    agent_control.stop(deployed[1], deployed[1].hosts[:1], Quiet())


def test_an_agent_that_will_not_end_is_killed_with_what_it_started(deployed: Ready) -> None:
    hosts, inventory, _ = deployed
    started = start(deployed, "r2", b"stubborn")
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    assert children
    table = agent_control.stop(inventory, inventory.hosts[:1], Quiet(), patience_s=0.3)
    assert table["pi1"].state == "ended r2, killed r2"
    for pid in children:
        wait_until_gone(int(pid))
    assert hosts.hosts[0].agents() == []


def test_what_is_killed_is_gone_before_anything_is_said_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = 3  # looks at it after it was killed, until it is gone: a busy kernel takes its time
    signals: list[int] = []

    def alive(_: Any) -> bool:
        nonlocal left
        left -= signal.SIGKILL in signals
        return left > 0

    monkeypatch.setattr(onhost_agents, "runs", lambda _: [("r", "folder")])
    monkeypatch.setattr(onhost_agents, "end", lambda _, number: signals.append(number))
    monkeypatch.setattr(onhost_agents, "alive", alive)
    told = onhost_agents.stop({"patience_s": 0.0})
    assert told == {"ended": ["r"], "killed": ["r"]}
    assert signals == [signal.SIGTERM, signal.SIGKILL]
    assert left == 0


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.01)  # not our child: there is nothing to wait on
    raise AssertionError(f"{pid} still runs")


def test_an_agent_that_dies_at_once_tells_its_last_words(deployed: Ready) -> None:
    with pytest.raises(HostError, match="ended with 1 before it started: cannot read the moon"):
        start(deployed, "r3", b"dies")


def test_an_agent_that_says_nothing_is_given_up_and_ended(deployed: Ready) -> None:
    with pytest.raises(HostError, match="printed nothing within 1 s"):
        start(deployed, "r4", b"mute", timeout_s=1)
    assert deployed[0].hosts[0].agents() == []


def test_a_release_that_is_not_there_is_told(deployed: Ready) -> None:
    _, inventory, placed = deployed
    gone = Deployed(
        **{**{f: getattr(placed["pi1"], f) for f in Deployed.__slots__}, "release": "x"}
    )
    with (
        Remote(inventory.hosts[0], inventory) as remote,
        pytest.raises(HostError, match="deploy f"),
    ):
        start_agent(remote, "r5", b"good", gone)


@pytest.mark.parametrize("run", ["../x", "", "a b", "$(x)", ".", "a/b", "x" * 65])
def test_a_run_that_may_name_no_folder_is_refused(run: str, deployed: Ready) -> None:
    with pytest.raises(UsageError, match="a run's id"):
        start(deployed, run, b"good")


def test_a_pid_that_came_again_is_never_signalled(deployed: Ready) -> None:
    hosts, inventory, _ = deployed
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        folder = hosts.hosts[1].root / "runs" / "old" / "pi2"
        folder.mkdir(parents=True)
        (folder / "agent.pid").write_text(json.dumps({"pid": stranger.pid, "began": "1"}))
        table = agent_control.stop(inventory, inventory.hosts[1:], Quiet(), patience_s=0.2)
        assert table["pi2"].state == "no agent was running"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@contextmanager
def watched(canary: str) -> Iterator[dict[str, bytes]]:
    """Look for it in every process's arguments and environment, again and again."""
    stop = threading.Event()
    seen: dict[str, bytes] = {}

    def watch() -> None:
        while not stop.is_set():
            for name in ("cmdline", "environ"):
                seen.update({p: b for p, b in told_by_processes(name) if canary.encode() in b})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def told_by_processes(name: str) -> Iterator[tuple[str, bytes]]:
    for path in Path("/proc").glob(f"[0-9]*/{name}"):
        with suppress(OSError):
            yield str(path), path.read_bytes()


def test_a_secret_on_standard_input_is_found_nowhere(deployed: Ready, capfd: Any) -> None:
    hosts, inventory, _ = deployed
    canary = secrets.token_hex(16)
    with watched(canary) as seen:
        config = f"good {canary}".encode()
        done = [start(deployed, "secret", config, host.name) for host in inventory.hosts]
        with pytest.raises(HostError) as failed:
            start(deployed, "dies", f"dies {canary}".encode())
    assert seen == {}
    for pid in (started.pid for started in done):
        for name in ("cmdline", "environ"):
            assert canary.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    agent_control.stop(inventory, inventory.hosts, Quiet()).check("stop")
    for path in hosts.folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert canary.encode() not in path.read_bytes(), path
    assert canary not in str(failed.value) + "".join(capfd.readouterr())


def test_logs_are_merged_by_host_and_followed_until_closed(deployed: Ready, capsys: Any) -> None:
    hosts, inventory, _ = deployed
    for host in hosts.hosts:
        folder = host.root / "runs" / "said" / host.name
        folder.mkdir(parents=True)
        (folder / "agent.log").write_text(f"one\ntwo of {host.name}\x1b[31m\n")
    operations.show_logs(HostChoice(inventory.path), "said", lines=1, follow=False)
    said = sorted(capsys.readouterr().out.splitlines())
    assert said == ["pi1  two of pi1\\x1b[31m", "pi2  two of pi2\\x1b[31m"]
    later = hosts.hosts[0].root / "runs" / "a-later-one" / "pi1"
    later.mkdir(parents=True)
    (later / "agent.log").write_text("three\n")
    os.utime(hosts.hosts[0].root / "runs" / "said", (1e9, 1e9))
    os.utime(later.parent, (2e9, 2e9))
    operations.show_logs(HostChoice(inventory.path, only=("pi1",)), None, lines=1, follow=False)
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.split()[1] in {"two", "three"}] == [
        "pi1  two of pi1\\x1b[31m",
        "pi1  three",
    ]
    asked = {"act": "logs", "run": "said", "lines": 1, "follow": True, "host": "pi1"}
    with Remote(inventory.hosts[0], inventory) as remote:
        stream = remote.stream("agents", asked)
        assert next(stream).startswith(b"two")
        with (hosts.hosts[0].root / "runs" / "said" / "pi1" / "agent.log").open("a") as log:
            log.write("three\n")
        assert next(stream) == b"three\n"
    marker = str(hosts.hosts[0].root).encode()
    deadline = time.monotonic() + 10
    while any(marker in c and b"follow" in c for _, c in told_by_processes("cmdline")):
        assert time.monotonic() < deadline, "the follower outlived its connection"
        time.sleep(0.05)  # another process's end cannot be awaited


def test_remove_ends_agents_and_deletes_what_is_ours_and_nothing_else(
    tmp_path: Path, monkeypatch: Any
) -> None:
    with enrolled_shelf(3, same_home=False) as (hosts, _):
        inventory = hosts.inventory()
        plan: Plan = small_plan(tmp_path, monkeypatch, text=AGENT)
        table = deploy(inventory, inventory.hosts[:2], Quiet(), plan)
        with Remote(inventory.hosts[0], inventory) as remote:
            placed = table["pi1"].value
            assert placed is not None
            start_agent(remote, "r", b"good", placed, module="smallpkg")
        precious = hosts.hosts[2].home / ".mapreduce"
        precious.mkdir()
        (precious / "thesis.tex").write_text("not ours")
        with pytest.raises(UsageError, match="confirm beforehand by --yes"):
            operations.remove_from_hosts(HostChoice(inventory.path))
        with pytest.raises(FleetError, match=r"pi3: .* is not a folder of this program"):
            operations.remove_from_hosts(HostChoice(inventory.path), yes=True)
        assert hosts.hosts[0].agents() == []
        assert not hosts.hosts[0].root.exists()
        assert not hosts.hosts[1].root.exists()
        assert (precious / "thesis.tex").exists()


def test_hosts_that_share_a_home_run_an_agent_each(tmp_path: Path, monkeypatch: Any) -> None:
    with enrolled_shelf(2, same_home=True) as (hosts, inventory):
        plan = small_plan(tmp_path, monkeypatch, text=AGENT)
        placed = deploy(inventory, inventory.hosts, Quiet(), plan).values_by_host
        for host in inventory.hosts:
            with Remote(host, inventory) as remote:
                start_agent(remote, "r", b"good", placed[host.name], module="smallpkg")
        assert len({p for h in hosts.hosts for p in h.agents()}) == 2
        operations.remove_from_hosts(HostChoice(inventory.path), yes=True)
        assert [p for h in hosts.hosts for p in h.agents()] == []
