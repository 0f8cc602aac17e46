"""What stays on a host and what goes: runs, releases, overlays, environments, side inputs."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from mapreduce.cluster.fleet import agent_control
from mapreduce.cluster.fleet.agent_control import start_agent
from mapreduce.cluster.fleet.deploy import Deployed, deploy
from mapreduce.cluster.fleet.disk import clean, disk_use
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.onhost import space
from mapreduce.cluster.ssh.ssh import Remote
from tests.cluster.shelves import enrolled_shelf, small_plan
from tests.cluster.stand_in import gone, soon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mapreduce.cluster.inventory.inventory import Inventory
    from tests.services.sshd import Shelf

AGENT = """
import signal, sys
if sys.stdin.buffer.read() == b"ends":
    print("started", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("started", flush=True)
signal.pause()
"""

STARTS_SOMETHING = """
import pathlib, signal, subprocess, sys
child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
pathlib.Path({!r}).write_text(str(child.pid))
"""

Ready = tuple["Shelf", "Inventory", Deployed]


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ready]:
    with enrolled_shelf(1) as (hosts, inventory):
        table = deploy(
            inventory, inventory.hosts, Quiet(), small_plan(tmp_path, monkeypatch, text=AGENT)
        )
        table.check("deploy")
        yield hosts, inventory, table.values_by_host["pi1"]


def start(ready: Ready, run: str, words: bytes = b"ends") -> None:
    _, inventory, there = ready
    with Remote(inventory.hosts[0], inventory) as remote:
        start_agent(remote, run, words, there, module="smallpkg")


def make(root: Path, kind: str, name: str, age_s: float) -> Path:
    path = root / kind / name
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"x" * 5000)
    now = time.time()
    os.utime(path, (now - age_s, now - age_s))
    return path


def left(root: Path, kind: str) -> set[str]:
    return {p.name for p in (root / kind).iterdir() if not p.name.startswith(".")}


def test_each_start_prunes_what_is_old_and_nothing_that_runs(ready: Ready) -> None:
    hosts, inventory, there = ready
    root = hosts.hosts[0].root
    start(ready, "lives", b"waits")
    os.utime(root / "runs" / "lives" / "pi1", (1, 1))
    for n in range(60):
        make(root, "runs", f"old{n:02}/pi1", 1000 + n)
        make(root, "overlays", f"old{n:02}", 1000 + n)
        make(root, "environments", f"x-old{n:02}", 1000 + n)
    start(ready, "new")
    assert left(root, "runs") == {"lives", "new", *(f"old{n:02}" for n in range(9))}
    assert left(root, "overlays") == {f"old{n:02}" for n in range(6)}
    extras = {f"x-old{n:02}" for n in range(4)}
    assert left(root, "environments") == {there.environment, *extras}
    assert left(root, "releases") == {there.release}
    agent_control.stop(inventory, inventory.hosts, Quiet())


def test_what_lies_among_releases_and_is_none_keeps_no_agent_from_starting(ready: Ready) -> None:
    hosts, _, there = ready
    (hosts.hosts[0].root / "releases" / "notes.txt").write_text("mine")
    start(ready, "runs")
    assert left(hosts.hosts[0].root, "releases") == {there.release, "notes.txt"}


def test_an_agent_of_another_node_counts_while_it_holds_its_lock_and_no_longer(
    tmp_path: Path,
) -> None:
    """The lock that another node's agent holds is played by this process: to the kernel of a file
    server both are clients."""
    folder = tmp_path / "runs" / "r1" / "pi2"
    folder.mkdir(parents=True)
    noted = {"pid": 1, "began": "1", "node": "another", "path": ["overlays/used"]}
    (folder / "agent.pid").write_text(json.dumps(noted))
    for n in range(9):
        make(tmp_path, "overlays", f"new{n}", n)
    used = make(tmp_path, "overlays", "used", 5000)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert space.living(str(tmp_path)) == {"used"}
        space.prune(str(tmp_path), {})
        assert used.exists()
    assert space.living(str(tmp_path)) == set()
    assert "overlays/used" in space.prune(str(tmp_path), {})
    assert not used.exists()


def test_the_lock_is_the_agents_and_ends_with_it(ready: Ready) -> None:
    hosts, inventory, _ = ready
    folder = hosts.hosts[0].root / "runs" / "r1" / "pi1"
    start(ready, "r1", b"waits")
    assert space.held(str(folder))
    agent_control.stop(inventory, inventory.hosts, Quiet())
    assert not space.held(str(folder))


def test_use_is_told_and_cleaning_leaves_what_runs(ready: Ready) -> None:
    hosts, inventory, there = ready
    root = hosts.hosts[0].root
    start(ready, "lives", b"waits")
    make(root, "overlays", "old", 5000)
    use = disk_use(inventory, inventory.hosts, Quiet())["pi1"].value
    assert use is not None
    counts = {name: (kind.count, kind.in_use) for name, kind in use.kinds.items()}
    assert counts["releases"] == counts["environments"] == counts["runs"] == (1, 1)
    assert counts["overlays"] == (1, 0)
    assert use.size_bytes > 5000
    assert use.disk_free_bytes > 0
    cleaned = clean(inventory, inventory.hosts, Quiet())["pi1"].value
    assert cleaned is not None
    assert cleaned.removed == ()
    cleaned = clean(inventory, inventory.hosts, Quiet(), everything=True)["pi1"].value
    assert cleaned is not None
    assert cleaned.removed == ("overlays/old",)
    assert cleaned.freed_bytes >= 5000
    agent_control.stop(inventory, inventory.hosts, Quiet())
    table = clean(inventory, inventory.hosts, Quiet(), everything=True)
    assert "removed" in table["pi1"].state
    assert left(root, "releases") == left(root, "environments") == left(root, "runs") == set()
    assert not (root / "current").exists()
    with Remote(inventory.hosts[0], inventory) as remote:
        assert there.release not in remote.ask("facts", {})["releases"]


def test_cleaning_a_host_with_nothing_of_ours_puts_nothing_there(ready: Ready) -> None:
    hosts, inventory, _ = ready
    agent_control.remove(inventory, inventory.hosts, Quiet()).check("remove")
    for table in (
        disk_use(inventory, inventory.hosts, Quiet()),
        clean(inventory, inventory.hosts, Quiet(), everything=True),
    ):
        table.check("clean")
        assert table["pi1"].value is not None
        assert table["pi1"].value.size_bytes == 0
    assert not hosts.hosts[0].root.exists()


def test_what_a_job_left_running_is_ended_with_its_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = AGENT.replace("import signal, sys", STARTS_SOMETHING.format(str(tmp_path / "pid")))
    with enrolled_shelf(1) as (_, inventory):
        plan = small_plan(tmp_path, monkeypatch, text=agent)
        table = deploy(inventory, inventory.hosts, Quiet(), plan)
        start((_, inventory, table.values_by_host["pi1"]), "r1", b"waits")
        pid = int((tmp_path / "pid").read_text())
        agent_control.stop(inventory, inventory.hosts, Quiet())
        assert soon(lambda: gone(pid))
