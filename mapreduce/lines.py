"""Blocks of whole lines from a stream of bytes, in bounded memory whatever the size.

A byte range [start, stop) owns the lines that begin in it: its reader begins one byte early,
skips to the first line that begins inside, and reads on past `stop` to the end of the last. So
neighbouring ranges read every line once. A line longer than the cap is counted and skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK_BYTES: Final = 2 << 20
LINE_CAP_BYTES: Final = 16 << 20
BOM: Final = b"\xef\xbb\xbf"


def first_byte(start: int) -> int:
    """Where to open an object whose range begins at `start`."""
    return max(0, start - 1)


def blocks(
    read: Callable[[int], bytes],
    start: int = 0,
    stop: int | None = None,
    *,
    block_bytes: int = BLOCK_BYTES,
    cap_bytes: int = LINE_CAP_BYTES,
) -> Iterator[tuple[bytes, int]]:
    """Give blocks of whole lines, each with the number of over-long lines skipped before it.

    Parameters
    ----------
    read
        Gives up to n bytes from `first_byte(start)` on; b"" at the end.
    start, stop
        The range of bytes owned; None means to the end.
    """
    reading = _Reading(first_byte(start), skipping=start > 0, stop=stop, cap_bytes=cap_bytes)
    while not reading.over and (chunk := read(block_bytes)):
        if block := reading.take(chunk):
            yield block, reading.told()
    if reading.held or reading.too_long:
        yield reading.held, reading.told()


class _Reading:
    """Where a reader of lines stands: bytes held that are no whole line yet."""

    def __init__(self, position: int, *, skipping: bool, stop: int | None, cap_bytes: int) -> None:
        self.position = position  # of the first byte held
        self.held = b""
        self.skipping = skipping  # inside a line that is not ours, or too long to take
        self.too_long = 0
        self.over = False
        self._stop = stop
        self._cap_bytes = cap_bytes

    def told(self) -> int:
        """Give the number of over-long lines since this was last asked."""
        count, self.too_long = self.too_long, 0
        return count

    def take(self, chunk: bytes) -> bytes:
        """Add a chunk; give the whole lines that are ours now."""
        if self.position == 0 and not self.held:
            chunk = chunk.removeprefix(BOM)
        self.held += chunk
        if self.skipping and not self._skipped():
            return b""
        if self._stop is not None and self.position >= self._stop:
            self.over, self.held = True, b""
            return b""
        end = self._end()
        lines, self.held = self.held[:end], self.held[end:]
        self.position += end
        if self.over:
            self.held = b""
        elif len(self.held) > self._cap_bytes:
            self.too_long += 1
            self.position += len(self.held)
            self.held, self.skipping = b"", True
        return lines

    def _skipped(self) -> bool:
        """Skip to behind the next line end; tell whether there was one."""
        end = self.held.find(b"\n") + 1
        self.skipping = end == 0
        end = end or len(self.held)
        self.position, self.held = self.position + end, self.held[end:]
        return not self.skipping

    def _end(self) -> int:
        """Where the whole lines held end; the last of the range ends the reading."""
        end = self.held.rfind(b"\n") + 1
        if self._stop is None or self.position + end < self._stop:
            return end
        self.over = True
        return self.held.find(b"\n", max(0, self._stop - 1 - self.position)) + 1
