"""Runs over hosts that go wrong, by seed, and then a look at what is left: a program to type.

`python -m benchmarks.soak 100` plays so many schedules on real sshd hosts of this machine:
agents and slots killed, stopped or asked to end, at the very end of a run too; SSH cut; a
coordinator killed; two coordinators on the same hosts; two hosts that share one address and home.
After each it looks for processes of the hosts, for ports they listen on, for files of theirs in
shared memory, for keys, and compares the digest; after the last and `cluster remove`, for anything
at all. It fails where something is left. `--first N` begins with another seed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from mapreduce.cluster.fleet import agent_control
from mapreduce.cluster.fleet.deploy import deploy
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.launcher import cluster_of
from mapreduce.cluster.inventory.inventory import load
from mapreduce.job.loader import load as load_job
from mapreduce.runs.driver import Options, run
from tests.cluster.shelves import enrolled
from tests.services.sshd import SshHost, keypair, shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.cluster.inventory.inventory import Inventory
    from mapreduce.job.job import Job
    from tests.services.sshd import Shelf

JOB: Final = """
import time

import mapreduce as mr

class Own(mr.Job):
    nap_s: float = 0.05

    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        time.sleep(self.nap_s)
        return self.links.fold(r.link, n=1)
"""
OBJECTS: Final = 40
HOSTS: Final = 3
RUN_S: Final = 240.0
LEFT_S: Final = 30.0  # an agent whose coordinator was killed gives up after 15 s
MEMORY: Final = Path("/dev/shm")


@dataclass
class Ground:
    """Hosts, a job and its input, and the digest that is right."""

    hosts: Shelf
    folder: Path
    digest: str = ""
    done: list[str] = field(default_factory=list)

    @property
    def inventory(self) -> Path:
        """Give where hosts.toml is."""
        return self.hosts.folder / "hosts.toml"

    def begin(self, out: str) -> subprocess.Popen[bytes]:
        """Begin a run over the hosts, in a process of its own."""
        asked = [str(self.inventory), str(self.folder), str(self.folder / f"{out}.digest")]
        with (self.folder / f"{out}.log").open("wb") as log:
            command = [sys.executable, "-m", "benchmarks.soak", "--one", *asked]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self, out: str) -> str:
        """Give what a run said."""
        return (self.folder / f"{out}.log").read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Give the processes of the hosts, but their servers: by the home they were given."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                home = process.environ().get("HOME", "")
                if home.startswith(str(self.hosts.folder)) and process.status() != "zombie":
                    found.append(process)
        return found

    def agents(self) -> list[int]:
        """Give the agents that run."""
        return sorted({pid for host in self.hosts.hosts for pid in host.agents()})

    def slots(self) -> list[int]:
        """Give their slots."""
        found = []
        for pid in self.agents():
            with contextlib.suppress(psutil.Error):
                found += [child.pid for child in psutil.Process(pid).children()]
        return found


def kill_agent(ground: Ground, chance: random.Random) -> None:
    """As the kernel does for want of memory."""
    _signal(ground.agents(), chance, signal.SIGKILL)


def kill_slot(ground: Ground, chance: random.Random) -> None:
    """As above."""
    _signal(ground.slots(), chance, signal.SIGKILL)


def stop_agent_a_while(ground: Ground, chance: random.Random) -> None:
    """As a machine that swaps."""
    pid = _signal(ground.agents(), chance, signal.SIGSTOP)
    time.sleep(chance.uniform(0.2, 2.0))
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def ask_agent_to_end(ground: Ground, chance: random.Random) -> None:
    """As `cluster stop` does."""
    _signal(ground.agents(), chance, signal.SIGTERM)


def cut_ssh(ground: Ground, chance: random.Random) -> None:
    """End all SSH sessions of a host."""
    chance.choice(ground.hosts.hosts).hang_up()


DEEDS: Final[tuple[Callable[[Ground, random.Random], None], ...]] = (
    kill_agent,
    kill_slot,
    stop_agent_a_while,
    ask_agent_to_end,
    cut_ssh,
)


def _signal(pids: list[int], chance: random.Random, number: int) -> int | None:
    if not pids:
        return None
    pid = chance.choice(pids)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    return pid


def play(ground: Ground, seed: int) -> list[str]:
    """Play one schedule; give what is wrong after it."""
    chance = random.Random(seed)
    deeds = [chance.choice(DEEDS) for _ in range(chance.randint(1, 4))]
    runs = {f"out{seed}-{n}": None for n in range(2 if chance.random() < 0.25 else 1)}
    killed = chance.random() < 0.2
    at_the_end = chance.random() < 0.3
    plot = [deed.__name__ for deed in deeds] + ["kill_coordinator"] * killed
    print(f"seed {seed}: {len(runs)} runs, {', '.join(plot)}", end="", flush=True)
    begun = {out: ground.begin(out) for out in runs}
    _until(lambda: bool(ground.slots()) or all(p.poll() is not None for p in begun.values()))
    if at_the_end:
        time.sleep(chance.uniform(0.5, 2.0))
    for deed in deeds:
        time.sleep(chance.uniform(0.0, 0.6))
        deed(ground, chance)
    if killed:
        next(iter(begun.values())).kill()
    wrong = []
    for n, (out, process) in enumerate(begun.items()):
        code = process.wait(RUN_S)
        if killed and n == 0:
            continue
        if code not in (0, 1):
            wrong.append(f"{out} ended with {code}: {ground.said(out)[-600:]}")
        if code == 0:
            digest = (ground.folder / f"{out}.digest").read_text()
            wrong += [] if digest == ground.digest else [f"{out}: digest {digest}"]
        ground.done.append(f"{out}: {code}")
    began = time.monotonic()
    while (left := looked(ground)) and time.monotonic() - began < LEFT_S:
        time.sleep(0.2)
    print(f" -> {'; '.join(wrong + left) or 'nothing left'} ({time.monotonic() - began:.0f} s)")
    return wrong + left


def looked(ground: Ground) -> list[str]:
    """Tell what of the hosts is there that should not be, while no run goes on."""
    found = [f"process {p.pid} {p.name()}" for p in ground.processes()]
    for process in ground.processes():
        with contextlib.suppress(psutil.Error):
            listening = process.net_connections("tcp")
            found += [f"port {c.laddr.port}" for c in listening if c.status == psutil.CONN_LISTEN]
    if MEMORY.is_dir():
        found += [f"file {path}" for path in MEMORY.glob("mapreduce-*")]
    homes = {host.home for host in ground.hosts.hosts}
    keys = [p for home in homes for p in home.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    found += [f"key in {p}" for p in keys if _has_key(p)]
    return found


def _has_key(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # an agent that ends puts its own things away
        small = path.stat().st_size < 1 << 16
        return small and path.suffix not in {".py", ".pyi"} and b"PRIVATE KEY" in path.read_bytes()
    return False


def removed(ground: Ground, inventory: Inventory) -> list[str]:
    """Remove all from the hosts; tell what is left then."""
    agent_control.remove(inventory, inventory.hosts, Quiet()).check("remove")
    homes = {host.home for host in ground.hosts.hosts}
    left = [str(path) for home in homes for path in home.iterdir()]
    return left + looked(ground)


def one(inventory_path: Path, folder: Path, out: Path) -> None:
    """Be a coordinator: run the job over the hosts, and write the digest."""
    inventory = load(inventory_path)
    engine = cluster_of(inventory, inventory.hosts)
    got = run(_job(folder), folder / "in", engine=engine, options=Options(split_bytes=1))
    out.write_text(got.digest)


def _twin(hosts: Shelf) -> SshHost:
    """Start one more host at the first one's address and in its home, as two containers may be."""
    first, folder = hosts.hosts[0], hosts.folder / "twin"
    (folder / "bin").mkdir(parents=True)
    shutil.copy(first.folder / "authorized_keys", folder / "authorized_keys")
    keypair(folder / "host_key")
    twin = SshHost("twin", first.address, folder, first.home, first.client_key)
    twin.start()
    return twin


