"""A real Spark standalone cluster: a master, two workers and one context, on loopback alone.

Started once a session (once an xdist worker) and only if asked for. It dies with the tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
import pytest
from pyspark import SparkConf, SparkContext

from tests.services.seaweed import _die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 2
_READY_S = 120.0
_HOME = Path(pyspark.__file__).parent
_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # such small machines start sooner


@pytest.fixture(scope="session")
def spark_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a master and its workers, and give the master's URL."""
    folder = tmp_path_factory.mktemp("spark")
    with ExitStack() as stack:
        log = folder / "master.log"
        stack.callback(_stop, _started("master.Master", log, "--port", "0"))
        url = _url(log)
        for number in range(WORKERS):
            options = ["--cores", "2", "--memory", "1g", "--work-dir", str(folder / f"w{number}")]
            worker = _started("worker.Worker", folder / f"worker-{number}.log", *options, url)
            stack.callback(_stop, worker)
        yield url


@pytest.fixture(scope="session")
def spark_context(spark_master: str) -> Iterator[SparkContext]:
    """Give a context with an executor on each worker."""
    conf = SparkConf().setMaster(spark_master)
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": _QUICK,
        "spark.executor.extraJavaOptions": _QUICK,
        "spark.cores.max": str(WORKERS),  # one each; the rest is for another program
        "spark.executor.memory": "512m",
        "spark.log.level": "FATAL",
        "spark.task.maxFailures": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    context = SparkContext(conf=conf.setAll(list(settings.items())))
    context.pythonExec = sys.executable
    yield context
    context.stop()


def _started(role: str, log: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [str(_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{role}"]
    with log.open("wb") as file:
        return subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--webui-port", "0", *options],
            env={
                **os.environ,
                "SPARK_HOME": str(_HOME),
                "SPARK_DAEMON_MEMORY": "256m",
                "SPARK_DAEMON_JAVA_OPTS": _QUICK,
            },
            stdout=file,
            stderr=file,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads touch the child before exec
        )


def _url(log: Path) -> str:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        found = re.search(r"Starting Spark master at (spark://\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"the Spark master did not start: {log.read_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(60)
