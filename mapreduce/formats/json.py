"""JSON: a document that holds records, one of many documents in another, or one record a line.

A document's records are the list at a path (`Json`), or lie in it as columns (`JsonColumns`). A
step of the path that ends in `[]` is a list of which each item is read as a document by itself. A
`Head` is a value beside the records, given to each of them. Input is judged strictly: each record
is kept or dropped for one reason, the first that applies in the order the fields are declared,
those of the head last.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeAlias

import msgspec
import numpy as np

from mapreduce.errors import ObjectError
from mapreduce.formats import nan_tokens, salvage
from mapreduce.formats.column_lists import ColumnLists
from mapreduce.formats.field_path import keys_of, parts_at_list
from mapreduce.formats.fields import Field, Head, Unit, checked
from mapreduce.formats.leaves import shown_leaf
from mapreduce.formats.line_blocks import BOM
from mapreduce.formats.parsed import (
    Parsed,
    assembled,
    columns_of,
    joined_in_turn,
    narrowed,
    not_a_record,
)
from mapreduce.formats.record_list import (
    UNSUSPICIOUS,
    RecordList,
    check_width,
    of_leaves,
    read_again,
    refuse_deep,
    refuse_no_document,
)
from mapreduce.formats.record_type import RecordType
from mapreduce.ledger import SAMPLES_PER_REASON
from mapreduce.safe_text import shown_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

OF_THE_WHOLE: Final = frozenset(("too_deep", "too_large"))
AnyField: TypeAlias = Field | Head


class _Reader(Protocol):
    """Reads a document: `RecordList`, `ColumnLists` or `_Several`."""

    at: str

    def parse(self, document: bytes, *, allow_nan: bool = False) -> Parsed: ...


ReaderOf: TypeAlias = "Callable[[str, Mapping[str, Field]], _Reader]"


class _Documents:
    """What the formats of whole documents share: the head, and documents within a document."""

    unit: ClassVar[Unit] = "document"

    def __init__(self, reader_of: ReaderOf, at: str, given: Mapping[str, AnyField]) -> None:
        own = {name: one for name, one in given.items() if not isinstance(one, Head)}
        heads = {name: one for name, one in given.items() if isinstance(one, Head)}
        parts = parts_at_list(at)
        if parts is None:
            self.reader = reader_of(at, own)
            inner: Mapping[str, Field] = own
        else:
            outer, rest = parts
            below = {n: h.below(outer) for n, h in heads.items()}
            inside = {n: h for n, h in below.items() if h is not None}
            heads = {n: h for n, h in heads.items() if n not in inside}
            self.reader = _Several(outer, _Documents(reader_of, rest, {**own, **inside}))
            inner = self.reader.each.fields
        self.at = at
        self.fields: Mapping[str, Field] = {**inner, **{n: h.field for n, h in heads.items()}}
        self._head = _HeadReader(self.reader.at, heads) if heads else None

    def parse(self, document: bytes, *, allow_nan: bool = False) -> Parsed:
        """Read one whole document; with `allow_nan` as Python's `json.dump` writes it.

        Raises
        ------
        ObjectError
            `empty`, `not_json`, `wrong_shape`, `too_deep`, `too_large` or `bad_encoding`, with
            the place.
        RecursionError
            Where the caller's stack is nearly used up; see `mapreduce.formats.deep_stack`.
        """
        return self.read(document.removeprefix(BOM), allow_nan=allow_nan)

    def read(self, document: bytes, *, allow_nan: bool = False) -> Parsed:
        """Do the same for a document within another, or on a line: no mark comes before it."""
        parsed = self.reader.parse(document, allow_nan=allow_nan)
        return parsed if self._head is None else self._head.given_to(parsed, document)


class Json(_Documents):
    """A JSON document whose records are the list at a dotted path (`at=""`: the document itself).

    A step that ends in `[]` is a list of documents: `trips[].points`, or `[].data` where the
    whole document is a list of them.

    Examples
    --------
    >>> Json(at="data", link=Int("dbResponse.linkID"), speed=Float("absVelocity"))
    >>> Json(at="trips[].points", link=Int("id"), driver=Head(Int("trips[].driver")))
    """

    def __init__(self, *, at: str, **fields: AnyField) -> None:
        super().__init__(RecordList, at, fields)


class JsonColumns(_Documents):
    """A JSON document with a list for each field, all of one length: item by item a record.

    `at` is the dotted path of the object that holds the lists, and each field's path leads from
    there to its list. Steps that end in `[]` are as in `Json`.

    Examples
    --------
    >>> JsonColumns(at="", link=Int("link"), speed=Float("speed"))
    """

    def __init__(self, *, at: str, **fields: AnyField) -> None:
        super().__init__(ColumnLists, at, fields)


class _HeadReader:
    """Gives each record of a document the values that stand beside the records in it."""

    def __init__(self, at: str, heads: Mapping[str, Head]) -> None:
        self._at = at
        self._fields = checked({name: head.field for name, head in heads.items()})
        self._shape = RecordType(self._fields)

    def given_to(self, parsed: Parsed, document: bytes) -> Parsed:
        """Add the values to the records kept; drop these where a value that is needed is none."""
        head = self._shape.record(nan_tokens.masked(document, nan_tokens.MARKED))
        if head is None:  # some record is no JSON
            beside = salvage.elements(document, self._at, allow_nan=True).beside
            head = self._shape.record(nan_tokens.masked(beside, nan_tokens.MARKED))
        leaves, _ = self._shape.leaves([self._shape.blank if head is None else head])
        first = np.zeros(len(parsed.rows), np.int64)
        columns = {n: c.at(first, None) for n, c in columns_of(self._fields, leaves).items()}
        more = assembled(
            self._fields, columns, len(first), shown=lambda name, _: shown_leaf(leaves[name][0])
        )
        return narrowed(parsed, more)


class _Several:
    """The documents in a list of a document; one that cannot be read costs one record."""

    def __init__(self, at: str, each: _Documents) -> None:
        self.at = at
        self.each = each
        self._keys = keys_of(at, "records at") if at else []
        self._decoder = self._decoder_of(msgspec.Raw)
        self._skipper = self._decoder_of(msgspec.defstruct("Any", [], gc=False))

    def _decoder_of(self, each: Any) -> msgspec.json.Decoder[Any]:
        outer: Any = list[each]
        for part in reversed(self._keys):
            outer = msgspec.defstruct("Document", [("value", outer)], rename={"value": part})
        return msgspec.json.Decoder(outer)

    def parse(self, document: bytes, *, allow_nan: bool = False) -> Parsed:
        """Read one whole document; raises as `_Documents.parse`."""
        opened = salvage.openers(document)

        def raws() -> Iterator[bytes]:
            nonlocal opened
            for raw in self._documents(document, allow_nan=allow_nan):
                opened -= salvage.openers(raw)
                yield raw

        found = joined_in_turn(self._parts(raws(), allow_nan=allow_nan), self.each.fields)
        if opened > UNSUSPICIOUS:  # beside the documents that were read
            refuse_deep(document)
        return found

    def _parts(self, raws: Iterable[bytes], *, allow_nan: bool) -> Iterator[Parsed]:
        records = 0
        for part in _read_each(self.each, raws, allow_nan=allow_nan, within=True):
            records += part.read
            if records > salvage.MAX_RECORDS:
                raise ObjectError("too_large", f"more than {salvage.MAX_RECORDS:,} records")
            check_width(self.each.fields, records)
            yield part

    def _documents(self, document: bytes, *, allow_nan: bool) -> Iterable[bytes]:
        is_text = salvage.is_ascii(document) or salvage.is_utf8(document)
        if is_text and self._are_few(document):
            try:
                found = self._decoder.decode(document)
            except msgspec.MsgspecError:
                pass
            except RecursionError:
                refuse_deep(document)
                raise
            else:
                for _ in self._keys:
                    found = found.value
                return map(bytes, found)
        refuse_no_document(document)
        return salvage.elements(document, self.at, allow_nan=allow_nan)

    def _are_few(self, document: bytes) -> bool:
        """Whether memory holds all documents at once; where that is not known it does not."""
        if document.count(b",") < salvage.MAX_RECORDS:
            return True
        if salvage.openers(document) > salvage.MAX_RECORDS:
            return False
        try:
            self._skipper.decode(document)  # each is an object, which opens with a bracket
        except (msgspec.MsgspecError, RecursionError):
            return False
        return True


class JsonLines:
    """One JSON record a line; or one document a line, with a list of records at `records_at`.

    A line that is not a record, or no such document, costs one record (`not_a_record`); blank
    lines are no records.
    """

    unit: ClassVar[Unit] = "line"
    has_header: ClassVar[bool] = False

    def __init__(self, *, records_at: str | None = None, **fields: AnyField) -> None:
        self._documents = None if records_at is None else Json(at=records_at, **fields)
        if self._documents is not None:
            self.fields = self._documents.fields
            return
        self.fields = checked(fields)
        self.shape = RecordType(self.fields)
        self._decoder = msgspec.json.Decoder(self.shape.type)

    def begin(self, *, allow_nan: bool = False) -> Callable[[bytes], Parsed]:
        """Give what parses the blocks of one object."""
        return partial(self.parse, allow_nan=allow_nan)

    def parse(self, block: bytes, *, allow_nan: bool = False) -> Parsed:
        """Read a block of whole lines; places are counted within the block."""
        if self._documents is not None:
            documents = (line for line in block.split(b"\n") if line.strip())
            parts = _read_each(self._documents, documents, allow_nan=allow_nan)
            return joined_in_turn(parts, self.fields)
        if salvage.is_ascii(block) or salvage.is_utf8(block):
            try:
                found = self._decoder.decode_lines(nan_tokens.masked(block) if allow_nan else block)
            except msgspec.MsgspecError:
                found = None
            except RecursionError:
                if not salvage.too_deep(block):
                    raise
                found = None
            if found is not None and _one_a_line(block, len(found)):
                leaves, nested = self.shape.leaves(found)
                unexplained = salvage.openers(block) - len(found) - nested
                if unexplained < UNSUSPICIOUS or not salvage.too_deep(block):
                    return of_leaves(self.fields, leaves, len(found))
        lines = [line for line in block.split(b"\n") if line.strip()]
        return read_again(self.shape, lines, allow_nan=allow_nan, refused=salvage.too_deep)


def _read_each(
    form: _Documents, raws: Iterable[bytes], *, allow_nan: bool, within: bool = False
) -> Iterator[Parsed]:
    """Read documents; one that cannot be read is one record that is none.

    Of the first such ones it is told why. What is too much of one `within` another is so of both.
    """
    told = 0
    none = not_a_record(form.fields, "")
    for raw in raws:
        if told >= SAMPLES_PER_REASON and _holds_no_list(raw):
            yield none  # as read, but at once: there may be millions
            continue
        try:
            part = form.read(raw, allow_nan=allow_nan)
        except ObjectError as error:
            if within and error.reason in OF_THE_WHOLE:
                raise
            told += 1
            part = not_a_record(form.fields, f"{error.place or error.reason}: {shown_raw(raw)}")
        yield part


def _holds_no_list(document: bytes) -> bool:
    return b"[" not in document and document.count(b"{") <= salvage.MAX_DEPTH


def _one_a_line(block: bytes, count: int) -> bool:
    """Tell whether each line is one object, where a block was read as `count` of them.

    msgspec takes two values in a line and a value over two lines. But where every line begins
    with a brace and ends with one, no value goes over a line's end: in JSON `}` is never followed
    by `{`. A block that is laid out otherwise is read line by line.
    """
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    block = block.removesuffix(b"\n")
    ends = block.count(b"\n")
    braced = block.startswith(b"{") and block.endswith(b"}") and block.count(b"}\n{") == ends
    return count == ends + 1 if braced else count == 0
