"""Reading what PostgreSQL sends for COPY … TO STDOUT (FORMAT binary). Pure: bytes in, rows out.

Rule: as PostgreSQL's manual says (SQL commands, COPY, binary format): an 11-byte signature,
flags and a header extension, then rows of length-prefixed fields in network order, then -1; and
(protocol, COPY operations) a message a row, so a batch of rows is read by a few array
operations. Every length is checked against its message. A row is an int8, WKB or null, and text
or null if a class is read. No more than a batch waits undecoded.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from mapreduce.errors import MapReduceError
from roadspeed.roads.rows.cells import decoded_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from roadspeed.roads.rows.answer import Objects

SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
HEADER = struct.Struct("!11sII")
END = b"\xff\xff"
FRONT = np.dtype([("fields", ">i2"), ("id_bytes", ">i4"), ("id", ">i8"), ("shape_bytes", ">i4")])
LENGTH = np.dtype(">i4")
ID_BYTES = 8
# Small enough to stay in a processor's cache: twice as fast as a few megabytes.
BATCH_ROWS = 2048
BATCH_BYTES = 1 << 20


class CopyFormatError(MapReduceError):
    """What came is not the binary COPY that was asked for: a fault of server or driver."""


class CopiedRows:
    """A file for `copy_expert`: takes a message at a time, hands on rows.

    Parameters
    ----------
    on_rows
        Called with ids (int64[k]), WKB (object[k] of bytes or None) and classes (object[k] of
        str or None).
    has_class
        Whether rows have a third field.
    """

    def __init__(
        self, on_rows: Callable[[NDArray[np.int64], Objects, Objects], None], *, has_class: bool
    ) -> None:
        self._on_rows = on_rows
        self._has_class = has_class
        self._rows: list[bytes] = []
        self._waiting_bytes = 0
        self._started = self._ended = False
        self._words: dict[bytes, str] = {}

    def write(self, message: bytes) -> int:
        """Take a message: a row, the first one behind the header, or the end."""
        if not self._started:
            self._begin(message)
        elif self._ended:
            raise CopyFormatError("expected nothing after the end of PostgreSQL's copy")
        else:
            self._take(message)
        return len(message)

    def close(self) -> None:
        """Hand on what is left; `CopyFormatError` if the end did not come."""
        if not self._ended:
            raise CopyFormatError("expected the end of PostgreSQL's copy, and it did not come")
        self._hand_on()

    def _begin(self, message: bytes) -> None:
        if not message.startswith(SIGNATURE) or len(message) < HEADER.size:
            raise CopyFormatError(f"expected PostgreSQL's binary copy, got {message[:19]!r}")
        self._started = True
        extension = HEADER.unpack_from(message)[2]
        if rest := message[HEADER.size + extension :]:
            self._take(rest)

    def _take(self, message: bytes) -> None:
        if message == END:
            self._ended = True
            return
        self._rows.append(message)
        self._waiting_bytes += len(message)
        if len(self._rows) >= BATCH_ROWS or self._waiting_bytes >= BATCH_BYTES:
            self._hand_on()

    def _hand_on(self) -> None:
        rows, self._rows, self._waiting_bytes = self._rows, [], 0
        if not rows:
            return
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        if sizes.min() < FRONT.itemsize:
            raise CopyFormatError(f"expected rows of an id and a shape, got {min(rows, key=len)!r}")
        body = np.frombuffer(b"".join(rows), np.uint8)
        starts = np.cumsum(sizes) - sizes
        front = _fields(body, starts, FRONT)
        shape_ends = FRONT.itemsize + np.maximum(front["shape_bytes"].astype(np.int64), 0)
        words = np.full(len(rows), None, dtype=object)
        ends = shape_ends
        if self._has_class:
            ends = shape_ends + LENGTH.itemsize
            self._check(front, ends <= sizes)
            word_bytes = _fields(body, starts + shape_ends, LENGTH).astype(np.int64)
            ends = ends + np.maximum(word_bytes, 0)
            words[:] = [
                self._word(row[-size:] if size else b"") if size >= 0 else None
                for row, size in zip(rows, word_bytes.tolist(), strict=True)
            ]
        self._check(front, ends == sizes)
        shapes = np.full(len(rows), None, dtype=object)
        shapes[:] = [
            row[FRONT.itemsize : end] for row, end in zip(rows, shape_ends.tolist(), strict=True)
        ]
        shapes[front["shape_bytes"] < 0] = None
        self._on_rows(front["id"].astype(np.int64), shapes, words)

    def _check(self, front: NDArray[np.void], fit: NDArray[np.bool_]) -> None:
        fields = 3 if self._has_class else 2
        good = fit & (front["fields"] == fields) & (front["id_bytes"] == ID_BYTES)
        if not good.all():
            raise CopyFormatError(
                f"expected rows of {fields} fields that begin with an int8 and fill their "
                f"message, got {front[int(np.argmin(good))]}"
            )

    def _word(self, body: bytes) -> str:
        """Decode a class; the few there are share their texts."""
        word = self._words.get(body)
        if word is None:
            word = self._words[body] = decoded_text(body)
        return word


def _fields(body: NDArray[np.uint8], at: NDArray[np.int64], kind: np.dtype[Any]) -> NDArray[Any]:
    """Read one value of a fixed size at each of many places."""
    return np.asarray(body[at[:, None] + np.arange(kind.itemsize)].view(kind)[:, 0])
