"""Blocks of whole lines from a stream of bytes, in bounded memory whatever the size.

A byte range [start, stop) owns the lines that begin in it: its reader begins one byte early,
skips to the first line that begins inside, and reads on past `stop` to the end of the last. So
neighbouring ranges read every line once. A line longer than the cap is counted and skipped,
wherever ranges and reads happen to end. A byte order mark is no part of the first line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from mapreduce.limits import LINE_CAP_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK_BYTES: Final = 2 << 20
BOM: Final = b"\xef\xbb\xbf"
LINE_END: Final = 0x0A


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
    block_bytes
        How much is read at once.
    cap_bytes
        Most bytes of a line, its end not counted.
    """
    reading = _Reading(first_byte(start), skipping=start > 0, stop=stop, cap_bytes=cap_bytes)
    while not reading.over and (chunk := filled(read, block_bytes)):
        yield from reading.told(reading.take(chunk))
    yield from reading.told(reading.rest())


def filled(read: Callable[[int], bytes], n: int) -> bytes:
    """Read n bytes, fewer only at the end: small pieces would be searched again and again."""
    chunk = read(n)
    if not chunk or len(chunk) == n:
        return chunk
    pieces = [chunk]
    left = n - len(chunk)
    while left and (chunk := read(left)):
        pieces.append(chunk)
        left -= len(chunk)
    return b"".join(pieces)


class _Reading:
    """Where a reader of lines stands: bytes held that are no whole line yet."""

    def __init__(self, position: int, *, skipping: bool, stop: int | None, cap_bytes: int) -> None:
        self.position = position  # of the first byte held, in the object
        self.held = b""
        self.skipping = skipping  # inside a line that is not ours, or too long to take
        self.over = False
        self._too_long = 0  # lines, not told yet
        self._tail = 0  # the same, of what comes behind the lines given
        self._stop = stop
        self._cap_bytes = cap_bytes

    def take(self, chunk: bytes) -> bytes:
        """Add a chunk; give the whole lines that are ours now."""
        end = chunk.rfind(b"\n") + 1
        stop = self.position + len(self.held) + end
        if end and not self.skipping and (self._stop is None or stop < self._stop):
            # what is held has no line end; joined so, a chunk is copied once
            return self._given(b"".join((self.held, memoryview(chunk)[:end])), chunk[end:])
        self.held += chunk
        if self.skipping and not self._skipped():
            return b""
        if self._stop is not None and self.position >= self._stop:
            self.over, self.held = True, b""
            return b""
        end = self._end()
        return self._given(self.held[:end], self.held[end:])

    def _given(self, lines: bytes, rest: bytes) -> bytes:
        """Give lines, and hold what comes behind them."""
        first, self.held = self.position == 0, rest
        self.position += len(lines)
        if self.over:
            self.held = b""
        elif len(self.held) > self._cap_bytes + (len(BOM) if self.position == 0 else 0):
            self._tail = 1
            self.position += len(self.held)
            self.held, self.skipping = b"", True
        return lines.removeprefix(BOM) if first else lines

    def rest(self) -> bytes:
        """Give the last line, where it has no end."""
        held, self.held = self.held, b""
        return held.removeprefix(BOM) if self.position == 0 else held

    def told(self, lines: bytes) -> Iterator[tuple[bytes, int]]:
        """Give lines as blocks without those that are too long, which are counted in order."""
        kept = 0
        for start, stop in self._long(lines):
            if start > kept:
                yield lines[kept:start], self._counted()
            self._too_long += 1
            kept = stop
        if kept < len(lines):
            yield lines[kept:], self._counted()
        self._too_long, self._tail = self._too_long + self._tail, 0
        if self._too_long:
            yield b"", self._counted()

    def _counted(self) -> int:
        count, self._too_long = self._too_long, 0
        return count

    def _long(self, lines: bytes) -> list[tuple[int, int]]:
        """Where lines longer than the cap start and stop."""
        if len(lines) <= self._cap_bytes:
            return []
        stops = np.flatnonzero(np.frombuffer(lines, dtype=np.uint8) == LINE_END) + 1
        if not lines.endswith(b"\n"):
            stops = np.append(stops, len(lines) + 1)
        starts = np.concatenate(([0], stops[:-1]))
        long = stops - starts > self._cap_bytes + 1
        return list(zip(starts[long].tolist(), stops[long].tolist(), strict=True))

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
