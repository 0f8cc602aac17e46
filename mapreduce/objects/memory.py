"""Objects in memory, as a store: for tests, examples and small things made on the fly.

Its etags are hashes of the content. A location carries the bytes themselves, so it suits
objects of kilobytes, not corpora.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mapreduce.errors import ObjectError
from mapreduce.objects import Entry, Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Memory:
    """A store of what a mapping holds, in ascending order of keys.

    Parameters
    ----------
    objects
        Content by key.
    """

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self._objects = dict(objects)

    @property
    def name(self) -> str:
        """The same for all: content is named by the etags."""
        return "memory"

    def entries(self) -> Iterator[Entry]:
        """Every object, ascending by key."""
        for key in sorted(self._objects):
            content = self._objects[key]
            yield Entry(key, len(content), hashlib.blake2b(content, digest_size=16).hexdigest())

    def locate(self, entry: Entry) -> Location:
        """Give the bytes themselves.

        Raises
        ------
        ObjectError
            `gone`: there is no such key.
        """
        if entry.key not in self._objects:
            raise ObjectError("gone", f"no object {entry.key} in memory")
        return Location(body=self._objects[entry.key])
