"""A run over hosts keeps the sums that a run here keeps, byte for byte, and adds up with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mapreduce.runs.sums import SUMS
from tests.cluster.shelves import enrolled_shelf
from tests.cluster.test_command_lines import over, receipt, typed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("shelf")]


def test_runs_here_and_over_hosts_add_up(tmp_path: Path) -> None:
    for n in range(40):
        folder = tmp_path / "in" / ("old" if n % 3 else "new")
        folder.mkdir(parents=True, exist_ok=True)
        rows = (json.dumps({"id": n * k % 50}) for k in range(500))
        (folder / f"{n}.jsonl").write_text("\n".join(rows))
    job = "tests.jobs.counting:PlainRows"
    for name, source in {"whole": tmp_path / "in", "old": tmp_path / "in" / "old"}.items():
        typed("run", job, source, "--out", tmp_path / name)
    with enrolled_shelf(2) as (hosts, _):
        for part in ("old", "new"):
            out = tmp_path / f"{part}-ssh"
            typed("run", job, tmp_path / "in" / part, "--out", out, *over(hosts))
            assert receipt(out)["engine"] == "ssh"
    for name in SUMS:
        there = (tmp_path / "old-ssh" / name).read_bytes()
        assert there == (tmp_path / "old" / name).read_bytes()
    typed("add", job, tmp_path / "old", tmp_path / "new-ssh", "--out", tmp_path / "sum")
    assert receipt(tmp_path / "sum")["digest"] == receipt(tmp_path / "whole")["digest"]
    assert receipt(tmp_path / "sum")["objects"] == receipt(tmp_path / "whole")["objects"]
