"""Which symbolic links of a folder are followed, so that no file is listed twice by way of them.

A link is another way to a file, not another file. One that leads to what the folder lists under a
name of its own is left out; what lies outside, or in a hidden part, is listed under the first link
that leads there. Hard links are names of equal right: each of them is listed. Files are told apart
by their paths without links; memory is bounded, since what was reached by links is kept on disk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from mapreduce.objects.file_names import text_of
from mapreduce.objects.seen_texts import Seen
from mapreduce.objects.selection import ignored


@dataclass(frozen=True, slots=True)
class FoundAt:
    """Where something found on the way down is: its path without links.

    `linked` is whether a link was on the way, `shut` whether it is not to be gone into.
    """

    real: str
    linked: bool = False
    shut: bool = False


class Symlinks:
    """Decides about what is found on the way down from a folder.

    Attributes
    ----------
    top
        The folder.
    """

    def __init__(self, folder: str) -> None:
        self.top = FoundAt(os.path.realpath(folder))
        self._below = self.top.real.rstrip("/") + "/"
        self._seen = Seen()

    def close(self) -> None:
        """Give back what is kept on disk."""
        self._seen.close()

    def place(self, child: os.DirEntry[str], key: str, parent: FoundAt) -> FoundAt | None:
        """Say where a child of a folder is; None where it is listed under another name.

        `key` is what it would be listed as.
        """
        real = f"{parent.real.rstrip('/')}/{child.name}"
        link = child.is_symlink()
        if not (link or parent.linked):
            return FoundAt(real)
        if ignored(key.rstrip("/")):  # under this name it would not be read: another may lead there
            return FoundAt(real, linked=True, shut=True)
        if link:
            try:
                real = os.path.realpath(child.path, strict=True)
            except OSError:
                return FoundAt(real, linked=True)  # it leads nowhere: told when it is read
        if self._has_own_name(real) or not self._seen.add(real):
            return None
        return FoundAt(real, linked=True)

    def _has_own_name(self, real: str) -> bool:
        """Whether the folder lists it without any link, and not as hidden."""
        if real == self.top.real:
            return True
        return real.startswith(self._below) and not ignored(text_of(real.removeprefix(self._below)))
