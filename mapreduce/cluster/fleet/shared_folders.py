"""A file of a shared folder by which a host shows that it sees the folder as this machine does.

An empty folder is seen where one was not mounted too: so a file is asked for, in its version.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from mapreduce.cluster.inventory.inventory import Inventory
from mapreduce.errors import UsageError

MOST_LOOKS: Final = 10_000  # names on the way to a first file
Witness: TypeAlias = "tuple[str, int, int]"  # path below the folder, time of change in ns, bytes


def witnesses(inventory: Inventory) -> dict[str, Witness | None]:
    """Give a file of each shared folder; None where none was found soon.

    Raises UsageError where this machine itself does not see a folder.
    """
    return {folder: _witness(folder, inventory) for folder in inventory.store.shared}


def _witness(folder: str, inventory: Inventory) -> Witness | None:
    top = Path(folder)
    if not top.is_dir():
        raise UsageError(
            f"{inventory.path}: [store] shared names {folder}, which is not a folder on this"
            " machine: mount it here too, or remove it"
        )
    for entry in islice(_names(folder), MOST_LOOKS):
        with suppress(OSError):  # it went meanwhile, or is not for us to see
            if entry.is_file():
                status = entry.stat()
                return os.path.relpath(entry.path, folder), status.st_mtime_ns, status.st_size
    return None


def _names(folder: str) -> Iterator[os.DirEntry[str]]:
    """Give what is in a folder and below, as the system hands it out: no folder is read whole."""
    places = [folder]
    while places:
        with suppress(OSError), os.scandir(places.pop()) as names:
            for entry in names:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    places.append(entry.path)
