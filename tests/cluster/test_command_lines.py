"""Both command lines over real SSH: what a person types, on hosts that knew nothing before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.shelves import enrolled_shelf, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.sshd import Shelf

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("shelf")]
ROOT = Path(__file__).parents[2]
JOB = """
import json
import numpy as np
import mapreduce as mr

class Weighed(mr.Job):
    wanted: mr.SideFile
    limit_mib: int = 0

    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        import smalldep
        import resource
        most = resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20
        if self.limit_mib and most != self.limit_mib:
            raise ValueError(f"{most} MiB")
        here = np.isin(r.link, json.loads(self.wanted.path.read_text()))
        return self.links.fold(r.link[here], n=smalldep.WEIGHT)
"""


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    with enrolled_shelf(2) as (hosts, _):
        yield hosts


def typed(
    *words: object, program: str = "mapreduce.cli", code: int = 0, **more: str
) -> subprocess.CompletedProcess[str]:
    """Type a command; it ends as expected."""
    done = subprocess.run(
        [sys.executable, "-m", program, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **more},
        timeout=200,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def over(shelf: Shelf) -> tuple[str, ...]:
    return ("--engine", "ssh", "--inventory", str(shelf.folder / "hosts.toml"))


def receipt(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((out / "receipt.json").read_text())
    return told


def test_a_job_travels_with_its_file_its_packages_and_its_side_input(
    shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(JOB)
    wanted = tmp_path / "wanted.json"
    wanted.write_text("[1, 3]")
    source = tmp_path / "in"
    source.mkdir()
    for n in range(6):
        (source / f"{n}.json").write_text(json.dumps({"data": [{"link": n}, {"link": 1}]}))
    code = {"smalldep.py": "WEIGHT = 7\n"}
    package = wheel(tmp_path, "smalldep", "1.0", code)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "smalldep.py").write_text(code["smalldep.py"])
    words = ("run", f"{tmp_path}/own.py:Weighed", source, "--set", f"wanted={wanted}")
    typed(*words, "--out", tmp_path / "local", PYTHONPATH=str(tmp_path / "here"))
    own = ("--with", package, "--worker-memory", 700, "--set", "limit_mib=700")
    at: dict[str, int] = {}
    for again in range(2):
        out = tmp_path / f"ssh{again}"
        typed(*words, "--out", out, *over(shelf), *own)
        got, known = receipt(out), receipt(tmp_path / "local")
        assert got["engine"] == "ssh"
        assert got["digest"] == known["digest"]
        assert got["objects"] == known["objects"]
        assert got["parameters"]["wanted"] == known["parameters"]["wanted"]
        sha256 = got["parameters"]["wanted"].removeprefix("sha256:")
        for host in shelf.hosts:
            (there,) = (host.root / "inputs").iterdir()
            assert there.name == sha256
            assert there.read_text() == "[1, 3]"
            assert there.stat().st_mode & 0o777 == 0o400
            came = there.stat().st_ino
            assert came == at.setdefault(host.name, came), "it was sent again"
    wanted.write_text("[1, 4]")
    typed(*words, "--out", tmp_path / "ssh2", *over(shelf), *own)
    assert receipt(tmp_path / "ssh2")["digest"] != known["digest"]
    assert {len([*(host.root / "inputs").iterdir()]) for host in shelf.hosts} == {2}
    compiled = shelf.hosts[0].root / "current" / "mapreduce" / "cluster" / "__pycache__"
    assert [*compiled.glob("agent.*.pyc")]


def test_packages_are_refused_where_no_host_is(tmp_path: Path) -> None:
    words = ("run", "tests.jobs.counting:Links", tmp_path, "--out", tmp_path / "out")
    done = typed(*words, "--with", "shapely==2.1", code=2)
    assert "--with is for --engine ssh, not local: install it here" in " ".join(done.stderr.split())
    assert "pip install shapely==2.1" in " ".join(done.stderr.split())
    done = typed(*words, "--engine", "ssh", "--with", "./none.whl", code=2)
    assert not (tmp_path / "out").exists()


def test_speeds_are_the_same_over_the_shelf(shelf: Shelf, tmp_path: Path) -> None:
    typed("town", "--trips", 12, "--out", tmp_path / "town", program="roadspeed.cli")
    roads = ("--roads", tmp_path / "town" / "roads.geojson", "--no-map")
    words = ("run", tmp_path / "town" / "trips", *roads, "--out")
    typed(*words, tmp_path / "local", program="roadspeed.cli")
    typed(*words, tmp_path / "ssh", *over(shelf), program="roadspeed.cli")
    local, there = receipt(tmp_path / "local"), receipt(tmp_path / "ssh")
    assert there["digest"] == local["digest"]
    names = [file for file in local["files"] if file != "receipt.json"]
    assert {n: there["files"][n] for n in names} == {n: local["files"][n] for n in names}
