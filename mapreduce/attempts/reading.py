"""One object, or a piece of one, in an attempt: from its bytes to blocks of records.

Documents come whole, fetched ahead; lines, rows and points are streamed, in bounded memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from mapreduce.attempts.prefetch import entry_of
from mapreduce.errors import ObjectError
from mapreduce.formats import deep_stack, line_blocks
from mapreduce.formats.formats import DocumentFormat, refuse_beginning
from mapreduce.formats.gpx import Gpx
from mapreduce.formats.parquet import MAGIC, Parquet
from mapreduce.formats.parsed import NOT_A_RECORD, Parsed
from mapreduce.formats.record_list import TEXT_BYTES, text_bytes
from mapreduce.ledger import SAMPLES_PER_REASON
from mapreduce.objects import Location
from mapreduce.objects.compression import compression_of
from mapreduce.objects.file_kinds import (
    HEAD_BYTES,
    refuse_other_than,
    refuse_packed,
    refusing,
)
from mapreduce.objects.members import PLAIN, member_of
from mapreduce.objects.object_file import ObjectFile
from mapreduce.objects.unpacked import unpacked
from mapreduce.plan import TO_THE_END

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from mapreduce.attempts.prefetch import Fetcher
    from mapreduce.formats.formats import Format, LineFormat
    from mapreduce.limits import Limits
    from mapreduce.objects.body import Body
    from mapreduce.objects.reader import Reader
    from mapreduce.plan import Piece

LEAST_BLOCK_BYTES: Final = 1 << 12
NO_ROWS: Final = np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Reading:
    """A piece whose blocks come as they are asked for.

    `again` gives them anew, where they are streamed; `unchecked` is known once they have begun.
    """

    piece: Piece
    blocks: Generator[Parsed]
    again: Callable[[], Generator[Parsed]] | None = None
    body: Body | None = None
    unchecked: bool = False

    def take(self, body: Body) -> None:
        """Note the body that the blocks are read from."""
        self.body = body
        self.unchecked |= body.unchecked


class Readings:
    """Reads the pieces of splits in a job's format.

    Parameters
    ----------
    format_
        What the records are in.
    fetcher
        Fetches objects ahead.
    reader, limits
        How a location is read, and caps.
    """

    def __init__(self, format_: Format, fetcher: Fetcher, reader: Reader, limits: Limits) -> None:
        self._format = format_
        self._fetcher = fetcher
        self._reader = reader
        self._limits = limits

    def of(self, pieces: Sequence[Piece], locations: Sequence[Location]) -> Iterator[Reading]:
        """Give the pieces of a split in order, each to be read before the next is asked for."""
        format_ = self._format
        if isinstance(format_, DocumentFormat):
            parse = partial(format_.parse, allow_nan=self._limits.allow_nan)
            for piece, document in self._fetcher.documents(pieces, locations):
                yield Reading(piece, _document(parse, document), unchecked=self._fetcher.unchecked)
                del document
            return
        for piece, location in self._fetcher.nearer(pieces, locations):
            reading = Reading(piece, _nothing(), unchecked=self._fetcher.unchecked)
            reading.again = partial(self._streamed, format_, reading, location)
            reading.blocks = reading.again()
            yield reading

    def explained(self, piece: Piece, location: Location, error: ObjectError) -> ObjectError:
        """Give what is wrong with an object; of an archive that is none, why."""
        from mapreduce.objects.archives import explained  # noqa: PLC0415 - loads a database for its names

        return explained(self._reader, entry_of(piece), location, error)

    def _streamed(
        self,
        format_: LineFormat | Parquet | Gpx,
        reading: Reading,
        location: Location | ObjectError,
    ) -> Generator[Parsed]:
        if isinstance(location, ObjectError):
            raise location
        if reading.piece.size_bytes == 0:
            raise ObjectError("empty", "0 bytes")
        if isinstance(format_, Parquet):
            yield from self._groups(format_, reading, location)
        elif isinstance(format_, Gpx):
            yield from self._points(format_, reading, location)
        else:
            yield from self._blocks(format_, reading, location)

    def _groups(self, format_: Parquet, reading: Reading, location: Location) -> Generator[Parsed]:
        piece = reading.piece
        stop = None if piece.stop in (TO_THE_END, piece.size_bytes) else piece.stop
        with ObjectFile(self._reader, entry_of(piece), self._at_hand(piece, location)) as file:
            refuse_other_than(MAGIC, "a Parquet file", file.read(HEAD_BYTES), piece.key)
            with file.fault_raised():
                cap = self._limits.object_cap_bytes
                yield from format_.batches(file, piece.start, stop, cap_bytes=cap)
            reading.unchecked |= file.unchecked

    def _at_hand(self, piece: Piece, location: Location) -> Location:
        """Give where to read parts of an object: here, if it is unpacked from its beginning."""
        member = member_of(entry_of(piece)) if location.member else None
        if member is None or member.method == PLAIN:
            return location
        if piece.size_bytes > self._limits.object_cap_bytes:
            return location  # in bounded memory, and as often as parts of it are asked for
        with self._reader.open(entry_of(piece), location) as body:
            return Location(body=body.read())

    def _points(self, format_: Gpx, reading: Reading, location: Location) -> Generator[Parsed]:
        piece = reading.piece
        with self._reader.open(entry_of(piece), location) as body:
            reading.take(body)
            content = unpacked(body, piece.key)
            yield from format_.batches(refusing(content.read, piece.key))

    def _blocks(
        self, format_: LineFormat, reading: Reading, location: Location
    ) -> Generator[Parsed]:
        piece = reading.piece
        start = piece.start
        stop: int | None = piece.stop
        packed = not piece.whole and self._is_packed(piece, location)
        if packed and start:
            return  # the piece at its beginning reads all of it: there is no other way in
        if packed or stop in (TO_THE_END, piece.size_bytes):
            stop = None
        cap = self._limits.line_cap_bytes
        parse = format_.begin(allow_nan=self._limits.allow_nan)
        if format_.has_header and start:
            parse(self._first_line(piece, location))
        most = max(LEAST_BLOCK_BYTES, TEXT_BYTES // max(1, text_bytes(format_.fields)))
        at_once = min(line_blocks.BLOCK_BYTES, most)
        with self._reader.open(entry_of(piece), location, line_blocks.first_byte(start)) as body:
            reading.take(body)
            content = unpacked(body, piece.key) if packed or piece.whole else body
            read = refusing(content.read, piece.key) if packed or piece.whole else body.read
            found = line_blocks.blocks(read, start, stop, block_bytes=at_once, cap_bytes=cap)
            if not start:
                found = _begun(found, format_, cap)
            for block, too_long in found:
                if too_long:
                    few = range(min(too_long, SAMPLES_PER_REASON))
                    lost = [(NOT_A_RECORD, n, f"a line of over {cap:,} bytes") for n in few]
                    yield Parsed({}, {}, NO_ROWS, too_long, {NOT_A_RECORD: too_long}, lost)
                if block:
                    yield deep_stack.parsed(parse, block)

    def _first_line(self, piece: Piece, location: Location) -> bytes:
        """Read the line that names the columns of an object that was divided."""
        cap = self._limits.line_cap_bytes
        with self._reader.open(entry_of(piece), location) as body:
            for block, _ in line_blocks.blocks(
                body.read, 0, 1, block_bytes=LEAST_BLOCK_BYTES, cap_bytes=cap
            ):
                return block
        return b""

    def _is_packed(self, piece: Piece, location: Location) -> bool:
        """Tell whether an object that was divided, going by its name, is packed all the same.

        Raises
        ------
        ObjectError
            It is packed in a way that is not read here.
        """
        with self._reader.open(entry_of(piece), location, 0, HEAD_BYTES) as body:
            head = body.read()
        refuse_packed(head, piece.key)
        return compression_of(head) is not None


def _nothing() -> Generator[Parsed]:
    yield from ()


def _begun(
    blocks: Iterator[tuple[bytes, int]], format_: LineFormat, cap_bytes: int
) -> Iterator[tuple[bytes, int]]:
    """Give the same blocks of an object; refuse it where its beginning says that nothing is read.

    Raises
    ------
    ObjectError
        `empty`, `bad_encoding`, or `wrong_shape` where the line that names columns is too long.
    """
    first = next(blocks, None)
    if first is None:
        raise ObjectError("empty", "no line in it")
    block, too_long = first
    if too_long and format_.has_header:
        raise ObjectError("wrong_shape", f"a first line of over {cap_bytes:,} bytes")
    if not too_long:
        refuse_beginning(format_, block)
    yield first
    yield from blocks


def _document(parse: Callable[[bytes], Parsed], document: bytes | ObjectError) -> Generator[Parsed]:
    if isinstance(document, ObjectError):
        raise document
    yield deep_stack.parsed(parse, document)
