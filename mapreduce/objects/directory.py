"""A folder, or one file, as a store.

Entries come in the order of their keys, one folder in memory at a time along the way down. Keys
are paths below the folder with `/` between parts. No file is listed twice by way of symbolic links:
`symlinks` says which of them are followed. Whatever else is found is listed: a broken link, or a
file that may not be read, is an entry too, so that it is accounted for when it is read. Nothing is
opened here.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.errors import StoreError, UsageError
from mapreduce.objects import Entry, Location
from mapreduce.objects.file_body import file_etag
from mapreduce.objects.file_names import name_of, text_of
from mapreduce.objects.symlinks import FoundAt, Symlinks

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
        self.prefix = "" if self._root == self.path else text_of(self.path.name)

    @property
    def name(self) -> str:
        """The absolute path."""
        return text_of(os.fspath(self.path))

    @property
    def base(self) -> str:
        """What stands before each key, whatever links lead to the folder."""
        return f"{text_of(os.path.realpath(self._root)).rstrip('/')}/"

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
            with contextlib.closing(Symlinks(os.fspath(self.path))) as links:
                yield from _below(os.fspath(self.path), "", links.top, links)
        else:
            yield Entry(text_of(self.path.name), status.st_size, file_etag(status))

    def entry_of(self, key: str) -> Entry | None:
        """Give the file at a key; None where there is none."""
        try:
            status = os.stat(name_of(f"{text_of(os.fspath(self._root))}/{key}"))  # noqa: PTH116 - of bytes
        except OSError:
            return None
        return Entry(key, status.st_size, file_etag(status))

    def locate(self, entry: Entry) -> Location:
        """Where the file is."""
        return Location(path=f"{text_of(os.fspath(self._root)).rstrip('/')}/{entry.key}")


def _below(folder: str, prefix: str, place: FoundAt, links: Symlinks) -> Iterator[Entry]:
    """Entries of one folder, found at `place`; keys begin with `prefix`."""
    try:
        with os.scandir(folder) as found:
            children = sorted((_sort_key(child), child) for child in found)
    except FileNotFoundError:
        if prefix:
            return  # taken away since its parent was listed: as if listed a moment later
        raise StoreError(f"the folder {text_of(folder)} is gone") from None
    except OSError as error:
        raise StoreError(
            f"cannot list {text_of(folder)}: {error.strerror}."
            " Its contents would be missing without notice: grant read permission, or choose a"
            " source without it"
        ) from error
    for name, child in children:
        there = links.place(child, prefix + name, place)
        if there is None:
            continue
        if name.endswith("/") and not there.shut:
            yield from _below(child.path, prefix + name, there, links)
        else:
            status = _status(child)
            yield Entry(prefix + name, status.st_size, file_etag(status))


def _sort_key(child: os.DirEntry[str]) -> str:
    """Name of a child as it stands in keys; the slash puts folders where their keys belong."""
    try:
        folder = child.is_dir()
    except OSError:
        folder = False
    return text_of(child.name) + ("/" if folder else "")


def _status(child: os.DirEntry[str]) -> os.stat_result:
    """Status of what a child leads to, or of the link itself where that leads nowhere."""
    try:
        return child.stat()
    except OSError:
        return child.stat(follow_symlinks=False)


def check_apart(folder: Path, store: Store) -> None:
    """Refuse to write into the folder that is read: what a run leaves would be its own input.

    Raises
    ------
    UsageError
        Where `folder` lies in the store.
    """
    if not isinstance(store, Directory):
        return
    source, out = store.path.resolve(), folder.resolve()
    if out == source or source in out.parents:
        raise UsageError(
            f"the run's folder {folder} is inside the source {store.name}, and would be read as"
            " input: choose an --out outside it"
        )
