"""Reading what PostgreSQL sends for COPY … TO STDOUT (FORMAT binary). Pure: bytes in, rows out.

Rule: as PostgreSQL's manual says (SQL commands, COPY, binary format): an 11-byte signature,
flags and a header extension, then rows of length-prefixed fields in network order, then -1.
Bytes may be cut anywhere. Rows are (int8 id or none, WKB or none, text or none); each full batch
is handed on, so that no more than one batch waits undecoded.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import MapReduceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from roadspeed.roads import Objects

SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
HEADER = struct.Struct("!11sII")
COUNT = struct.Struct("!h")
LENGTH = struct.Struct("!i")
ID = struct.Struct("!q")
BATCH_BYTES = 8 << 20
END = -1


class CopyFormatError(MapReduceError):
    """What came is not the binary COPY that was asked for."""


class CopiedRows:
    """A file to `copy_expert`: takes bytes, hands on rows.

    Parameters
    ----------
    fields
        How many fields a row has: 1 (WKB), 2 (WKB, class) or, with `has_id`, one more in front.
    has_id
        Whether the first field is an int8 id.
    on_rows
        Called with (ids int64[k], WKB object[k], class object[k]).
    """

    def __init__(
        self,
        fields: int,
        on_rows: Callable[[NDArray[np.int64], Objects, Objects], None],
        *,
        has_id: bool,
    ) -> None:
        self._fields = fields
        self._has_id = has_id
        self._on_rows = on_rows
        self._buffer = bytearray()
        self._started = False
        self._words: dict[bytes, str] = {}
        self.ended = False

    def write(self, body: bytes) -> int:
        """Take the next bytes, cut anywhere."""
        self._buffer += body
        if len(self._buffer) >= BATCH_BYTES:
            self._parse()
        return len(body)

    def close(self) -> None:
        """Hand on what is left; `CopyFormatError` if the end mark did not come."""
        self._parse()
        if not self.ended or self._buffer:
            raise CopyFormatError(
                f"expected PostgreSQL's end of copy, got {len(self._buffer)} bytes of a row"
            )

    def _parse(self) -> None:
        buffer = bytes(self._buffer)
        at = 0 if self._started else self._header(buffer)
        ids: list[int] = []
        shapes: list[bytes | None] = []
        words: list[str | None] = []
        at = self._rows(buffer, at, ids, shapes, words)
        del self._buffer[:at]
        if shapes:
            self._on_rows(
                np.array(ids if self._has_id else np.arange(len(shapes)), dtype=np.int64),
                _objects(shapes),
                _objects(words),
            )

    def _header(self, buffer: bytes) -> int:
        if len(buffer) < HEADER.size:
            return 0
        signature, _flags, extension = HEADER.unpack_from(buffer)
        if signature != SIGNATURE:
            raise CopyFormatError(f"expected PostgreSQL's binary copy, got {buffer[:11]!r}")
        if len(buffer) < HEADER.size + extension:
            return 0
        self._started = True
        return HEADER.size + int(extension)

    def _rows(
        self,
        buffer: bytes,
        at: int,
        ids: list[int],
        shapes: list[bytes | None],
        words: list[str | None],
    ) -> int:
        """Append whole rows; return where the first that is not whole begins."""
        if not self._started:
            return at
        size, fields, length_of = len(buffer), self._fields, LENGTH.unpack_from
        first = 1 if self._has_id else 0
        last = fields - 1
        row: list[bytes | None] = [None] * fields
        while at + 2 <= size:
            (count,) = COUNT.unpack_from(buffer, at)
            if count == END:
                self.ended = True
                return at + 2
            if count != fields:
                raise CopyFormatError(f"expected rows of {fields} fields, got one of {count}")
            end = at + 2
            for field in range(fields):
                if end + 4 > size:
                    return at
                (length,) = length_of(buffer, end)
                end += 4
                if length < 0:
                    row[field] = None
                    continue
                row[field] = buffer[end : end + length]
                end += length
            if end > size:
                return at
            if first:
                ids.append(ID.unpack(row[0] or b"")[0])
            shapes.append(row[first])
            words.append(self._word(row[last]) if last > first else None)
            at = end
        return at

    def _word(self, body: bytes | None) -> str | None:
        """Decode a class; the few there are share their texts."""
        if body is None:
            return None
        word = self._words.get(body)
        if word is None:
            word = self._words[body] = body.decode("utf-8")
        return word


def _objects(values: list[bytes | None] | list[str | None]) -> Objects:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
