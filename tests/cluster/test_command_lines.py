"""Both command lines over real SSH: what a person types, on hosts that knew nothing before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.shelves import enrolled_shelf, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
            (there,) = (p for p in (host.root / "inputs").iterdir() if p.name[0] != ".")
            assert there.name == sha256
            assert there.read_text() == "[1, 3]"
            assert there.stat().st_mode & 0o777 == 0o400
            came = there.stat().st_ino
            assert came == at.setdefault(host.name, came), "it was sent again"
    compiled = shelf.hosts[0].root / "current" / "mapreduce" / "cluster" / "agent" / "__pycache__"
    assert [*compiled.glob("agent.*.pyc")]


def test_retry_runs_on_the_hosts_that_the_first_run_had(shelf: Shelf, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for n in range(6):
        (source / f"{n}.json").write_text(json.dumps({"data": [{"link": n, "v": 1}]}))
    good = (source / "2.json").read_text()
    (source / "2.json").write_text("<html>")
    words = ("run", "tests.jobs.counting:Links", source, "--out")
    typed(*words, out, *over(shelf), code=3)
    (source / "2.json").write_text(good)
    typed("retry", out)
    typed(*words, tmp_path / "fresh")
    got, fresh = receipt(out), receipt(tmp_path / "fresh")
    assert (got["engine"], got["retried"]["objects"], got["retried"]["ok"]) == ("ssh", 1, 1)
    assert got["digest"] == fresh["digest"]
    assert got["objects"] == fresh["objects"]


def test_packages_are_refused_where_no_host_is(tmp_path: Path) -> None:
    words = ("run", "tests.jobs.counting:Links", tmp_path, "--out", tmp_path / "out")
    done = typed(*words, "--with", "shapely==2.1", code=2)
    assert "--with is for --engine ssh, not local: install it here" in " ".join(done.stderr.split())
    assert "pip install shapely==2.1" in " ".join(done.stderr.split())
    done = typed(*words, "--engine", "ssh", "--with", "./none.whl", code=2)
    assert not (tmp_path / "out").exists()


def test_the_demo_and_fab_give_the_sums_of_one_machine(shelf: Shelf, tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    inventory = ("--inventory", shelf.folder / "hosts.toml")
    done = typed("cluster", "demo", "--out", demo, "--trips", 8, *inventory)
    known = receipt(demo / "speeds")
    assert (
        f"the sums equal those computed on this machine alone: digest {known['digest']}"
        in done.stdout
    )
    assert known["engine"] == "ssh"
    assert (demo / "speeds" / "map.png").exists()
    out = tmp_path / "fab"
    words = ("--source", demo / "town" / "trips", "--roads", demo / "town" / "roads.geojson")
    done = typed("run", *words, "--out", out, *inventory, "--detach", program="fabric")
    assert f"mapreduce cluster stop --out {out}" in done.stdout
    wait_for((out / "receipt.json").exists, out / "run.log")
    assert receipt(out)["engine"] == "ssh"
    assert receipt(out)["digest"] == known["digest"]
    names = ["speeds.csv", "quarantine.csv"]
    assert [receipt(out)["files"][n] for n in names] == [known["files"][n] for n in names]


def wait_for(happened: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + 150
    while not happened():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    words = ("cluster", "run", tmp_path, "--out", tmp_path / "out")
    done = typed(*words, "--job", "a.b:C", "--roads", "roads.gpkg", code=2)
    assert "--roads is for the application's own job" in done.stderr
    done = typed(*words, "--set", "limit=1", code=2)
    assert "--set needs --job" in done.stderr
    done = typed(*words, "--no-map", "--nonsense", code=2)
    assert "No such option: --nonsense" in done.stderr
