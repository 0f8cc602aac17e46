"""Reading a file without changing it or what lies beside it, where whoever reads it would.

Rule: a file of the user's is never written to by being read. GDAL writes what it learns of a GML
file beside it, so that is read by a link to it in a temporary folder. SQLite folds what is pending
beside a file (`-wal`, a hot `-journal`) into it as soon as anyone reads, and where it may not,
shows the old rows; so a file with something pending is copied, with it, to a temporary folder, and
read there. If either changes meanwhile it is copied anew; if it does not come to rest, that is
said.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"SQLite format 3\x00"
PENDING = ("-wal", "-journal")
TRIES = 5
NOTED = (".gml", ".xml")


@contextlib.contextmanager
def untouched(path: str) -> Iterator[str]:
    """Give a path that can be read as `path` would be, and leaves it as it is."""
    pending = _pending(path)
    noted = path.lower().removesuffix(".gz").endswith(NOTED)
    if not pending and not noted:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="roads-") as folder:
        copy = _linked if noted else _copied
        yield str(copy(Path(path), pending, Path(folder)))


def _pending(path: str) -> list[Path]:
    """Return the files beside a SQLite file that hold what is not yet in it."""
    file = Path(path)
    if not file.is_file():
        return []
    with file.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            return []
    beside = [file.with_name(file.name + ending) for ending in PENDING]
    return [other for other in beside if other.is_file() and other.stat().st_size]


def _linked(file: Path, _: list[Path], folder: Path) -> Path:
    """Link a file, and what belongs to it by its name, into a folder."""
    stem = file.name.partition(".")[0]
    for one in file.parent.iterdir():
        if one.name.partition(".")[0] == stem:
            (folder / one.name).symlink_to(one.absolute())
    return folder / file.name


def _copied(file: Path, pending: list[Path], folder: Path) -> Path:
    for _ in range(TRIES):
        before = [_state(one) for one in (file, *pending)]
        for one in (file, *pending):
            with contextlib.suppress(FileNotFoundError):  # folded in by whoever writes it
                shutil.copyfile(one, folder / one.name)
        if before == [_state(one) for one in (file, *pending)]:
            return _settled(folder / file.name)
    raise UsageError(
        f"{file}: another program is writing to it, and {pending[0].name} beside it changed while "
        "it was copied to be read. Close it there, then run the same command again"
    )


def _settled(file: Path) -> Path:
    """Let SQLite fold in, or roll back, what is pending: GDAL, which only reads, may not."""
    with (
        contextlib.suppress(sqlite3.Error),  # GDAL will say what is wrong with it
        contextlib.closing(sqlite3.connect(file)) as database,
    ):
        database.execute("SELECT count(*) FROM sqlite_master")
    return file


def holds_empty(path: str, table: str, column: str) -> bool:
    """Say whether a column of a table or view is empty in some row."""
    quoted = ['"' + name.replace('"', '""') + '"' for name in (table, column)]
    address = f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1"
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(address, uri=True)) as database,
    ):
        query = "SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1".format(*quoted)  # noqa: S608 - quoted
        return database.execute(query).fetchone() is not None
    return False


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
