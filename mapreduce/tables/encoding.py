"""A partial as bytes: on the wire, on disk, under the digest.

Layout: magic, version, flags, lengths and CRC-32 in a fixed head; a msgpack header naming tables,
columns, widths, rules and row counts; then the raw little-endian column buffers, keys first. Equal
content gives equal bytes, so the SHA-256 of the uncompressed form is the run's digest. `unpack`
checks every length against a cap before it allocates and trusts neither order nor uniqueness.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from mapreduce.errors import PartialError
from mapreduce.tables.partial import Partial, TablePartial
from mapreduce.tables.rules import MAX_KEY_WIDTH
from mapreduce.tables.runs import LIMB_MASK
from mapreduce.tables.table import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mapreduce.tables.arrays import Array

MAGIC: Final = b"MRPS"
VERSION: Final = 1
COMPRESSED: Final = 1
HEAD: Final = struct.Struct("<4sHHIQQI")  # magic, version, flags, header, raw body, body, CRC-32
MAX_HEADER_BYTES: Final = 1 << 20
MAX_BODY_BYTES: Final = 1 << 33


class _Header(msgspec.Struct, frozen=True):
    schemas: tuple[Schema, ...]
    rows: tuple[int, ...]


def pack(partial: Partial, *, compress: bool = False) -> bytes:
    """Give the partial's bytes; compression changes them but never the digest."""
    header, body = _header(partial), b"".join(_buffers(partial))
    sent = zlib.compress(body, 1) if compress else body
    crc = zlib.crc32(sent, zlib.crc32(header))
    flags = COMPRESSED if compress else 0
    head = HEAD.pack(MAGIC, VERSION, flags, len(header), len(body), len(sent), crc)
    return b"".join((head, header, sent))


def pieces(partial: Partial) -> Iterator[bytes | memoryview]:
    """Give the uncompressed packed form piece by piece, for a file: no copy of the columns."""
    header = _header(partial)
    crc, size = zlib.crc32(header), 0
    for buffer in _buffers(partial):
        crc, size = zlib.crc32(buffer, crc), size + len(buffer)
    yield HEAD.pack(MAGIC, VERSION, 0, len(header), size, size, crc)
    yield header
    yield from _buffers(partial)


def digest(partial: Partial) -> str:
    """SHA-256 of the uncompressed packed form: `sha256:…`."""
    sha = hashlib.sha256()
    for piece in pieces(partial):
        sha.update(piece)
    return f"sha256:{sha.hexdigest()}"


def unpack(
    packed: bytes | bytearray | memoryview,
    schemas: Sequence[Schema],
    *,
    max_bytes: int = MAX_BODY_BYTES,
) -> Partial:
    """Read a partial of the given tables.

    Raises
    ------
    PartialError
        On anything but the exact form `pack` gives: other tables, wrong lengths or CRC, rows out
        of order, keys twice, limbs out of their normal form, more than `max_bytes`.
    """
    view = memoryview(packed)
    if len(view) < HEAD.size:
        raise PartialError(f"a partial has at least {HEAD.size} bytes, got {len(view)}")
    magic, version, flags, header_size, raw_size, body_size, crc = HEAD.unpack(view[: HEAD.size])
    if magic != MAGIC or version != VERSION or flags not in (0, COMPRESSED):
        raise PartialError(
            f"expected a partial ({MAGIC!r} version {VERSION}), got {magic!r} {version} {flags}"
        )
    if header_size > MAX_HEADER_BYTES or max(raw_size, body_size) > max_bytes:
        raise PartialError(f"a partial of {raw_size:,} bytes is over the cap of {max_bytes:,}")
    if len(view) != HEAD.size + header_size + body_size:
        raise PartialError(
            f"expected {HEAD.size + header_size + body_size} bytes, got {len(view)}: truncated?"
        )
    if zlib.crc32(view[HEAD.size :]) != crc:
        raise PartialError("checksum differs: the partial was damaged in transit")
    header = _read_header(view[HEAD.size : HEAD.size + header_size], schemas)
    body = view[HEAD.size + header_size :]
    return _read_body(header, _inflate(body, raw_size) if flags else body, raw_size)


