"""A file that is written whole or not at all.

The writer gets a path in a hidden folder beside the target; when it has finished, the file is
synced to the disk and renamed over the target in one step. If it fails, what it wrote is removed
and the target is as it was. A process that is killed leaves its hidden folder (`.NAME.….partial`)
behind and the target untouched. Nothing here knows what is being written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def whole(path: str | os.PathLike[str], *, private: bool = False) -> Iterator[Path]:
    """Give a path to write to; put the file in place when the block ends without an error.

    Parameters
    ----------
    path
        Where the file is to be. Its folder must exist. The path given has the same name, since
        some libraries judge a format by it, and lies on the same file system.
    private
        Let its owner alone read it, whatever the umask says.

    Raises
    ------
    UsageError
        Where the folder does not exist, or a folder lies at `path`.
    FileNotFoundError
        Where the block ends without having written the file.
    """
    target = Path(path).absolute()  # "a:b/c", left as it is, is an address to some libraries
    if not target.parent.is_dir():
        raise UsageError(f"{target}: expected its folder to exist; create {target.parent} first")
    if target.is_dir():
        raise UsageError(f"{target}: expected a file or nothing, found a folder; name another path")
    # A folder of its own rather than a name of its own: the file then gets the permissions that
    # any new file gets, and what a library writes beside it (an SQLite journal) goes with it.
    room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        partial = room / target.name
        yield partial
        if private:
            partial.chmod(0o600)
        settled(partial)
        partial.replace(target)
        settled(target.parent)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(target)  # a write does not say where
        raise
    finally:
        shutil.rmtree(room)


def settled(path: Path) -> None:
    """Make a file's content, or a folder's entries, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
