"""The engine over real SSH: hosts enrolled, deployed to by the run itself, and left clean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from mapreduce.cluster import agents
from mapreduce.cluster.board import Quiet
from mapreduce.cluster.launch import cluster_of
from mapreduce.job import load
from mapreduce.runs import Options, run
from tests.cluster.shelves import enrolled_shelf

if TYPE_CHECKING:
    from pathlib import Path

JOB = """
import mapreduce as mr

class Own(mr.Job):
    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        return self.links.fold(r.link, n=1)
"""


def test_a_job_of_ones_own_runs_on_hosts_that_knew_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(JOB)
    source = tmp_path / "in"
    source.mkdir()
    for n in range(8):
        body = {"data": [{"link": link % 7} for link in range(n, n + 20)]}
        (source / f"{n}.json").write_text(json.dumps(body))
    job = load(f"{tmp_path / 'own.py'}:Own")
    local = run(job, source, workers=1)
    with enrolled_shelf(2) as (_, enrolled):
        inventory = replace(enrolled, address="127.0.0.1")
        engine = cluster_of(inventory, inventory.hosts)
        got = run(job, source, engine=engine, options=Options(split_bytes=1))
        assert got.digest == local.digest
        assert got.receipt["objects"] == local.receipt["objects"]
        table = agents.status(inventory, inventory.hosts, Quiet())
        assert not table.failed
        runs = [r for told in table.values_by_host.values() for r in told["runs"]]
        assert not [r for r in runs if r["alive"]]
