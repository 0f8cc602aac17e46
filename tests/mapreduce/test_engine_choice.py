"""Engines by name: from the command line and the library, and what is said where one is missing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec

import mapreduce as mr
from mapreduce.engines import foreign_bundle, foreign_task
from mapreduce.engines.dask import Dask
from mapreduce.engines.foreign_bundle import shipment
from mapreduce.engines.foreign_task import Order, Work
from mapreduce.engines.registry import Where, engine_named
from mapreduce.engines.spark import Spark
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.job.name import name_of
from mapreduce.limits import Limits
from mapreduce.objects.memory import Memory
from mapreduce.runs.driver import run
from tests.jobs.deadly import Deadly
from tests.services.dask_cluster import dask_cluster

if TYPE_CHECKING:
    from pyspark import SparkContext

    from mapreduce.engine import Engine

pytestmark = pytest.mark.timeout(240)  # clusters start within it
ROOT = Path(__file__).parents[2]
ONE = Memory({"a": b'{"data": [{"link": 1}]}'})


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("dask", "distributed", "dask"), ("spark", "pyspark", "spark")]
)
def test_a_missing_package_is_named_with_what_installs_it(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"needs the package '{package}'.*roadspeed\[{extra}\]"):
        run(Deadly(), ONE, engine=name)


def test_a_missing_java_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UsageError, match=r"needs Java 17.*apt-get install default-jre-headless"):
        run(Deadly(), ONE, engine=Spark())
    monkeypatch.setenv("JAVA_HOME", "/not/there")
    with pytest.raises(UsageError, match=r"JAVA_HOME \(/not/there\) has no bin/java"):
        run(Deadly(), ONE, engine=Spark())


@pytest.mark.parametrize(
    ("name", "where", "said"),
    [
        ("dask", Where(scheduler="tcp://127.0.0.1:9"), "no Dask scheduler responds at tcp://127"),
        ("dask", Where(scheduler="warp://x"), "no Dask scheduler responds at warp://x"),
        ("dask", Where(scheduler="tls://127.0.0.1:9"), "--tls-ca, --tls-cert and --tls-key"),
        ("dask", Where(scheduler="tls://a", tls_ca="none.pem"), "no file none.pem"),
        ("spark", Where(master="spark://127.0.0.1:9"), "no Spark master answers at spark://127"),
        ("spark", Where(master="spark://nowhere"), "Expected --master spark://host:7077"),
        ("spark", Where(spark_conf=("memory",)), "--spark-conf takes name=value, got 'memory'"),
        ("spark", Where(spark_conf=("spark.authenticate.secret=s3cr3t",)), "SPARK_CONF_DIR"),
        ("local", Where(master="local"), "--master is for --engine spark, not local"),
        ("spark", Where(scheduler="tcp://a"), "--scheduler is for --engine dask, not spark"),
        ("dask", Where(worker_memory=9), "dask worker --memory-limit"),
    ],
)
def test_what_cannot_be_meant_or_reached_is_said_at_once(
    name: str, where: Where, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapreduce.engines.dask.CONNECT_S", 1.0)
    with pytest.raises(UsageError) as caught:
        run(Deadly(), ONE, engine=engine_named(name, None, where))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "where"),
    [("dask", Where(scheduler="tcp://a:1")), ("spark", Where(master="spark://a:1"))],
)
def test_workers_are_not_started_where_they_are_already(name: str, where: Where) -> None:
    with pytest.raises(UsageError, match="an existing cluster has its own"):
        engine_named(name, 3, where)
    with pytest.raises(UsageError, match="--workers is at least 1"):
        engine_named(name, 0)


def _bare_python(folder: Path, *packages: Any) -> str:
    """Make an interpreter that finds these packages and Spark's own, and no others."""
    found = folder / "packages"
    found.mkdir()
    for package in packages:
        home = Path(package.__file__).parent
        for part in (home, home.parent / f"{home.name}.libs"):
            if part.exists():
                (found / part.name).symlink_to(part)
    python = folder / "python"
    path = f'PYTHONPATH="$PYTHONPATH:{found}"'
    python.write_text(f'#!/bin/sh\n{path} exec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    return str(python)


@pytest.mark.xdist_group("spark")
def test_executors_need_three_packages_and_say_which_is_missing(
    spark_context: SparkContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Engine = Spark(context=spark_context)
    (tmp_path / "two").mkdir()
    monkeypatch.setattr(spark_context, "pythonExec", _bare_python(tmp_path / "two", np, urllib3))
    with pytest.raises(MapReduceError, match=r"package 'msgspec'.*pip install numpy msgspec"):
        run(Deadly(), ONE, engine=engine)
    monkeypatch.setattr(spark_context, "pythonExec", _bare_python(tmp_path, np, urllib3, msgspec))
    assert run(Deadly(), ONE, engine=engine).receipt["objects"]["ok"] == 1


SPARK = pytest.mark.xdist_group("spark")


def _typed(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.fixture
def trips(tmp_path: Path) -> Path:
    """Write three trips of two fixes."""
    folder = tmp_path / "trips"
    folder.mkdir()
    fix = {"dbResponse": {"linkID": "5"}, "absVelocity": 40.0, "tangAccel": -4.0}
    for name in "abc":
        (folder / f"{name}.json").write_text(json.dumps({"data": [fix, fix]}))
    return folder


def test_roadspeed_runs_on_the_scheduler_that_is_typed(
    dask_address: str, trips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    place = ("--engine", "dask", "--scheduler", dask_address)
    done = _typed("roadspeed.cli", "run", trips, "--out", out, "--no-map", *place)
    assert done.returncode == 0, done.stderr
    receipt = json.loads((out / "receipt.json").read_text())
    assert (receipt["engine"], receipt["records"]["kept"]) == ("dask", 6)


@SPARK
def test_a_job_in_a_file_runs_on_the_master_that_is_typed(
    spark_master: str, trips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    place = ("--engine", "spark", "--master", spark_master, "--spark-conf", "spark.cores.max=1")
    memory = ("--spark-conf", "spark.executor.memory=480m")
    done = _typed(
        "mapreduce.cli", "run", "examples/braking.py:HarshBraking", trips, "--out", out,
        *place, *memory,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    receipt = json.loads((out / "receipt.json").read_text())
    assert (receipt["engine"], receipt["records"]["kept"]) == ("spark", 6)
    assert (out / "braking.csv").read_text() == "link,fixes,share\n5,6,1.0\n"
    assert "ERROR" not in done.stderr


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[str, str]:
    """Make a certificate that is its own authority, and its key; say where they are."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cluster")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(form.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    )
    return str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")


def test_a_dask_cluster_behind_tls_takes_those_with_a_certificate_alone(
    sealed: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = sealed
    options = ["--protocol", "tls", "--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
    (tmp_path / "cluster").mkdir()
    with dask_cluster(tmp_path / "cluster", 1, options) as address:
        assert address.startswith("tls://127.0.0.1:")
        got = run(Deadly(), ONE, engine=Dask(address, tls_ca=cert, tls_cert=cert, tls_key=key))
        assert got.receipt["objects"]["ok"] == 1
        monkeypatch.setattr("mapreduce.engines.dask.CONNECT_S", 1.0)
        with pytest.raises(UsageError, match="no Dask scheduler responds at tls://"):
            run(Deadly(), ONE, engine=Dask(address))


def test_a_worker_of_another_release_does_nothing() -> None:
    goods = shipment(name_of(Deadly()))
    order = Order(goods.archive, "another", goods.job, Limits(), Deadly().schemas())
    answer = foreign_task.run(foreign_task.encode(order), foreign_task.encode(Work(0, (), ())))
    (fault,) = foreign_task.decode_answer(answer).faults
    assert fault.kind == "job"
    assert f"runs release {goods.release} of this program, the coordinator another" in fault.message


def test_what_is_sent_is_named_by_its_content(tmp_path: Path) -> None:
    first, second = shipment(name_of(Deadly())), shipment(name_of(Deadly(how="exit")))
    assert (first.archive, first.content) == (second.archive, second.content)
    assert first.release == foreign_bundle.release()
    path = tmp_path / "mine.py"
    path.write_text(
        "import mapreduce as mr\nclass Mine(mr.Job):\n    t = mr.Table(key='k', n=mr.Sum)\n"
    )
    mine = shipment(name_of(mr.load(f"{path}:Mine")))
    with zipfile.ZipFile(io.BytesIO(mine.content)) as archive:
        names = archive.namelist()
    assert mine.release == first.release
    assert mine.archive != first.archive
    assert {n.partition("/")[0] for n in names} == {"mapreduce", mine.job.reference.split(".")[0]}
    assert mine.job.reference.endswith(".mine:Mine")


@pytest.mark.parametrize("name", ["dask", pytest.param("spark", marks=SPARK)])
def test_retry_runs_where_the_first_run_did(
    name: str, trips: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place: tuple[str, ...] = ("--engine", "dask", "--scheduler")
    if name == "spark":
        place = ("--engine", "spark", "--spark-conf", "spark.cores.max=1",
                 "--spark-conf", "spark.executor.memory=480m", "--master")  # fmt: skip
    at = request.getfixturevalue("dask_address" if name == "dask" else "spark_master")
    good, out = (trips / "b.json").read_bytes(), tmp_path / "out"
    (trips / "b.json").write_bytes(b"<html>")
    words = ("mapreduce.cli", "run", "examples/braking.py:HarshBraking", trips, "--out")
    done = _typed(*words, out, *place, at)
    assert done.returncode == 3, done.stderr
    (trips / "b.json").write_bytes(good)
    done = _typed("mapreduce.cli", "retry", out)
    assert done.returncode == 0, done.stderr
    receipt = json.loads((out / "receipt.json").read_text())
    assert (receipt["engine"], receipt["records"]["kept"]) == (name, 6)
    assert (receipt["retried"]["objects"], receipt["retried"]["ok"]) == (1, 1)
    assert _typed(*words, tmp_path / "fresh").returncode == 0
    fresh = json.loads((tmp_path / "fresh" / "receipt.json").read_text())
    assert receipt["digest"] == fresh["digest"]