def _job(folder: Path) -> Job:
    return load_job(f"{folder / 'own.py'}:Own")


def _until(so: Callable[[], bool], most_s: float = 60.0) -> None:
    until = time.monotonic() + most_s
    while not so() and time.monotonic() < until:
        time.sleep(0.05)


def main() -> None:
    """Play them all, look, and remove."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schedules", type=int, nargs="?", default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--one", nargs=3, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one)
        return
    with shelf(HOSTS) as hosts, tempfile.TemporaryDirectory(prefix="soak-") as name:
        ground = Ground(hosts, Path(name))
        (ground.folder / "own.py").write_text(JOB)
        (ground.folder / "in").mkdir()
        for n in range(OBJECTS):
            body = {"data": [{"link": link % 7} for link in range(n, n + 20)]}
            (ground.folder / "in" / f"{n:02}.json").write_text(json.dumps(body))
        ground.digest = run(_job(ground.folder), ground.folder / "in", workers=1).digest
        hosts.hosts.append(_twin(hosts))
        inventory = enrolled(hosts)
        deploy(inventory, inventory.hosts, Quiet()).check("deploy")
        wrong = [f for n in range(options.schedules) for f in play(ground, options.first + n)]
        wrong += removed(ground, inventory)
        done = [line for line in ground.done if line.endswith(": 0")]
        print(f"{options.schedules} schedules, {len(ground.done)} runs ended, {len(done)} with 0")
        print("\n".join(wrong) or "nothing is left after `remove`")
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
