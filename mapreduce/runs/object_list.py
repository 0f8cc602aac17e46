"""`sums.objects`: each object that a run covered, in the order of addresses, for a million of them.

Layout: a line that names format and version; blocks, each a length, a CRC-32 and msgpack packed by
zlib; an empty block and the number of objects. The first block is what the run says of itself
(`Head`), the others are lists of objects. Written and read as a stream, in bounded memory.
Addresses ascend strictly by code point, as UTF-8 sorts its bytes: two lists are compared by
merging them.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import struct
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final, TypeVar

import msgspec

from mapreduce.errors import MapReduceError
from mapreduce.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

FORMAT: Final = b"mapreduce objects "
VERSION: Final = 1
MAGIC: Final = FORMAT + b"%d\n" % VERSION
BLOCK: Final = struct.Struct("<II")  # length, CRC-32 of what is packed
END: Final = struct.Struct("<Q")  # objects
BLOCK_OBJECTS: Final = 4096
MAX_PACKED_BYTES: Final = 1 << 28
MAX_BLOCK_BYTES: Final = 1 << 30  # unpacked: that of the head has every quarantined object
LEVEL: Final = 1

T = TypeVar("T")


class Covered(msgspec.Struct, frozen=True, array_like=True):
    """An object that a run covered; `reason` is why it was quarantined, "" where it was not."""

    address: str
    etag: str
    size_bytes: int
    reason: str = ""


class Head(msgspec.Struct, frozen=True):
    """What a run says of itself, beside its objects.

    `identity` is its own (`mapreduce.runs.fingerprint`); `base` is what stands before the keys of
    the ledger to make them addresses; `listed` and `ignored` count its objects. `files` are the
    side inputs of the job that are small, by parameter: `finish` may need them.
    """

    identity: str
    base: str
    listed: int
    ignored: int
    ledger: Ledger
    files: dict[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a run's sums cover: see `Head`; `objects` gives them, each time anew."""

    identity: str
    base: str
    listed: int
    ignored: int
    objects: Callable[[], Iterable[Covered]]
    files: dict[str, bytes] = field(default_factory=dict)


class OutOfOrderError(Exception):
    """An address that does not come after the one before."""


class ListError(MapReduceError):
    """A list that is not as it was written."""


def write_list(file: IO[bytes], head: Head, objects: Callable[[], Iterable[Covered]]) -> None:
    """Write a list.

    Parameters
    ----------
    file
        Open, and empty.
    objects
        Gives them anew each time it is called, in any order, each address once.

    Raises
    ------
    ListError
        Where there are not as many as the head says, or an address is there twice.
    """
    start = file.tell()
    try:
        count = _write(file, head, objects())
    except OutOfOrderError:
        file.seek(start)
        file.truncate()
        try:
            count = _write(file, head, _sorted(objects()))
        except OutOfOrderError as twice:
            raise ListError(f"{twice} is listed twice. Please report this.") from None
    if count != head.listed:
        raise ListError(f"{count} objects are noted, {head.listed} listed. Please report this.")


def head_in(path: Path) -> Head:
    """Read what the run says of itself; raises as `objects_in`."""
    with _opened(path) as file:
        return _head(path, file)


def objects_in(path: Path) -> Iterator[Covered]:
    """Give the objects of a list, ascending by address.

    Raises
    ------
    ListError
        Where it is of another version, cut off or damaged.
    """
    with _opened(path) as file:
        head = _head(path, file)
        count, last = 0, ""
        while (raw := _block(path, file)) is not None:
            for one in _decoded(path, raw, list[Covered]):
                if one.address <= last and count:
                    raise _damaged(path, "its objects are not in order")
                count, last = count + 1, one.address
                yield one
        rest = file.read(END.size + 1)
        if len(rest) != END.size or END.unpack(rest) != (count,) or count != head.listed:
            raise _damaged(path, f"{head.listed:,} objects are expected, {count:,} are there")


def _write(file: IO[bytes], head: Head, objects: Iterable[Covered]) -> int:
    file.write(MAGIC)
    _write_block(file, msgspec.msgpack.encode(head))
    last: str | None = None
    count = 0
    each = iter(objects)
    while block := list(itertools.islice(each, BLOCK_OBJECTS)):
        for one in block:
            if last is not None and one.address <= last:
                raise OutOfOrderError(one.address)
            last = one.address
        _write_block(file, msgspec.msgpack.encode(block))
        count += len(block)
    file.write(BLOCK.pack(0, 0) + END.pack(count))
    return count


def _write_block(file: IO[bytes], raw: bytes) -> None:
    packed = zlib.compress(raw, LEVEL)
    file.write(BLOCK.pack(len(packed), zlib.crc32(packed)))
    file.write(packed)


def _sorted(objects: Iterable[Covered]) -> Iterator[Covered]:
    """Sort by address on the disk: a store may list in any order."""
    with contextlib.closing(sqlite3.connect("")) as base:  # a file of its own, which nobody sees
        base.execute("create table o (address blob, etag text, size integer, reason text)")
        rows = ((o.address.encode(), o.etag, o.size_bytes, o.reason) for o in objects)
        base.executemany("insert into o values (?, ?, ?, ?)", rows)
        for address, etag, size, reason in base.execute("select * from o order by address"):
            yield Covered(address.decode(), etag, size, reason)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                raise _not_ours(path, magic)
            yield file
    except OSError as error:
        raise ListError(f"{path} cannot be read: {error.strerror}") from None


def _head(path: Path, file: IO[bytes]) -> Head:
    raw = _block(path, file)
    if raw is None:
        raise _damaged(path, "it has no head")
    return _decoded(path, raw, Head)


def _block(path: Path, file: IO[bytes]) -> bytes | None:
    """Give the next block; None at the last one."""
    begin = file.read(BLOCK.size)
    if len(begin) != BLOCK.size:
        raise _damaged(path, "it is cut off")
    length, crc = BLOCK.unpack(begin)
    if begin == BLOCK.pack(0, 0):
        return None
    packed = file.read(length) if length <= MAX_PACKED_BYTES else b""
    if len(packed) != length or zlib.crc32(packed) != crc:
        raise _damaged(path, "it is cut off, or a block has changed")
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(packed, MAX_BLOCK_BYTES)
    except zlib.error:
        raise _damaged(path, "a block cannot be unpacked") from None
    if not inflate.eof:
        raise _damaged(path, "a block is too large")
    return raw


def _decoded(path: Path, raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from None


def _not_ours(path: Path, magic: bytes) -> ListError:
    """Say of what begins otherwise what it is."""
    if not magic.startswith(FORMAT):
        return _damaged(path, "its beginning is not that of a list of objects")
    version = magic.removeprefix(FORMAT).decode(errors="replace").strip()
    return ListError(
        f"{path} has version {version} of its format, and this program reads version"
        f" {VERSION}: use the release that wrote it, or run again"
    )


def _damaged(path: Path, what: str) -> ListError:
    return ListError(f"{path} is damaged ({what}): run again to write it again")
