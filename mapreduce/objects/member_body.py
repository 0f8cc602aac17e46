"""Members of archives as bodies; those of a zip are unpacked and held against their checksum."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final, Self

import msgspec

from mapreduce.errors import ObjectError
from mapreduce.objects.members import ENCRYPTED, NO_FILE, PLAIN, member_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.objects import Entry, Location
    from mapreduce.objects.body import Body
    from mapreduce.objects.members import Member

    Open = Callable[[Entry, Location, int, int], Body]

SIGN: Final = b"PK\x03\x04"
HEADER_BYTES: Final = 30
LENGTHS, LENGTHS_AT = struct.Struct("<HH"), 26  # of the name and what follows it, in a header
PIECE_BYTES: Final = 1 << 18
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
REFUSED: Final = {
    ENCRYPTED: "it is encrypted: decrypt it first",
    NO_FILE: (
        "it is a link, a device or a sparse file: archive a plain file (tar --dereference"
        " --hard-dereference)"
    ),
}


def opened(open_: Open, entry: Entry, location: Location, start: int, stop: int) -> Body:
    """Open bytes `start` to `stop` of a member by what opens its archive.

    Raises
    ------
    ObjectError
        `unreadable`: it is packed in a way that is not read, or no file; or as `Reader.open`.
    """
    member = member_of(entry)
    assert member is not None  # noqa: S101 - its location says that it is one
    plain = msgspec.structs.replace(location, member=False)
    if member.method == PLAIN:
        return open_(member.archive, plain, member.offset + start, member.offset + stop)
    if member.method not in METHODS:
        packed = f"it is packed by method {member.method}, and not by deflate: make it anew (zip)"
        raise ObjectError("unreadable", f"{entry.key}: {REFUSED.get(member.method, packed)}")
    body = open_(member.archive, plain, member.offset, member.archive.size_bytes)
    return ZipBody(body, member, entry, start, stop)


class ZipBody:
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
            if self._member.method == zipfile.ZIP_STORED:
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
