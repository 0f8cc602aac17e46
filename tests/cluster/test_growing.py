"""A run over real SSH whose hosts change: one joins, all are restarted, and nothing is lost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from mapreduce.cluster.coordinator import control_socket
from mapreduce.engines.registry import Where, engine_named
from mapreduce.job.loader import load
from mapreduce.runs.driver import Options, run
from tests.cluster.shelves import enrolled_shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mapreduce.cluster.engine import Cluster
    from mapreduce.cluster.inventory.inventory import Inventory
    from mapreduce.runs.progress import Progress
    from tests.services.sshd import Shelf

JOB = """
import pathlib
import time

import mapreduce as mr

class Own(mr.Job):
    pause: float = 0.4
    until: str = ""
    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        if not (self.until and pathlib.Path(self.until).exists()):
            time.sleep(self.pause)
        return self.links.fold(r.link, n=1)
"""
SINGLE = Options(split_bytes=1)
OBJECTS = 60


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Shelf, Inventory]]:
    with enrolled_shelf(2) as (shelf, enrolled):
        yield shelf, enrolled


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(JOB)
    (tmp_path / "in").mkdir()
    for n in range(OBJECTS):
        (tmp_path / "in" / f"{n:02}.json").write_text(json.dumps({"data": [{"link": n % 7}]}))
    return tmp_path


@dataclass
class After:
    """Does something once a few tasks are committed."""

    engine: Cluster
    act: Callable[[], object]
    over: Callable[[set[str]], object] = lambda _: None
    done: bool = False
    seen: set[str] = field(default_factory=set)

    def __call__(self, _: Progress) -> None:
        status = self.engine.status
        if status is not None:
            self.seen |= {*status.news}
            self.over(self.seen)
        if not self.done and status is not None and status.committed >= 2:
            self.done = True
            self.act()


def test_a_host_that_is_added_to_the_inventory_joins_a_run_at_work(
    hosts: tuple[Shelf, Inventory], folder: Path
) -> None:
    _, inventory = hosts
    whole = inventory.path.read_text()
    head, first, _ = whole.split("[[hosts]]")
    path = inventory.path.with_name("growing.toml")
    path.write_text(f"{head}[[hosts]]{first}")
    engine = engine_named("ssh", None, Where(inventory=str(path)))
    job = load(f"{folder / 'own.py'}:Own")

    def add() -> None:
        path.write_text("[[hosts\n")  # while it is being saved
        path.write_text(whole)

    grows = After(engine, add)  # type: ignore[arg-type] # the engine over SSH
    got = run(job, folder / "in", engine=engine, options=SINGLE, on_progress=grows)
    assert got.digest == run(job, folder / "in", workers=2).digest
    shares = {share["host"]: share for share in got.receipt["work"]["hosts"]}
    assert shares.keys() == {"pi1", "pi2"}
    assert shares["pi2"]["tasks"] > 0
    assert sum(share["tasks"] for share in shares.values()) == OBJECTS
    assert "pi2 is new in the inventory, and joins the run" in grows.seen


def test_a_host_that_cannot_join_is_told_and_the_run_goes_on(
    hosts: tuple[Shelf, Inventory], folder: Path
) -> None:
    _, inventory = hosts
    whole = inventory.path.read_text()
    head, first, second = whole.split("[[hosts]]")
    path = inventory.path.with_name("growing.toml")
    path.write_text(f"{head}[[hosts]]{first}")
    engine = engine_named("ssh", None, Where(inventory=str(path)))
    stranger = second.replace("pi2", "pi9").replace("127.0.0.3", "127.0.0.9")
    grows = After(engine, lambda: path.write_text(f"{head}[[hosts]]{first}[[hosts]]{stranger}"))  # type: ignore[arg-type]
    job = load(f"{folder / 'own.py'}:Own")
    got = run(job, folder / "in", engine=engine, options=SINGLE, on_progress=grows)
    assert got.receipt["objects"]["ok"] == OBJECTS
    assert [news for news in grows.seen if news.startswith("pi9 takes no part")]


def restarted(seen: set[str]) -> set[str]:
    asked = "was asked to end; its agent is restarted"
    return {news.partition(" ")[0] for news in seen if asked in news}


def test_agents_that_are_restarted_one_by_one_lose_nothing(
    hosts: tuple[Shelf, Inventory], folder: Path
) -> None:
    shelf, inventory = hosts
    gate = folder / "both were restarted"
    slow = {"pause": 4.0, "until": str(gate)}  # the second host's turn comes, however busy we are
    job, out = load(f"{folder / 'own.py'}:Own", slow), folder / "out"
    engine = engine_named("ssh", None, Where(inventory=str(inventory.path), folder=out))
    before: list[int] = []

    def restart() -> None:
        before.extend(pid for host in shelf.hosts for pid in host.agents())
        assert control_socket.ask(out, "restart") == {"restarting": True}

    def over(seen: set[str]) -> None:
        if len(restarted(seen)) > 1:
            gate.touch()

    restarts = After(engine, restart, over)  # type: ignore[arg-type]
    got = run(job, folder / "in", engine=engine, options=SINGLE, folder=out, on_progress=restarts)
    quick = load(f"{folder / 'own.py'}:Own", {"pause": 0.0})
    assert got.digest == run(quick, folder / "in", workers=2).digest
    assert restarted(restarts.seen) == {"pi1", "pi2"}
    shares = got.receipt["work"]["hosts"]
    assert sum(share["tasks"] for share in shares) == OBJECTS  # nothing twice
    assert not any(share["lost"] for share in shares)
    assert not [pid for host in shelf.hosts for pid in host.agents()]
