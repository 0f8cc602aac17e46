"""A folder, or one file, as a store.

Entries come in the order of their keys, one folder in memory at a time along the way down. Keys
are paths below the folder with `/` between parts. Links are followed, to files and to folders,
but never to a folder that is on the way already. Whatever is found is listed: a broken link or
a file that may not be read is an entry too, so that it is accounted for when read. Nothing is
opened here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.errors import StoreError, UsageError
from mapreduce.objects import Entry, Location
from mapreduce.objects.files import file_etag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.objects import Store


class Directory:
    """Files below a folder, or one file.

    Parameters
    ----------
    path
        The folder or file; `~` is understood.

    Raises
    ------
    UsageError
        There is nothing at `path`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()
        if not self.path.exists():
            raise UsageError(
                f"there is no folder or file at {self.path}: check the spelling"
                " (a bucket is typed as s3://BUCKET/PREFIX)"
            )
        # Settled once: a folder that is gone later must not pass for a file that is.
        self._root = self.path if self.path.is_dir() else self.path.parent

    @property
    def name(self) -> str:
        """The absolute path."""
        return _text(os.fspath(self.path))

    def entries(self) -> Iterator[Entry]:
        """Every file, ascending by key.

        Raises
        ------
        StoreError
            A folder cannot be listed: what it holds could not be accounted for.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise StoreError(f"cannot list {self.name}: {error.strerror}") from error
        if self._root == self.path:
            yield from _below(os.fspath(self.path), "", {(status.st_dev, status.st_ino)})
        else:
            yield Entry(_text(self.path.name), status.st_size, file_etag(status))

    def locate(self, entry: Entry) -> Location:
        """Where the file is."""
        return Location(path=f"{_text(os.fspath(self._root)).rstrip('/')}/{entry.key}")


def _below(folder: str, prefix: str, way: set[tuple[int, int]]) -> Iterator[Entry]:
    """Entries of one folder; `way` holds the folders above, to leave loops of links out."""
    try:
        with os.scandir(folder) as found:
            children = sorted((_sort_key(child), child) for child in found)
    except FileNotFoundError:
        if prefix:
            return  # taken away since its parent was listed: as if listed a moment later
        raise StoreError(f"the folder {_text(folder)} is gone") from None
    except OSError as error:
        raise StoreError(
            f"cannot list {_text(folder)}: {error.strerror}."
            " What it holds would be missing without a trace:"
            " give read permission, or name a source without it"
        ) from error
    for name, child in children:
        status = _status(child)
        if name.endswith("/"):
            here = (status.st_dev, status.st_ino)
            if here not in way:
                yield from _below(child.path, prefix + name, way | {here})
        else:
            yield Entry(prefix + name, status.st_size, file_etag(status))


def _sort_key(child: os.DirEntry[str]) -> str:
    """Name of a child as it stands in keys; the slash puts folders where their keys belong."""
    try:
        folder = child.is_dir()
    except OSError:
        folder = False
    return _text(child.name) + ("/" if folder else "")


def _status(child: os.DirEntry[str]) -> os.stat_result:
    """Status of what a child leads to, or of the link itself where that leads nowhere."""
    try:
        return child.stat()
    except OSError:
        return child.stat(follow_symlinks=False)


def _text(name: str) -> str:
    r"""Name as text that can be written: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def check_apart(folder: Path, store: Store) -> None:
    """Refuse to write into the folder that is read: what a run leaves would be its own input.

    Raises
    ------
    UsageError
        Where `folder` lies in the store.
    """
    if not isinstance(store, Directory):
        return
    source, out = Path(store.name).resolve(), folder.resolve()
    if out == source or source in out.parents:
        raise UsageError(
            f"the run's folder {folder} lies in its source {store.name}, and would be read as"
            " input: choose an --out beside it"
        )
