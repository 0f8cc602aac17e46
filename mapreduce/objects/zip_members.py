"""The members of zip archives as objects: `trips.zip!/2019/a.json`.

A member is read by its own range, in the version of the archive that was listed, unpacked as it
comes, and held against its length and checksum. What is needed for that stands in its etag, so an
entry says all of it wherever it goes. Nothing is unpacked to a disk, and no name in an archive is a
path here. `archives` lists them.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import msgspec

from mapreduce.errors import ObjectError
from mapreduce.objects import Entry
from mapreduce.objects.selection import WITHIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mapreduce.objects import Location, Spread, Store
    from mapreduce.objects.body import Body

    OpenOne = Callable[[Entry, Location, int], Body]

MARK: Final = "!zip!"  # in an etag, before what is known of a member
ENDING: Final = ".zip"
SIGN: Final = b"PK\x03\x04"
HEADER_BYTES: Final = 30
LENGTHS, LENGTHS_AT = struct.Struct("<HH"), 26  # of the name and what follows it, in a header
STORED, DEFLATED, ENCRYPTED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, -1
PIECE_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member lies: in which version of which archive, from which byte, how packed."""

    archive: Entry
    offset: int
    packed_bytes: int
    method: int
    crc: int

    def entry(self, name: str, size_bytes: int) -> Entry:
        """Give the object that it is."""
        where = (self.offset, self.packed_bytes, self.method, self.crc)
        known = (len(self.archive.key), self.archive.size_bytes, *where)
        etag = f"{self.archive.etag}{MARK}{'!'.join(map(str, known))}"
        return Entry(f"{self.archive.key}{WITHIN}{name}", size_bytes, etag)


def member_of(entry: Entry) -> Member | None:
    """Give what an entry says of a member; None where it is none."""
    etag, mark, known = entry.etag.rpartition(MARK)
    if not mark:
        return None
    length, size, *where = map(int, known.split("!"))
    return Member(Entry(entry.key[:length], size, etag), *where)


def archive_of(entry: Entry) -> Entry:
    """Give the object that a store knows: a member's archive, or the entry itself."""
    member = member_of(entry)
    return entry if member is None else member.archive


def located(store: Store, entry: Entry) -> Location:
    """Give where an entry is read, a member too; raises as the store's `locate`."""
    return _told(entry, store.locate(archive_of(entry)))


def located_at(store: Spread, entry: Entry, endpoints: Sequence[str]) -> Location:
    """Do the same at some nodes; raises as the store's `locate_at`."""
    return _told(entry, store.locate_at(archive_of(entry), endpoints))


def _told(entry: Entry, location: Location) -> Location:
    if member_of(entry) is None:
        return location
    return msgspec.structs.replace(location, member=True)


class MemberBody:
    """A member's bytes, or a range of them, as they are unpacked.

    Parameters
    ----------
    packed
        The archive's bytes from the member's own header on.
    member, entry
        What is known of it; `entry` is the member's own.
    start, stop
        Range of the unpacked bytes.
    """

    def __init__(self, packed: Body, member: Member, entry: Entry, start: int, stop: int) -> None:
        self._packed = packed
        self._member = member
        self._entry = entry
        self._skip, self._left = start, stop - start
        self._is_whole = start == 0 and stop == entry.size_bytes
        self._to_come = member.packed_bytes
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc = self._size = 0
        self._held = b""
        self._began = False
        self.unchecked = False

    @classmethod
    def opened(
        cls, open_one: OpenOne, entry: Entry, location: Location, start: int, stop: int
    ) -> MemberBody:
        """Open a member by what opens its archive; raises as `Reader.open`."""
        member = member_of(entry)
        assert member is not None  # noqa: S101 - its location says that it is one
        if member.method not in {STORED, DEFLATED}:
            how = "encrypted" if member.method == ENCRYPTED else f"by method {member.method}"
            told = f"{entry.key}: it is packed {how}; only stored and deflated members are read"
            raise ObjectError("unreadable", told)
        plain = msgspec.structs.replace(location, member=False)
        packed = open_one(member.archive, plain, member.offset)
        return cls(packed, member, entry, start, stop)

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes, all that is left if `n` is negative.

        Raises
        ------
        ObjectError
            `unreadable`: the member is not what the archive's directory says of it.
        """
        pieces: list[bytes] = []
        while self._left and (n < 0 or not pieces):
            piece = self._some(PIECE_BYTES if n < 0 else min(n, PIECE_BYTES))
            if not piece:
                raise self._odd("ends early")
            pieces.append(piece)
        if not self._left and self._is_whole and self._began:
            self._check()
        return b"".join(pieces)

    def _some(self, most: int) -> bytes:
        """Give the next bytes of the range, at most so many."""
        while True:
            if not self._held and not (block := self._unpacked()):
                return b""
            if not self._held:
                self._held = block
            cut = min(self._skip, len(self._held))
            self._skip -= cut
            piece = self._held[cut : cut + min(most, self._left)]
            self._held = self._held[cut + len(piece) :]
            self._left -= len(piece)
            if piece:
                return piece

    def _unpacked(self) -> bytes:
        """Give the next unpacked bytes; none at the end."""
        if not self._began:
            self._begin()
        while True:
            raw = self._inflate.unconsumed_tail
            if not raw and self._to_come:
                raw = self._packed.read(min(PIECE_BYTES, self._to_come))
                self._to_come -= len(raw)
                if not raw:
                    raise self._odd("is cut short")
            if self._member.method == STORED:
                block, is_over = raw, not raw
            else:
                try:
                    block = self._inflate.decompress(raw, PIECE_BYTES)
                except zlib.error as error:
                    raise self._odd(f"is damaged ({error})") from None
                is_over = self._inflate.eof or not (raw or block)
            self._crc = zlib.crc32(block, self._crc)
            self._size += len(block)
            if self._size > self._entry.size_bytes:
                raise self._odd("holds more than the archive's directory says")
            if block or is_over:
                return block

    def _begin(self) -> None:
        """Read the member's own header, whose length its directory does not say."""
        self._began = True
        header = self._exactly(HEADER_BYTES)
        if not header.startswith(SIGN):
            raise self._odd("does not begin where the archive's directory says")
        name, extra = LENGTHS.unpack_from(header, LENGTHS_AT)
        self._exactly(name + extra)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._packed.read(count - len(data))
            if not piece:
                raise self._odd("is cut short")
            data += piece
        return data

    def _check(self) -> None:
        """Hold the whole against its checksum, once."""
        self._is_whole = False
        if self._unpacked() or self._size != self._entry.size_bytes:
            raise self._odd("holds another number of bytes than the archive's directory says")
        if self._crc != self._member.crc:
            raise self._odd("is damaged: its checksum is another")

    def _odd(self, how: str) -> ObjectError:
        return ObjectError("unreadable", f"{self._entry.key}: the member {how}")

    def close(self) -> None:
        """Give back the archive."""
        self._packed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
