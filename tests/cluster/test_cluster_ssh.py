"""The engine over real SSH: hosts enrolled, deployed to by the run itself, and left clean."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psutil
import pytest

from mapreduce.cluster.fleet import agent_control
from mapreduce.cluster.fleet.deploy import deploy
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.doctor import examine
from mapreduce.cluster.fleet.launcher import cluster_of
from mapreduce.cluster.ssh import tunnel
from mapreduce.cluster.ssh.ssh import Remote
from mapreduce.job.loader import load
from mapreduce.runs.driver import Options, run
from tests.cluster.shelves import enrolled_shelf
from tests.cluster.stand_in import soon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mapreduce.cluster.engine import Cluster
    from mapreduce.cluster.inventory.inventory import Inventory
    from mapreduce.runs.progress import Progress
    from tests.services.sshd import Shelf, SshHost

JOB = """
import time

import beside
import mapreduce as mr

class Own(mr.Job):
    nap_s: float = 0.0

    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        time.sleep(self.nap_s)
        return self.links.fold(r.link, n=beside.STEP)
"""
SINGLE = Options(split_bytes=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job of one's own, and objects for it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(JOB)
    (folder / "beside.py").write_text("STEP = 3\n")
    (folder / "in").mkdir()
    for n in range(24):
        body = {"data": [{"link": link % 7} for link in range(n, n + 20)]}
        (folder / "in" / f"{n:02}.json").write_text(json.dumps(body))
    return folder


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Shelf, Inventory]]:
    with enrolled_shelf(2) as (shelf, enrolled):
        yield shelf, enrolled


@pytest.fixture
def tunnelled(hosts: tuple[Shelf, Inventory]) -> Iterator[tuple[Shelf, Inventory]]:
    """Hosts that come back through SSH; the second leads no port back."""
    shelf, inventory = hosts
    deploy(inventory, inventory.hosts, Quiet()).check("deploy")
    for forwarding in ("no", "yes"):
        shelf.hosts[1].stop()
        shelf.hosts[1].forwarding = forwarding
        shelf.hosts[1].start()
        if forwarding == "no":
            yield shelf, replace(inventory, address="ssh")


def _left_nothing(inventory: Inventory) -> None:
    table = agent_control.status(inventory, inventory.hosts, Quiet())
    assert not table.failed
    runs = [r for told in table.values_by_host.values() for r in told["runs"]]
    assert not [r for r in runs if r["alive"]]


def test_a_job_of_ones_own_runs_on_hosts_that_knew_nothing_of_it(
    folder: Path, hosts: tuple[Shelf, Inventory]
) -> None:
    inventory = hosts[1]
    job = load(f"{folder / 'own.py'}:Own")
    local = run(job, folder / "in", workers=1)
    engine = cluster_of(inventory, inventory.hosts)
    got = run(job, folder / "in", engine=engine, options=SINGLE)
    assert got.digest == local.digest
    assert got.receipt["objects"] == local.receipt["objects"]
    _left_nothing(inventory)


@dataclass
class _Cut:
    """Looks at an agent's connections while it works, then cuts SSH under it, once."""

    engine: Cluster
    host: SshHost
    dials: set[tuple[str, int]] = field(default_factory=set)
    comes: set[int] = field(default_factory=set)

    def __call__(self, _: Progress) -> None:
        status = self.engine.status
        if self.dials or status is None or status.committed < 2:
            return
        (pid,) = self.host.agents()
        agent = psutil.Process(pid)
        for one in [agent, *agent.children(recursive=True)]:
            self.dials |= {tuple(c.raddr) for c in one.net_connections("tcp") if c.raddr}
        for c in psutil.Process(os.getpid()).net_connections("tcp"):
            if c.status == psutil.CONN_LISTEN and c.laddr.ip == "127.0.0.1":
                self.comes.add(c.laddr.port)
        self.host.hang_up()


@dataclass
class _Spoil:
    """Damages the user's code on a host once it is at work, and ends its agent or its slots."""

    engine: Cluster
    host: SshHost
    what: str
    struck: bool = False

    def __call__(self, _: Progress) -> None:
        status = self.engine.status
        if self.struck or status is None or status.committed < 2 or not self.host.agents():
            return
        self.struck = True
        for path in self.host.root.glob("overlays/*/beside.py"):
            path.write_text("STEP = 5\n")
        (pid,) = self.host.agents()
        agent = psutil.Process(pid)
        for one in [agent] if self.what == "agent" else agent.children(recursive=True):
            one.kill()


