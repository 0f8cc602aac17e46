"""The directory of a zip archive, read a block at a time (PKWARE, APPNOTE 6.3.10, section 4.3).

Python's own reader holds all of it, about a kilobyte a member. What it takes is taken here, with
two rules more: there are as many members as the archive says, and together they are no larger.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from mapreduce.errors import ObjectError
from mapreduce.objects.member_body import HEADER_BYTES
from mapreduce.objects.members import ENCRYPTED, Member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.objects import Entry
    from mapreduce.objects.object_file import ObjectFile

END, END_SIGN, MOST_COMMENT = struct.Struct("<4s4H2LH"), b"PK\x05\x06", 0xFFFF
END_64, END_64_SIGN = struct.Struct("<4sQ2H2L4Q"), b"PK\x06\x06"
LOCATOR, LOCATOR_SIGN = struct.Struct("<4sLQL"), b"PK\x06\x07"
HEADER, SIGN = struct.Struct("<4s6H3L5H2L"), b"PK\x01\x02"
FIELD, FIELD_64 = struct.Struct("<2H"), 1  # of what follows a name: id and length
LARGE: Final = 0xFFFFFFFF  # stands for a number that follows in the field `FIELD_64`
IS_ENCRYPTED, IS_UTF8 = 1 << 0, 1 << 11
BLOCK_BYTES: Final = 1 << 20


def members_of_zip(file: ObjectFile, archive: Entry) -> Iterator[Entry]:
    """Give the members in the directory's order, without folders.

    Raises
    ------
    ObjectError
        `unreadable`: the directory is damaged, or members overlap.
    """
    directory = _Directory(file)
    together = found = 0
    while header := directory.take(HEADER.size):
        sign, _, _, flags, method, _, _, crc, *numbers = HEADER.unpack(header)
        packed, size, name_bytes, extra_bytes, comment_bytes, _, _, _, offset = numbers
        if sign != SIGN:
            raise _odd("its directory is damaged")
        name = _name(directory.take(name_bytes), flags)
        extra = directory.take(extra_bytes)
        directory.take(comment_bytes)
        size, packed, offset = _large(extra, [size, packed, offset])
        found, together = found + 1, together + packed + HEADER_BYTES
        if together > archive.size_bytes:
            raise _odd("its members overlap")
        if not name.endswith("/"):
            kind = ENCRYPTED if flags & IS_ENCRYPTED else method
            yield Member(archive, offset + directory.before, packed, kind, crc).entry(name, size)
    directory.check(found)


class _Directory:
    """The bytes of an archive's directory, in order.

    Attributes
    ----------
    before
        How many bytes come before what offsets count from: of a program that unpacks itself.
    """

    def __init__(self, file: ObjectFile) -> None:
        size = file.size_bytes
        tail_at = max(0, size - END.size - MOST_COMMENT)
        tail = _read(file, tail_at, size - tail_at)
        place = tail.rfind(END_SIGN)
        if place < 0 or len(tail) - place < END.size:
            raise _odd("it has no directory at its end (was it cut off?)")
        *_, self._members, self._left, offset, _ = END.unpack_from(tail, place)
        end, self._counts_to = tail_at + place, 1 << 16
        if (large := _end_64(file, end)) is not None:
            end, (*_, self._members, self._left, offset) = large
            self._counts_to = 1 << 64
        self.before = end - self._left - offset
        if self.before < 0:
            raise _odd("its directory is cut off")
        self._file, self._at = file, end - self._left
        self._block = b""
        self._place = 0

    def check(self, found: int) -> None:
        """Hold the number of members that were found against what the archive says."""
        if found % self._counts_to != self._members:
            raise _odd(f"it says that it has {self._members:,} members, and has {found:,}")

    def take(self, count: int) -> bytes:
        """Give the next bytes; none at the end."""
        stop = self._place + count
        if stop > len(self._block):
            more = min(max(BLOCK_BYTES, count), self._left)
            self._block = self._block[self._place :] + _read(self._file, self._at, more)
            self._at, self._left = self._at + more, self._left - more
            self._place, stop = 0, count
        piece = self._block[self._place : stop]
        if piece and len(piece) < count:
            raise _odd("its directory is cut off")
        self._place = stop
        return piece


def _end_64(file: ObjectFile, end: int) -> tuple[int, tuple[int, ...]] | None:
    """Give where the directory of a large archive ends, and what is said of it; None for others."""
    at = end - LOCATOR.size - END_64.size
    if at < 0:
        return None
    record = _read(file, at, END_64.size + LOCATOR.size)
    if LOCATOR.unpack_from(record, END_64.size)[0] != LOCATOR_SIGN:
        return None
    sign, *numbers = END_64.unpack_from(record)
    if sign != END_64_SIGN:
        raise _odd("the end of its directory is damaged")
    return at, tuple(numbers)


def _name(raw: bytes, flags: int) -> str:
    try:
        name = raw.decode("utf-8" if flags & IS_UTF8 else "cp437")
    except UnicodeDecodeError:
        raise _odd("a name in it is not UTF-8, as it says") from None
    if "\0" in name:
        raise _odd("a name in it holds a NUL")
    return name


def _large(extra: bytes, numbers: list[int]) -> list[int]:
    """Put numbers that need 64 bits, from what follows a name, in their places."""
    if LARGE not in numbers:
        return numbers
    while len(extra) >= FIELD.size:
        kind, length = FIELD.unpack_from(extra)
        if kind == FIELD_64:
            field = extra[FIELD.size : FIELD.size + length]
            given = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            return [next(given, LARGE) if number == LARGE else number for number in numbers]
        extra = extra[FIELD.size + length :]
    return numbers


def _read(file: ObjectFile, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _odd(how: str) -> ObjectError:
    return ObjectError("unreadable", how)
