"""The steps of `mapreduce run`: run the job, write its tables, tell what came of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mapreduce.commands.saved_command import Program, remember
from mapreduce.console.summary import summary
from mapreduce.console.terminal import Terminal
from mapreduce.engines.registry import engine_named
from mapreduce.errors import JobError
from mapreduce.objects.directory import check_apart
from mapreduce.objects.source import open_store
from mapreduce.output import say, say_json
from mapreduce.runs.adding import add
from mapreduce.runs.driver import run
from mapreduce.runs.folder_lock import holding
from mapreduce.runs.report import published, write_account, write_receipt, write_rows
from mapreduce.runs.sums import write_sums

__all__ = ["begun_in", "engine_named", "refuse_inside", "run_job", "tell", "texts"]

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mapreduce.engine import Engine
    from mapreduce.job.job import Job
    from mapreduce.runs.driver import Options, Result
    from mapreduce.runs.progress import OnBegun, Resumed
    from mapreduce.tables.arrays import Array

ROWS_AT_ONCE = 65_536
OURS = frozenset(("quarantine", "dropped"))


def refuse_inside(out: Path, source: str) -> None:
    """Refuse an --out within the folder that is the source, before anything is written there.

    Raises
    ------
    UsageError
        Where it is, or where the source means nothing.
    """
    if not source.lower().startswith("s3://"):  # a bucket is opened once, by the run
        check_apart(out, open_store(source))


def run_job(
    job: Job,
    source: str,
    out: Path,
    options: Options,
    engine: Engine,
    *,
    quiet: bool,
    anew: bool = False,
    retry: bool = False,
    sums: bool = True,
) -> dict[str, Any]:
    """Run a job and write `TABLE.csv` for each table, the lists, the sums and the receipt.

    Raises
    ------
    JobError
        Where a table has the name of one of the lists.
    """
    for name in OURS & job.tables().keys():
        raise JobError(f"a table cannot be called {name!r}: {name}.csv is the run's; rename it")
    with holding():
        with Terminal(quiet=quiet, engine=engine) as terminal:
            result = run(
                job,
                source,
                engine=engine,
                folder=out,
                options=options,
                on_begun=begun_in(out, "mapreduce", terminal),
                on_progress=terminal,
                keep_journal=True,
                anew=anew,
                retry=retry,
            )
        with published(out) as room:
            write_result(room, result, sums=sums)
    return result.receipt


def add_runs(
    reference: str,
    folders: Sequence[Path],
    out: Path,
    given: Mapping[str, str],
    *,
    max_keys: int,
    other_code: bool = False,
    sums: bool = True,
) -> dict[str, Any]:
    """Add finished runs of a job and write what a run writes; errors as `adding.add` has them."""
    with holding():
        result = add(folders, reference, out, max_keys=max_keys, given=given, other_code=other_code)
        remember(out, "mapreduce")
        with published(out) as room:
            write_result(room, result, sums=sums)
    return result.receipt


def write_result(room: Path, result: Result, *, sums: bool) -> None:
    """Write all files of a run, its receipt last."""
    files = [*_write_tables(result, room), *write_account(room, result.ledger, result.kept)]
    files += write_sums(room, result) if sums else []
    write_receipt(room, result.receipt, files)


def begun_in(out: Path, program: Program, terminal: Terminal) -> OnBegun:
    """Give what to call once a run has begun in its folder: only then is its command noted there.

    One that is refused, since the folder is another run's, must not take the place of that run's.
    """

    def begun(resumed: Resumed | None) -> None:
        remember(out, program)
        if resumed is not None:
            terminal.say(str(resumed))

    return begun


def tell(
    receipt: Mapping[str, Any],
    out: Path,
    *,
    as_json: bool,
    helps: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Print the receipt as JSON, or the summary for people with what helps by reason."""
    if as_json:
        say_json((out / "receipt.json").read_text())
    else:
        say(f"{summary(receipt, helps)}\nwritten to {out}")


def _write_tables(result: Result, out: Path) -> list[Path]:
    paths = []
    for name, columns in result.tables.items():
        path = out / f"{name}.csv"
        write_rows(path, list(columns), _rows(columns))
        paths.append(path)
    return paths


def _rows(columns: Mapping[str, Array]) -> Any:
    n = len(next(iter(columns.values()))) if columns else 0
    for start in range(0, n, ROWS_AT_ONCE):
        yield from zip(*(texts(c[start : start + ROWS_AT_ONCE]) for c in columns.values()))  # noqa: B905 - of one length, as `finished` checked


def texts(column: Array) -> list[Any]:
    """Give a column's cells: bytes as text, floats in their shortest exact form."""
    values: list[Any] = np.asarray(column).tolist()
    if values and isinstance(values[0], bytes):
        return [v.decode(errors="backslashreplace") for v in values]
    return values
