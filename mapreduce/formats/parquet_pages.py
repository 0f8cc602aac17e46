"""How large the pages of a Parquet file are, before any is unpacked: one is held in memory whole.

A writer ends a page by rows as well as by bytes, so one text of hundreds of megabytes makes a page
of as many, in a few kilobytes of file. Only row groups larger than the cap are looked at, and in
them only columns that are. What cannot be followed here is left for pyarrow to judge.

The footer and the pages' headers are structures of Thrift's compact protocol (Apache Thrift,
`thrift-compact-protocol.md`; fields by number as in `parquet.thrift` 2.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mapreduce.errors import ObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TAIL_BYTES: Final = 8  # behind the footer: its length, and the sign
HEADER_BYTES: Final = (1 << 8, 1 << 14, 1 << 20)  # of a page: as a rule, and with long statistics
GROUPS, COLUMNS, META = 4, 1, 3  # of the file, of a row group, of a column
PATH, UNPACKED, PACKED, DATA_AT, DICTIONARY_AT = 3, 6, 7, 9, 11  # of what is said of a column
PAGE_UNPACKED, PAGE_PACKED = 2, 3  # of a page's header
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS: Final = (4, 5, 6)
BYTES: Final = {BYTE: 1, DOUBLE: 8}
LONG_LIST, MOST_SHIFT = 15, 63
CONFUSED: Final = (IndexError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def check_pages(file: Any, groups: Sequence[int], names: Sequence[str], cap_bytes: int) -> None:
    """Refuse row groups in which a page of a wanted column unpacks to more than the cap.

    Parameters
    ----------
    file
        Seekable, of the whole object.
    groups, names
        Which row groups, and dotted paths of columns.

    Raises
    ------
    ObjectError
        `too_large`, with the column and the size.
    """
    try:
        for name, column in _columns(file, groups, names):
            if column[UNPACKED] > cap_bytes:
                _check_column(file, name, column, cap_bytes)
    except CONFUSED:
        return


def _columns(
    file: Any, groups: Sequence[int], names: Sequence[str]
) -> Iterator[tuple[str, dict[int, Any]]]:
    """Give what the footer says of wanted columns."""
    size = file.seek(-TAIL_BYTES, 2) + TAIL_BYTES
    length = int.from_bytes(file.read(4), "little")
    file.seek(size - TAIL_BYTES - length)
    said = _Compact(file.read(length)).struct()[GROUPS]
    for number in groups:
        for chunk in said[number][COLUMNS]:
            column = chunk[META]
            name = b".".join(column[PATH]).decode()
            if name in names:
                yield name, column


def _check_column(file: Any, name: str, column: dict[int, Any], cap_bytes: int) -> None:
    at = min(filter(None, (column.get(DICTIONARY_AT), column[DATA_AT])))
    stop = at + column[PACKED]
    while at < stop:
        header, length = _page(file, at)
        if header[PAGE_UNPACKED] > cap_bytes:
            raise ObjectError(
                "too_large",
                f"column {name!r} has a page of {header[PAGE_UNPACKED]:,} bytes, cap"
                f" {cap_bytes:,}: write it with shorter texts, or fewer rows a page",
            )
        at += length + max(0, header[PAGE_PACKED])


def _page(file: Any, at: int) -> tuple[dict[int, Any], int]:
    """Give a page's header and its length in bytes."""
    for most in HEADER_BYTES:
        file.seek(at)
        reader = _Compact(file.read(most))
        try:
            return reader.struct(), reader.at
        except IndexError:
            continue
    raise IndexError


class _Compact:
    """Reads structures; raises IndexError at the end of the bytes, ValueError for no kind."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.at = 0

    def struct(self) -> dict[int, Any]:
        """Give the fields of a structure by their numbers."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = self._value(head & 15)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind in INTEGERS:
            return self._integer()
        if kind in (BYTE, DOUBLE, BINARY):
            count = BYTES.get(kind)
            return self._bytes(self._varint() if count is None else count)
        if kind == STRUCT:
            return self.struct()
        if kind in (LIST, SET):
            return self._list()
        if kind == MAP:
            return self._map()
        raise ValueError(kind)

    def _list(self) -> list[Any]:
        head = self._byte()
        size = self._varint() if head >> 4 == LONG_LIST else head >> 4
        return [self._item(head & 15) for _ in range(size)]

    def _map(self) -> list[tuple[Any, Any]]:
        size = self._varint()
        kinds = self._byte() if size else 0
        return [(self._item(kinds >> 4), self._item(kinds & 15)) for _ in range(size)]

    def _item(self, kind: int) -> Any:
        return self._byte() if kind in (TRUE, FALSE) else self._value(kind)

    def _bytes(self, count: int) -> bytes:
        piece = self._raw[self.at : self.at + count]
        if len(piece) < count:
            raise IndexError(count)
        self.at += count
        return piece

    def _byte(self) -> int:
        self.at += 1
        return self._raw[self.at - 1]

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > MOST_SHIFT:
                raise ValueError(shift)
        return number | byte << shift
