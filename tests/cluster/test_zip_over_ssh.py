"""Members of an archive in a folder of this machine, on hosts: served by the coordinator."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.cluster.shelves import enrolled_shelf
from tests.cluster.test_command_lines import over, receipt, typed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("shelf")]


def test_members_come_to_hosts_one_by_one(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    with zipfile.ZipFile(source / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(40):
            archive.writestr(f"{n}.jsonl", '{"id": 1}\n{"id": 2}\n' * (n * 500 + 1))
    words = ("run", "tests.jobs.counting:PlainRows", source)
    typed(*words, "--out", tmp_path / "here")
    with enrolled_shelf(2) as (hosts, _):
        typed(*words, "--out", tmp_path / "ssh", *over(hosts))
    here, there = receipt(tmp_path / "here"), receipt(tmp_path / "ssh")
    assert there["engine"] == "ssh"
    assert there["digest"] == here["digest"]
    assert there["objects"]["ok"] == here["objects"]["ok"] == 40
