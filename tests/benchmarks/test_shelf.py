"""A shelf of network namespaces works, leaves nothing behind, and says why where it cannot be."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from benchmarks import namespaces, shelf
from benchmarks.corpus import Corpus
from mapreduce.runs.driver import run
from roadspeed.speeds import Speeds

if TYPE_CHECKING:
    from pathlib import Path

FIX = {"absVelocity": 31.5, "dbResponse": {"linkID": "7"}}


@pytest.mark.skipif(namespaces.hindrance() is not None, reason=str(namespaces.hindrance()))
def test_a_shelf_of_namespaces_gives_the_local_digest_and_leaves_nothing(tmp_path: Path) -> None:
    inside = tmp_path / "000"
    inside.mkdir()
    for number in range(6):
        (inside / f"{number}.json").write_text(json.dumps({"data": [FIX] * (number + 1)}))
    seen = shelf.measure({"h0": 90.0}, Corpus(tmp_path, 6, 6, 1000))
    assert seen.digest == run(Speeds(), tmp_path, workers=1).digest
    assert sum(seen.tasks.values()) >= 1
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert "mrbench-h0" not in left.stdout
    assert not list(namespaces.CGROUPS.glob("**/mrbench-h0"))


def test_without_root_it_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert namespaces.hindrance() == "skipped: network namespaces and CPU quotas need root"
