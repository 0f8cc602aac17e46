"""`cluster stop` during a run, over real SSH: what is begun is finished, within its patience."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from mapreduce.cluster.fleet import agent_control
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.launcher import cluster_of
from mapreduce.job.loader import load
from mapreduce.runs.driver import Options, run
from tests.cluster.shelves import enrolled_shelf
from tests.cluster.stand_in import soon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import mapreduce as mr
    from mapreduce.cluster.fleet.parallel import HostOutcomes
    from mapreduce.cluster.inventory.inventory import Inventory

# It notes what it begins and what it has done. The first object of each host takes long.
JOB = """
import os
import time
from pathlib import Path

import mapreduce as mr

class Noting(mr.Job):
    notes: str = ""
    first_s: float = 1.0

    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        begun = Path(self.notes)
        first = not list(begun.glob(f"begun * {os.getppid()}"))
        (begun / f"begun {r.object.key} {os.getppid()}").open("a").write("x")
        time.sleep(self.first_s if first else 0.3)
        (begun / f"done {r.object.key} {os.getppid()}").open("a").write("x")
        return self.links.fold(r.link, n=1)
"""
OBJECTS = 40


@pytest.fixture(scope="module")
def inventory() -> Iterator[Inventory]:
    with enrolled_shelf(2) as (_, enrolled):
        yield enrolled


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "noting.py").write_text(JOB)
    (tmp_path / "notes").mkdir()
    (tmp_path / "in").mkdir()
    for n in range(OBJECTS):
        (tmp_path / "in" / f"{n:02}.json").write_text(json.dumps({"data": [{"link": n % 7}]}))
    return tmp_path


def _stopped(
    inventory: Inventory, folder: Path, *, first_s: float, patience_s: float
) -> tuple[Any, HostOutcomes[dict[str, Any]], int]:
    """Run over both hosts, and stop the first one's agent while it is at its first object.

    Give the result, what `stop` told, and how many objects were done when it returned.
    """
    job = _job(folder, notes="notes", first_s=first_s)
    told: list[HostOutcomes[dict[str, Any]]] = []
    then: list[int] = []

    def stop() -> None:
        if soon(lambda: len({name.split()[-1] for name in _notes(folder, "begun")}) == 2):
            first = inventory.hosts[:1]
            told.append(agent_control.stop(inventory, first, Quiet(), patience_s=patience_s))
            then.append(sum(_notes(folder, "done").values()))

    stopper = threading.Thread(target=stop)
    stopper.start()
    engine = cluster_of(inventory, inventory.hosts)
    got = run(job, folder / "in", engine=engine, options=Options(split_bytes=1))
    stopper.join()
    return got, told[0], then[0]


def _job(folder: Path, *, notes: str, first_s: float) -> mr.Job:
    parameters = {"notes": str(folder / notes), "first_s": first_s}
    return load(f"{folder / 'noting.py'}:Noting", parameters)


def _notes(folder: Path, what: str) -> Counter[str]:
    """Count what was noted: `KEY AGENT` -> times."""
    found = (folder / "notes").glob(f"{what} *")
    return Counter({path.name.removeprefix(f"{what} "): len(path.read_text()) for path in found})


def test_an_agent_that_is_stopped_finishes_what_it_is_at_and_takes_no_more(
    inventory: Inventory, folder: Path
) -> None:
    got, told, then = _stopped(inventory, folder, first_s=3.0, patience_s=60.0)
    (outcome,) = told.values()
    assert outcome.state.startswith("ended ")
    assert "killed" not in outcome.state
    assert got.receipt["objects"]["ok"] == OBJECTS
    begun = _notes(folder, "begun")
    assert _notes(folder, "done") == begun
    keys = Counter(name.split()[0] for name in begun.elements())
    assert set(keys.values()) == {1}, keys  # nothing was begun in vain, and done again elsewhere
    assert len(keys) == OBJECTS
    assert then < OBJECTS  # it took no more while there was more


def test_an_agent_that_takes_longer_than_the_patience_is_ended(
    inventory: Inventory, folder: Path
) -> None:
    got, told, _ = _stopped(inventory, folder, first_s=20.0, patience_s=1.0)
    (outcome,) = told.values()
    assert "killed" in outcome.state
    assert got.receipt["objects"]["ok"] == OBJECTS
    keys = Counter(name.split()[0] for name in _notes(folder, "begun").elements())
    assert max(keys.values()) == 2  # what it was at is done by the other
    (folder / "others").mkdir()
    plain = run(_job(folder, notes="others", first_s=0.0), folder / "in", workers=2)
    assert got.digest == plain.digest
