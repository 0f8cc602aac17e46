"""What reading an object gives: bytes in order, once, then nothing.

A body is read forwards by one thread. `read()` with no count gives all that is left, `read(n)`
at least one byte and at most n; empty bytes mean the end, and only the true end: whatever came
short, changed or was cut has raised before. Closing twice is fine, and leaving early is too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType


class Body(Protocol):
    """Bytes of one object, or of a range of it.

    Attributes
    ----------
    unchecked
        Whether they came by a way that may alter them, with nothing to hold them against.
    """

    @property
    def unchecked(self) -> bool:
        """See above."""

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes, all that is left if `n` is negative; `b""` at the end."""

    def close(self) -> None:
        """Give back the file or connection; what was not read is abandoned."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class BytesBody:
    """A body whose bytes are in memory already."""

    __slots__ = ("_data", "_offset")
    unchecked = False

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes; the whole, uncopied, when asked for at once."""
        start = self._offset
        stop = len(self._data) if n < 0 else min(start + n, len(self._data))
        self._offset = stop
        return self._data[start:stop]

    def close(self) -> None:
        """Forget the bytes."""
        self._data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
