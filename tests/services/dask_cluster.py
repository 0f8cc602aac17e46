"""A real Dask cluster: a scheduler and three worker processes with nannies, on loopback alone.

Started once a session (once an xdist worker) and only if asked for. It dies with the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.services.seaweed import _die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WORKERS = 3
_READY_S = 120.0


@pytest.fixture(scope="session")
def dask_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a scheduler and workers, and give the scheduler's address."""
    with dask_cluster(tmp_path_factory.mktemp("dask"), WORKERS) as address:
        yield address


@contextmanager
def dask_cluster(folder: Path, workers: int, options: Sequence[str] = ()) -> Iterator[str]:
    """Run a scheduler and workers with these options until the end of the block."""
    where = folder / "scheduler.json"
    common = ["--scheduler-file", str(where), "--host", "127.0.0.1", *options]
    with (folder / "dask.log").open("wb") as log:

        def started(*arguments: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, *common],
                cwd=folder,
                env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"},
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads touch the child before exec
            )

        scheduler = started("scheduler", "--port", "0", "--no-dashboard")
        crew = started(
            "worker", "--nworkers", str(workers), "--nthreads", "1", "--no-dashboard",
            "--local-directory", str(folder),
        )  # fmt: skip
        try:
            yield _address(where, scheduler)
        finally:
            for process in (crew, scheduler):
                process.terminate()
            for process in (crew, scheduler):
                process.wait(60)


def _address(where: Path, scheduler: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + _READY_S
    while scheduler.poll() is None and time.monotonic() < until:
        if where.exists() and (text := where.read_text()):
            return str(json.loads(text)["address"])
        time.sleep(0.05)
    pytest.fail(f"the Dask scheduler did not start: {(where.parent / 'dask.log').read_text()}")
