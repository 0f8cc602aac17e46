"""Formats: the bytes of an object to columns of the wanted fields, and an account of the rest.

Three formats, declared by a job: `Json` (a document with a list of records), `JsonLines` and
`Lines` (one record a line, any size of object). One strict grammar judges all input. Each record
is kept or dropped for one reason, the first that applies in the order the fields are declared; a
document that fails as a whole is read again record by record. Nothing here opens or reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from mapreduce import structure
from mapreduce.errors import JobError, ObjectError
from mapreduce.fields import Field, FieldColumn, Mask, Text
from mapreduce.ledger import SAMPLES_PER_REASON
from mapreduce.lines import BOM
from mapreduce.scanner import scanner
from mapreduce.shape import Shape, keys_of
from mapreduce.table import MAX_KEY_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mapreduce.table import Array

NOT_A_RECORD: Final = "not_a_record"
TAKEN: Final = frozenset(("has", "object", "part", "rows"))
UNSUSPICIOUS: Final = structure.MAX_DEPTH // 2  # so many brackets can't nest too deep


@dataclass(frozen=True, slots=True)
class Parsed:
    """Records of one object, or of one block of it, as columns.

    `columns` has an array of length n for each field; `present` a mask for each optional field
    that is absent somewhere; `rows` is int64[n], each kept record's place in the object, counted
    from 0. `dropped` counts by reason, `samples` holds a few (reason, place).
    """

    columns: Mapping[str, Array]
    present: Mapping[str, Mask]
    rows: npt.NDArray[np.int64]
    read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    samples: Sequence[tuple[str, int]] = ()


class Json:
    """A JSON document whose records are the list at a dotted path (`at=""`: the document itself).

    Examples
    --------
    >>> Json(at="data", link=Int("dbResponse.linkID"), speed=Float("absVelocity"))
    """

    by_line: ClassVar[bool] = False

    def __init__(self, *, at: str, **fields: Field) -> None:
        self.at = at
        self.fields = fields
        self.shape = Shape(_checked(fields))
        outer: Any = list[self.shape.type]  # type: ignore[name-defined]
        way = keys_of(at, "records at") if at else []
        for part in reversed(way):
            outer = msgspec.defstruct("Document", [("value", outer)], rename={"value": part})
        self._scanner = scanner(at, fields, structure.MAX_RECORDS)
        self._decoder = msgspec.json.Decoder(outer)
        self._depth = len(way)

    def parse(self, document: bytes) -> Parsed:
        """Read one whole document.

        Raises
        ------
        ObjectError
            `empty`, `not_json`, `wrong_shape`, `too_deep`, `too_large` or `bad_encoding`, with
            the place.
        RecursionError
            Where the caller's stack is nearly used up; see `mapreduce.stack`.
        """
        document = document.removeprefix(BOM)
        if self._scanner and (found := self._scanner.read(document)):
            columns, n, is_ascii = found
            if is_ascii or _is_utf8(document):
                return assembled(self.fields, columns, n)
        return self._parse_strictly(document)

    def _parse_strictly(self, document: bytes) -> Parsed:
        """Read what is not plain, or what no scanner is here for: msgspec is the judge."""
        if not structure.is_ascii(document) and not _is_utf8(document):
            return self._parse_again(document)
        opened = structure.openers(document)
        if opened > structure.MAX_RECORDS:  # perhaps more records than memory should hold
            return self._parse_again(document)
        try:
            found = self._decoder.decode(document)
        except msgspec.MsgspecError:
            return self._parse_again(document)
        except RecursionError:
            _refuse_deep(document)
            raise
        for _ in range(self._depth):
            found = found.value
        leaves, nested = self.shape.leaves(found)
        if opened - len(found) - nested >= UNSUSPICIOUS:
            _refuse_deep(document)
        return assembled(self.fields, columns_of(self.fields, leaves), len(found))

    def _parse_again(self, document: bytes) -> Parsed:
        """Read record by record: one that is bad costs one record."""
        if not document.strip():
            raise ObjectError("empty", f"{len(document)} bytes, nothing but white space")
        if document[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in document[:2]:
            raise ObjectError("bad_encoding", "expected UTF-8, got UTF-16 or UTF-32")
        _refuse_deep(document)
        return read_again(self.shape, structure.elements(document, self.at))


class JsonLines:
    """One JSON record a line; blank lines are no records.

    A line that is not a record costs one record (`not_a_record`).
    """

    by_line: ClassVar[bool] = True

    def __init__(self, **fields: Field) -> None:
        self.fields = fields
        self.shape = Shape(_checked(fields))
        self._decoder = msgspec.json.Decoder(self.shape.type)

    def parse(self, block: bytes) -> Parsed:
        """Read a block of whole lines; places are counted within the block."""
        if structure.is_ascii(block) or _is_utf8(block):
            try:
                found = self._decoder.decode_lines(block)
            except msgspec.MsgspecError:
                found = None
            except RecursionError:
                if not structure.too_deep(block):
                    raise
                found = None
            if found is not None and _one_a_line(block, len(found)):
                leaves, nested = self.shape.leaves(found)
                unexplained = structure.openers(block) - len(found) - nested
                if unexplained < UNSUSPICIOUS or not structure.too_deep(block):
                    return assembled(self.fields, columns_of(self.fields, leaves), len(found))
        lines = [line for line in block.split(b"\n") if line.strip()]
        return read_again(self.shape, (None if structure.too_deep(x) else x for x in lines))


class Lines:
    """Plain text: one record a line, as bytes without its line end, in the named field."""

    by_line: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        _check_name(name)
        self.name = name
        self.fields: dict[str, Field] = {}

    def parse(self, block: bytes) -> Parsed:
        """Read a block of whole lines."""
        lines = block.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        column = np.empty(len(lines), dtype=object)
        column[:] = [line.removesuffix(b"\r") for line in lines]
        return Parsed({self.name: column}, {}, np.arange(len(lines)), len(lines))


Format: TypeAlias = Json | JsonLines | Lines


def columns_of(
    fields: Mapping[str, Field], leaves: Mapping[str, Sequence[Any]]
) -> dict[str, FieldColumn]:
    """Turn decoded leaves into columns."""
    return {name: field.column(leaves[name]) for name, field in fields.items()}


def assembled(
    fields: Mapping[str, Field],
    found: Mapping[str, FieldColumn],
    n: int,
    not_records: Mask | None = None,
) -> Parsed:
    """Give the columns of the records kept, and count the rest by reason.

    `not_records` marks records that are none at all; they come before any field's reasons.
    """
    unwanted: Mask | None = None
    dropped: dict[str, int] = {}
    samples: list[tuple[str, int]] = []

    def drop(mask: Mask | None, reason: str) -> None:
        nonlocal unwanted
        if mask is None:
            return
        (places,) = (mask if unwanted is None else mask & ~unwanted).nonzero()
        if len(places):
            dropped[reason] = len(places)
            samples.extend((reason, int(p)) for p in places[:SAMPLES_PER_REASON])
            unwanted = mask if unwanted is None else unwanted | mask

    drop(not_records, NOT_A_RECORD)
    columns, absent = {}, {}
    for name, wanted_field in fields.items():
        column = found[name]
        columns[name] = column.values
        if not wanted_field.optional:
            drop(column.absent, f"no_{name}")
        elif column.absent is not None:
            absent[name] = column.absent
        drop(column.bad, f"bad_{name}")
        drop(column.outside, f"{name}_out_of_range")
    if unwanted is None:
        return Parsed(columns, {k: ~a for k, a in absent.items()}, np.arange(n), n)
    (kept,) = (~unwanted).nonzero()
    return Parsed(
        {k: c[kept] for k, c in columns.items()},
        {k: ~a[kept] for k, a in absent.items()},
        kept,
        n,
        dropped,
        samples,
    )


def read_again(shape: Shape, raws: Iterable[bytes | None]) -> Parsed:
    """Read each record by itself, strictly; what is not a JSON object is `not_a_record`."""
    records = [None if r is None or not _is_utf8(r) else shape.record(r) for r in raws]
    not_records = np.fromiter((r is None for r in records), np.bool_, len(records))
    leaves, _ = shape.leaves([shape.blank if r is None else r for r in records])
    columns = columns_of(shape.fields, leaves)
    return assembled(shape.fields, columns, len(records), not_records)


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


def _refuse_deep(document: bytes) -> None:
    if structure.too_deep(document):
        raise ObjectError("too_deep", f"nested deeper than {structure.MAX_DEPTH}")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _checked(fields: Mapping[str, Field]) -> dict[str, Field]:
    for name, one in fields.items():
        _check_name(name)
        if not isinstance(one, Field):
            raise JobError(f"field {name!r}: expected Int, Float or Text of a path, got {one!r}")
        if isinstance(one, Text) and one.width is not None and not 0 < one.width <= MAX_KEY_WIDTH:
            raise JobError(
                f"field {name!r}: a width is 1 to {MAX_KEY_WIDTH} bytes, got {one.width}"
            )
    if not fields:
        raise JobError("a format needs at least one field: Json(at='data', link=Int('linkID'))")
    return dict(fields)


def _check_name(name: str) -> None:
    if not name.isidentifier() or name.startswith("_") or name in TAKEN:
        raise JobError(
            f"field {name!r}: expected a Python identifier that begins with a letter and is not"
            f" one of {', '.join(sorted(TAKEN))}, which `r` has already"
        )