@pytest.mark.parametrize("what", ["agent", "slots"])
def test_code_that_is_damaged_on_a_host_is_sent_anew(
    what: str, folder: Path, hosts: tuple[Shelf, Inventory]
) -> None:
    shelf, inventory = hosts
    job = load(f"{folder / 'own.py'}:Own", {"nap_s": 0.5})
    local = run(job, folder / "in", workers=2)
    engine = cluster_of(inventory, inventory.hosts[:1])
    engine._rules = replace(
        engine._rules, heartbeat_s=0.5, silent_s=1.5, lease_s=1.5, reconnect_s=1.0
    )
    spoil = _Spoil(engine, shelf.hosts[0], what)
    got = run(job, folder / "in", engine=engine, options=SINGLE, on_progress=spoil)
    assert spoil.struck
    assert got.digest == local.digest
    assert engine.status is not None
    assert any("its agent is restarted" in news for news in engine.status.news)
    assert {p.read_text() for p in shelf.hosts[0].root.glob("overlays/*/beside.py")} == {
        "STEP = 3\n"
    }
    _left_nothing(inventory)


def test_hosts_that_cannot_dial_come_back_through_ssh_also_when_it_is_cut(
    folder: Path, tunnelled: tuple[Shelf, Inventory]
) -> None:
    shelf, inventory = tunnelled
    job = load(f"{folder / 'own.py'}:Own", {"nap_s": 0.2})
    local = run(load(f"{folder / 'own.py'}:Own"), folder / "in", workers=1)
    engine = cluster_of(inventory, inventory.hosts)
    host = shelf.hosts[0]
    began = host.log.count("tcpip-forward")
    cut = _Cut(engine, host)
    got = run(job, folder / "in", engine=engine, options=SINGLE, on_progress=cut)
    assert got.digest == local.digest
    assert got.receipt["objects"] == local.receipt["objects"]
    assert engine.status is not None
    states = {h.host: h for h in engine.status.hosts}
    assert states["pi1"].done == 24
    assert states["pi2"].state == "failed"
    assert "AllowTcpForwarding" in states["pi2"].note
    ((address, port),) = cut.dials  # of agent and slots: one place for words and for objects
    assert address == "127.0.0.1"
    assert port not in cut.comes  # which is not where the coordinator listens, and it does listen
    assert cut.comes
    assert host.log.count("tcpip-forward") >= began + 2
    _left_nothing(inventory)


def test_a_stranger_on_the_host_fills_the_way_back_and_no_more(
    tunnelled: tuple[Shelf, Inventory], monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = tunnelled[1]
    monkeypatch.setattr(tunnel, "MOST_LINES", 2)
    with (
        socket.create_server(("127.0.0.1", 0)) as here,
        Remote(inventory.hosts[0], inventory) as remote,
        contextlib.ExitStack() as lines,
    ):
        place = "127.0.0.1", tunnel.lead_back(remote, here.getsockname())
        came = []
        for _ in range(2):
            lines.enter_context(socket.create_connection(place))
            came.append(lines.enter_context(here.accept()[0]))
        with socket.create_connection(place, timeout=10) as third:
            assert third.recv(1) == b""
        came[0].close()
        here.settimeout(0.2)
        with pytest.raises(TimeoutError):
            here.accept()  # the third has not come here
        here.settimeout(100)

        def again() -> bool:
            with (
                contextlib.suppress(ConnectionError),  # refused still, what it said unread
                socket.create_connection(place, timeout=10) as fourth,
            ):
                fourth.sendall(b"x")
                return fourth.recv(1) == b"y"
            return False

        def answer() -> None:
            line, _ = here.accept()
            with line:
                line.sendall(line.recv(1).replace(b"x", b"y"))

        threading.Thread(target=answer, daemon=True).start()
        assert soon(again)


def test_the_way_back_through_ssh_is_measured_and_told(
    tunnelled: tuple[Shelf, Inventory],
) -> None:
    inventory = tunnelled[1]
    table = examine(inventory, inventory.hosts, Quiet())
    good, stubborn = table.values()
    assert good.value is not None
    assert (good.value.bytes_per_s or 0) > 0
    assert not stubborn.ok
    assert "AllowTcpForwarding" in stubborn.state
