"""The same job on Spark: in processes of this machine, or on any master's executors.

This starts a driver, sends executors our sources and the job's, and lets `spark_batches` do the
rest. Spark schedules, tries again and reduces in a tree; objects are read by our own reader, so no
Hadoop jars are needed. Nothing of ours is pickled but the names of functions.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mapreduce.engines.foreign_bundle import Shipment, shipment
from mapreduce.engines.foreign_driver import PendingWork, checked, explained
from mapreduce.engines.local import checked_workers
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from pyspark import SparkConf, SparkContext

    from mapreduce.engine import Assignment, Event
    from mapreduce.plan import Split

STANDALONE: Final = "spark://"
CONNECT_S: Final = 5.0
JAVA_OPTIONS: Final = "spark.driver.extraJavaOptions"
NO_LOG: Final = """
appender.nowhere.type = Null
appender.nowhere.name = nowhere
rootLogger.level = off
rootLogger.appenderRef.nowhere.ref = nowhere
"""
LOOPBACK: Final = "127.0.0.1"
CONF: Final = {
    "spark.app.name": "mapreduce",
    # PySpark's own, in each executor, of a pandas that is not used here.
    "spark.executorEnv.PYTHONWARNINGS": "ignore:PySpark does not yet:FutureWarning",
    "spark.log.level": "FATAL",  # what matters is in the errors raised here
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


class Spark:
    """Runs attempts on Spark.

    Parameters
    ----------
    master
        `local[*]`, `local[4]`, `spark://host:7077`, `yarn`, `k8s://…`.
    workers
        Processes of a local master; None for what `master` says.
    conf
        Spark's own settings, such as `spark.executor.memory`; they win over ours.
    python
        The executors' interpreter, with numpy, msgspec and urllib3. By default what
        `PYSPARK_PYTHON` names; else this one on this machine, `python3` on others.
    context
        A `SparkContext` to use instead; it is left running.
    """

    name = "spark"

    def __init__(
        self,
        master: str | None = None,
        workers: int | None = None,
        *,
        conf: Mapping[str, str] | None = None,
        python: str | None = None,
        context: SparkContext | None = None,
    ) -> None:
        checked("pyspark", self.name, _import)
        if workers is not None and (workers < 1 or master is not None or context is not None):
            raise UsageError(
                "--workers is at least 1 and only valid without --master: it means"
                f" local[{workers}]; an existing cluster has its own executors"
            )
        cores = "*" if workers is None else checked_workers(workers)
        self.master = master or f"local[{cores}]"
        self._conf = dict(conf or {})
        self._python = python or os.environ.get("PYSPARK_PYTHON")
        self._context = context

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        """Run every split once, giving outcomes and advances as they come.

        Raises
        ------
        UsageError
            Where there is no Java or no master.
        JobError, StoreError, MapReduceError
            What ended the run; executors that lack a package, too.
        """
        from mapreduce.engines.spark_batches import Batches  # noqa: PLC0415 - needs the extra

        goods = shipment(assignment.job)
        with self._connected() as context:
            _ship(context, goods)
            with contextlib.closing(
                Batches(context, PendingWork(assignment, goods), splits)
            ) as batches:
                yield from batches.events()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[SparkContext]:
        if self._context is not None:
            yield self._context
            return
        _check_java()
        if self.master.startswith(STANDALONE):
            _check_master(self.master)
        from pyspark import SparkConf, SparkContext  # noqa: PLC0415 - an extra
        from pyspark.errors import PySparkException  # noqa: PLC0415 - an extra

        conf = SparkConf().setMaster(self.master)
        conf.setAll([*CONF.items(), *self._near().items(), *self._conf.items()])
        path = list(sys.path)
        try:
            with _quiet(conf):
                context = SparkContext(conf=conf)
        except PySparkException as error:
            raise UsageError(
                f"Spark's Java did not start: {error}. Spark needs Java 17 or newer: see `java"
                " -version`, or set JAVA_HOME"
            ) from error
        except ValueError as error:
            raise UsageError(
                f"{error}. You can use the running context: Spark(context=…)"
            ) from None
        except Exception as error:  # Java's own, whatever it is
            raise explained(f"Spark at {self.master}", str(error)) from error
        try:
            sys.path[:] = path  # Spark's folders are for executors
            local = self.master.startswith("local")
            context.pythonExec = self._python or (sys.executable if local else "python3")
            yield context
        finally:
            context.stop()

    def _near(self) -> dict[str, str]:
        """Keep the driver off the network where all of it is on this machine."""
        if self.master.startswith(("local", f"{STANDALONE}{LOOPBACK}", f"{STANDALONE}localhost")):
            return {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
        return {}


@contextlib.contextmanager
def _quiet(conf: SparkConf) -> Iterator[None]:
    """Keep Java's own log off the terminal from its first line on, unless it was told otherwise."""
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
        file.write(NO_LOG)
        file.flush()
        if not conf.contains(JAVA_OPTIONS):
            conf.set(JAVA_OPTIONS, f"-Dlog4j2.configurationFile=file:{file.name}")
        yield


def _ship(context: SparkContext, goods: Shipment) -> None:
    """Have all of it on every executor, those that come later too, while the context lives."""
    folder = Path(str(context._temp_dir))  # noqa: SLF001 - goes when the context does
    archive = folder / goods.archive
    if not archive.exists():
        path = list(sys.path)
        context.addPyFile(str(goods.write(folder)))
        sys.path[:] = path  # the archive is for executors
    for one in goods.write_inputs(folder):
        context.addFile(str(one))


def _import() -> Any:
    import pyspark  # noqa: PLC0415 - an extra

    return pyspark


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    found = Path(home, "bin", "java").is_file() if home else shutil.which("java") is not None
    if not found:
        where = f"JAVA_HOME ({home}) has no bin/java" if home else "there is no `java` here"
        raise UsageError(
            f"--engine spark needs Java 17 or newer, and {where}: sudo apt-get install"
            " default-jre-headless (Debian, Ubuntu), or brew install openjdk (macOS)"
        )


def _check_master(master: str) -> None:
    """Ask before Spark does, which takes a minute to give up."""
    said = "no address"
    for address in master.removeprefix(STANDALONE).split(","):
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), CONNECT_S):
                return
        except (OSError, ValueError, OverflowError) as error:
            said = str(error)
    raise UsageError(
        f"no Spark master answers at {master}: {said}. Expected --master spark://host:7077, or"
        " no --master for this machine"
    )
