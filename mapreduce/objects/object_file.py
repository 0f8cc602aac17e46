"""An object as a file that can be sought: for formats whose parts lie here and there.

Each read asks for its own range, in the version that was listed; a small one is answered from what
was read ahead. What a store said when it failed is kept, since a library between us and the reader
may put words of its own in its place.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.objects import Entry, Location
    from mapreduce.objects.reader import Reader

AHEAD_BYTES = 1 << 16


class ObjectFile(io.RawIOBase):
    """A file of one object.

    Attributes
    ----------
    unchecked
        Whether any part came by a way that may alter it, with nothing to hold it against.
    """

    def __init__(self, reader: Reader, entry: Entry, location: Location) -> None:
        super().__init__()
        self.unchecked = False
        self._reader = reader
        self._entry = entry
        self._location = location
        self._position = 0
        self._held = b""
        self._held_from = 0
        self._fault: BaseException | None = None

    @contextmanager
    def fault_raised(self) -> Iterator[None]:
        """Raise the reader's own error for whatever a library made of it."""
        try:
            yield
        except MapReduceError:
            if self._fault is not None:
                raise self._fault from None
            raise

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that any part can be read."""
        return True

    def tell(self) -> int:
        """Give the byte that is read next."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go elsewhere."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    @property
    def size_bytes(self) -> int:
        """How large it was listed."""
        return self._entry.size_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes, fewer only at the end.

        Raises
        ------
        ObjectError, StoreError
            As from the reader.
        """
        left = max(0, self.size_bytes - self._position)
        size = left if size is None or size < 0 else min(size, left)
        offset = self._position - self._held_from
        if not 0 <= offset <= len(self._held) - size:
            self._held, self._held_from, offset = self._fetched(size), self._position, 0
        self._position += size
        return self._held[offset : offset + size]

    def readinto(self, buffer: object, /) -> int:
        """Read into a buffer."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type] # any buffer
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _fetched(self, size: int) -> bytes:
        stop = self._position + max(size, AHEAD_BYTES)
        try:
            with self._reader.open(self._entry, self._location, self._position, stop) as body:
                self.unchecked |= body.unchecked
                return body.read()
        except BaseException as error:
            self._fault = error
            raise