def _header(partial: Partial) -> bytes:
    return msgspec.msgpack.encode(
        _Header(tuple(t.schema for t in partial.tables), tuple(len(t) for t in partial.tables))
    )


def _buffers(partial: Partial) -> Iterator[memoryview]:
    """Give each column's bytes, copied only where they are not laid out so already."""
    for table in partial.tables:
        for column in (*table.keys, *table.values):
            dtype = column.dtype if column.dtype.kind == "S" else "<i8"
            yield np.ascontiguousarray(column, dtype=dtype).view(np.uint8).data


def _read_header(raw: memoryview, schemas: Sequence[Schema]) -> _Header:
    try:
        header = msgspec.msgpack.decode(raw, type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PartialError(f"the header cannot be read: {error}") from error
    if header.schemas != tuple(schemas) or len(header.rows) != len(header.schemas):
        raise PartialError(f"expected tables {tuple(schemas)}, got {header.schemas}")
    if any(not 0 <= n <= MAX_BODY_BYTES for n in header.rows):
        raise PartialError(f"impossible numbers of rows {header.rows}")
    if msgspec.msgpack.encode(header) != raw:
        raise PartialError("the header is not written as `pack` writes it")
    return header


def _inflate(body: memoryview, raw_size: int) -> memoryview:
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(body, raw_size + 1)
    except zlib.error as error:
        raise PartialError(f"the compressed body is damaged: {error}") from error
    if len(raw) != raw_size or not stream.eof or stream.unused_data:
        raise PartialError(f"expected a body of {raw_size} bytes, got a different size")
    return memoryview(raw)


def _read_body(header: _Header, body: memoryview, raw_size: int) -> Partial:
    row_sizes = [sum(k.width or 8 for k in s.keys) + 8 * len(s.columns) for s in header.schemas]
    expected = sum(n * size for n, size in zip(header.rows, row_sizes, strict=True))
    if expected != raw_size or len(body) != raw_size:
        raise PartialError(f"{header.rows} rows take {expected} bytes, got {len(body)}")
    tables, offset = [], 0
    for schema, n in zip(header.schemas, header.rows, strict=True):
        dtypes = [f"S{k.width}" if k.width else "<i8" for k in schema.keys]
        dtypes += ["<i8"] * len(schema.columns)
        columns: list[Array] = []
        for dtype in dtypes:
            column = np.frombuffer(body, dtype=dtype, count=n, offset=offset)
            columns.append(column.astype(np.int64, copy=False) if dtype == "<i8" else column)
            offset += column.nbytes
        split = len(schema.keys)
        table = TablePartial(schema, tuple(columns[:split]), tuple(columns[split:]))
        _check_rows(table)
        tables.append(table)
    return Partial(tuple(tables))


def _check_rows(table: TablePartial) -> None:
    name = table.schema.name
    for key in table.keys:
        if key.dtype.kind == "S":
            raw = key.view(np.uint8).reshape(len(key), -1) if len(key) else np.zeros((0, 1))
            if key.dtype.itemsize > MAX_KEY_WIDTH or np.any((raw[:, :-1] == 0) & (raw[:, 1:] != 0)):
                raise PartialError(f"table {name!r}: a key holds a NUL")
    ascending = np.zeros(max(0, len(table) - 1), dtype=bool)
    equal = np.ones_like(ascending)
    for key in table.keys:
        ascending |= equal & (key[1:] > key[:-1])
        equal &= key[1:] == key[:-1]
    if not ascending.all():
        raise PartialError(f"table {name!r}: rows are not strictly ascending by key")
    for column, value in zip(table.schema.columns, table.values, strict=True):
        if column.rule == "wide_lo" and np.any((value < 0) | (value > LIMB_MASK)):
            raise PartialError(f"table {name!r}: column {column.name!r} is not in normal form")
