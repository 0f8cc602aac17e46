"""Engines by name: the one place that knows which there are, and what each can be told.

An engine's module, and with it its package, loads when it is named.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mapreduce.engine import Engine

SECRET: Final = re.compile(r"secret|password|token|access.?key", re.IGNORECASE)  # as Spark has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What engines can be told beside the number of workers; each has its own.

    `worker_memory` is in MiB, 0 for no limit (over SSH: for what the host allows); `inventory` a
    hosts.toml, of which `only` and `tags` choose; `requirements` what the job needs on them;
    `spark_conf` holds `name=value` texts. `folder` is the run's own.
    """

    worker_memory: int = 0
    inventory: str | None = None
    only: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    folder: Path | None = None
    scheduler: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    master: str | None = None
    spark_conf: tuple[str, ...] = ()


def engine_named(name: str, workers: int | None = None, where: Where | None = None) -> Engine:
    """Make an engine.

    Raises
    ------
    UsageError
        Where there is none of that name, its package is missing, or it was told another's option.
    """
    where = where or Where()
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}; expected one of: {', '.join(ENGINES)}")
    _check_own(name, where)
    return ENGINES[name].make(workers, where)


def _local(workers: int | None, where: Where) -> Engine:
    from mapreduce.engines.local import Local  # noqa: PLC0415 - engines load when used

    return Local(workers, where.worker_memory << 20)


def _dask(workers: int | None, where: Where) -> Engine:
    from mapreduce.engines.dask import Dask  # noqa: PLC0415 - as above

    return Dask(
        where.scheduler,
        workers,
        tls_ca=where.tls_ca,
        tls_cert=where.tls_cert,
        tls_key=where.tls_key,
    )


def _spark(workers: int | None, where: Where) -> Engine:
    from mapreduce.engines.spark import Spark  # noqa: PLC0415 - as above

    return Spark(where.master, workers, conf=_settings(where.spark_conf))


def _over_ssh(workers: int | None, where: Where) -> Engine:
    from mapreduce.cluster.fleet.launcher import cluster_of  # noqa: PLC0415 - as above
    from mapreduce.cluster.inventory.inventory import NAME, load  # noqa: PLC0415 - engines load when used
    from mapreduce.engines.local import checked_memory  # noqa: PLC0415 - as above

    if workers is not None:
        raise UsageError("--workers is for one machine: the inventory sets the slots of hosts")
    inventory = load(where.inventory or NAME)
    return cluster_of(
        inventory,
        inventory.select(where.only, (), where.tags),
        where.folder,
        requirements=where.requirements,
        memory_bytes=checked_memory(where.worker_memory << 20),
        chosen=lambda: load(inventory.path).select(where.only, (), where.tags),
    )


@dataclass(frozen=True, slots=True)
class Known:
    """An engine that there is: which of `Where` is its own, and how it is made."""

    own: tuple[str, ...]
    make: Callable[[int | None, Where], Engine]


ENGINES: Final = {
    "local": Known(("worker_memory",), _local),
    "ssh": Known(("worker_memory", "inventory", "only", "tags", "requirements"), _over_ssh),
    "dask": Known(("scheduler", "tls_ca", "tls_cert", "tls_key"), _dask),
    "spark": Known(("master", "spark_conf"), _spark),
}


def _check_own(name: str, where: Where) -> None:
    usual = Where()
    for engine, known in ENGINES.items():
        for option in known.own:
            if option not in ENGINES[name].own and getattr(where, option) != getattr(usual, option):
                text = f"{_typed(option)} is for --engine {engine}, not {name}"
                raise UsageError(text + _remedy(option, name, where))


def _typed(option: str) -> str:
    return "--with" if option == "requirements" else f"--{option.replace('_', '-')}"


def _remedy(option: str, name: str, where: Where) -> str:
    if option == "worker_memory":
        return (
            ": set it for Dask workers by `dask worker --memory-limit`, for Spark by"
            " --spark-conf spark.executor.memory=…"
        )
    if option == "requirements":
        place = "here" if name == "local" else "in the Python of the workers"
        return f": install it {place}: pip install {shlex.join(where.requirements)}"
    return ""


def _settings(texts: tuple[str, ...]) -> dict[str, str]:
    out = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--spark-conf takes name=value, got {text!r}")
        if SECRET.search(name) and not name.lower().endswith("file"):
            raise UsageError(
                f"{name} is a secret, but commands are visible to other users and recorded in"
                " the run's folder: put it into spark-defaults.conf in the folder SPARK_CONF_DIR"
            )
        out[name] = value
    return out
