"""The same job on Dask: on processes of this machine, or on any scheduler's workers.

This connects, sends workers our sources and the job's, and lets `dask_tree` do the rest. Dask
schedules, tries again and moves bytes; nothing of ours is pickled but the names of functions.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mapreduce.engines.foreign_bundle import Shipment, shipment
from mapreduce.engines.foreign_driver import PendingWork, checked, explained
from mapreduce.engines.local import checked_workers
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from distributed import Client, Security, WorkerPlugin

    from mapreduce.engine import Assignment, Event
    from mapreduce.plan import Split

CONNECT_S: Final = 10.0
DEATHS: Final = 1  # a task may cost a worker this often and be tried again: cheap, on one machine


class Dask:
    """Runs attempts on a Dask cluster.

    Parameters
    ----------
    scheduler
        Address such as `tcp://host:8786` or `tls://host:8786`; None for processes on this machine.
    workers
        Number of those processes; None for one a core.
    tls_ca, tls_cert, tls_key
        PEM files for a scheduler that speaks TLS: its authority, our certificate and key. Without
        them Dask's own configuration holds.
    client
        A connected `distributed.Client` to use instead; it is left open.
    """

    name = "dask"

    def __init__(
        self,
        scheduler: str | None = None,
        workers: int | None = None,
        *,
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        client: Client | None = None,
    ) -> None:
        checked("distributed", self.name, _import)
        if workers is not None and (scheduler is not None or client is not None):
            raise UsageError(
                "--workers starts processes on this machine; an existing cluster has its own"
                " workers"
            )
        self.scheduler = scheduler
        self.workers = checked_workers(workers)
        self._tls = {"tls_ca_file": tls_ca, "tls_client_cert": tls_cert, "tls_client_key": tls_key}
        self._client = client

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        """Run every split once, giving outcomes and advances as they come.

        Raises
        ------
        UsageError
            Where no scheduler answers.
        JobError, StoreError, MapReduceError
            What ended the run; workers that lack a package, too.
        """
        from mapreduce.engines.dask_tree import TaskTree  # noqa: PLC0415 - needs the extra

        goods = shipment(assignment.job)
        with (
            self._connected() as client,
            _shipped(client, goods),
            contextlib.closing(TaskTree(client, PendingWork(assignment, goods), splits)) as tree,
        ):
            yield from tree.events()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Client]:
        import distributed  # noqa: PLC0415 - an extra

        if self._client is not None:
            yield self._client
            return
        with contextlib.ExitStack() as stack:
            where: Any = self.scheduler
            if where is None:
                where = stack.enter_context(_cluster(self.workers))
            try:
                client = distributed.Client(
                    where, security=self._security(), timeout=CONNECT_S, set_as_default=False
                )
            except (OSError, ValueError, TypeError) as error:
                raise UsageError(
                    f"no Dask scheduler responds at {self.scheduler}: {error}. Is the URL right?"
                    " `dask scheduler` starts a scheduler, `dask worker ADDRESS` a worker;"
                    " tls:// needs --tls-ca, --tls-cert and --tls-key"
                ) from None
            yield stack.enter_context(client)

    def _security(self) -> Security | None:
        import distributed  # noqa: PLC0415 - an extra

        given = {name: path for name, path in self._tls.items() if path is not None}
        for path in given.values():
            if not Path(path).is_file():
                raise UsageError(f"no file {path}: --tls-ca, --tls-cert, --tls-key are PEM files")
        return distributed.Security(**given, require_encryption=True) if given else None


def _import() -> Any:
    import distributed  # noqa: PLC0415 - an extra

    return distributed


@contextlib.contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    """Start worker processes on this machine; one that dies is replaced, its task tried again."""
    import dask  # noqa: PLC0415 - an extra
    import distributed  # noqa: PLC0415 - an extra

    with (
        tempfile.TemporaryDirectory(prefix="dask-") as folder,
        dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


@contextlib.contextmanager
def _shipped(client: Client, goods: Shipment) -> Iterator[None]:
    """Have all of it on every worker, those that come later too, for as long as the run lasts."""
    from distributed.diagnostics.plugin import UploadFile  # noqa: PLC0415 - an extra

    name = f"{goods.archive}-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plugins = {name: UploadFile(str(goods.write(folder)))}
        for path in goods.write_inputs(folder):
            plugins[f"{path.name}-{name}"] = UploadFile(str(path), load=False)
    with contextlib.ExitStack() as taken_back:
        for one, plugin in plugins.items():
            try:
                _register(client, plugin, one)
            except Exception as error:
                raise explained("Dask", f"{type(error).__name__}: {error}") from error
            taken_back.callback(_take_back, client, one)
        yield


def _register(client: Client, plugin: WorkerPlugin, name: str) -> None:
    """Send a file; once more where a worker lost sight of what is in the one it has.

    Python keeps the list of an archive's names. Where that was read while the archive was being
    written, by the last tasks of a run before, it is gone, and importing fails (KeyError) until the
    list is made anew.
    """
    try:
        client.register_plugin(plugin, name=name)
    except KeyError:
        client.run(importlib.invalidate_caches)
        client.register_plugin(plugin, name=name)


def _take_back(client: Client, plugin: str) -> None:
    # The scheduler may be gone, and its connections (RuntimeError) with it.
    with contextlib.suppress(OSError, TimeoutError, RuntimeError):
        client.unregister_worker_plugin(plugin)
