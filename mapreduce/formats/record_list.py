"""The records of one JSON document that are a list at a path, read strictly and quickly.

A compiled scanner reads what is plain; msgspec judges the rest; a document that fails as a whole is
read again record by record, so that a bad record costs one record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from mapreduce.errors import ObjectError
from mapreduce.formats import nan_tokens, salvage
from mapreduce.formats.field_path import keys_of
from mapreduce.formats.fields import Field, Text, checked
from mapreduce.formats.leaves import nan_word, shown_leaf
from mapreduce.formats.parsed import Nan, Parsed, assembled, columns_of
from mapreduce.formats.record_type import RecordType
from mapreduce.formats.scanner import scanner
from mapreduce.ledger import SAMPLES_PER_REASON
from mapreduce.safe_text import UTF8_BYTES, VALUE_CHARACTERS, shown_raw, shown_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mapreduce.formats.field_column import FieldColumn
TEXT_BYTES: Final = 512 << 20  # of the text columns of what is read at once
UNSUSPICIOUS: Final = salvage.MAX_DEPTH // 2  # so many brackets can't nest too deep


class RecordList:
    """A document's records: the list at a dotted path (`at=""`: the document itself)."""

    def __init__(self, at: str, fields: Mapping[str, Field]) -> None:
        self.at = at
        self.fields = fields
        self.shape = RecordType(checked(fields))
        outer: Any = list[self.shape.type]  # type: ignore[name-defined]
        way = keys_of(at, "records at") if at else []
        for part in reversed(way):
            outer = msgspec.defstruct("Document", [("value", outer)], rename={"value": part})
        most = min(salvage.MAX_RECORDS, TEXT_BYTES // max(1, text_bytes(fields)))
        self._scanner = scanner(at, fields, most)
        self._decoder = msgspec.json.Decoder(outer)
        self._depth = len(way)

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
        if self._scanner and (found := self._scanner.read(document, allow_nan=allow_nan)):
            columns, n, is_ascii = found
            if is_ascii or salvage.is_utf8(document):
                return assembled(self.fields, columns, n, shown=_Scanned(document, columns))
        return self._parse_strictly(document, allow_nan=allow_nan)

    def _parse_strictly(self, document: bytes, *, allow_nan: bool = False) -> Parsed:
        """Read what is not plain, or what no scanner is here for: msgspec is the judge."""
        if not salvage.is_ascii(document) and not salvage.is_utf8(document):
            return self._parse_again(document, allow_nan=allow_nan)
        opened = salvage.openers(document)
        if opened > salvage.MAX_RECORDS:  # perhaps more records than memory should hold
            return self._parse_again(document, allow_nan=allow_nan)
        try:
            found = self._decoder.decode(nan_tokens.masked(document) if allow_nan else document)
        except msgspec.MsgspecError:
            return self._parse_again(document, allow_nan=allow_nan)
        except RecursionError:
            refuse_deep(document)
            raise
        for _ in range(self._depth):
            found = found.value
        leaves, nested = self.shape.leaves(found)
        if opened - len(found) - nested >= UNSUSPICIOUS:
            refuse_deep(document)
        check_width(self.fields, len(found))
        return of_leaves(self.fields, leaves, len(found))

    def _parse_again(self, document: bytes, *, allow_nan: bool) -> Parsed:
        """Read record by record: one that is bad costs one record."""
        refuse_no_document(document)
        found = salvage.elements(document, self.at, allow_nan=allow_nan)
        check_width(self.fields, len(found))
        return read_again(self.shape, found, allow_nan=allow_nan)


def of_leaves(fields: Mapping[str, Field], leaves: Mapping[str, Sequence[Any]], n: int) -> Parsed:
    """Give the columns of records that are all JSON objects, from their leaves."""

    def shown(name: str, place: int) -> str:
        return shown_leaf(leaves[name][place])

    return assembled(fields, columns_of(fields, leaves), n, shown=shown)


class _Scanned:
    """Bad values as a plain document has them: its columns hold where each begins."""

    def __init__(self, document: bytes, columns: Mapping[str, FieldColumn]) -> None:
        self._document = document
        self._columns = columns

    def __call__(self, name: str, place: int) -> str:
        if (texts := self._columns[name].texts) is not None and texts[place]:
            return shown_value(texts[place].decode())
        places = self._columns[name].places
        start = 0 if places is None else int(places[place])
        if word := nan_tokens.word_at(self._document, start):
            return word
        stop = self._document.index(b'"', start + 1)  # no escapes in it: the scanner gives up there
        most = start + 1 + UTF8_BYTES * (VALUE_CHARACTERS + 1)
        return shown_value(self._document[start + 1 : min(stop, most)].decode(errors="ignore"))


def read_again(
    shape: RecordType,
    raws: Iterable[bytes],
    *,
    allow_nan: bool = False,
    refused: Callable[[bytes], bool] = lambda _: False,
) -> Parsed:
    """Read each record by itself, strictly; what is not a JSON object is `not_a_record`.

    `refused` tells of a record's bytes whether they are not to be read.
    """
    records: list[Any] = []
    nan: list[tuple[int, Any, bytes]] = []  # records that would be some, but for NaN or Infinity
    none: dict[int, str] = {}
    for place, raw in enumerate(raws):
        readable = not refused(raw) and salvage.is_utf8(raw)
        record = shape.record(raw) if readable else None
        if (
            readable
            and record is None
            and (masked := nan_tokens.masked(raw, nan_tokens.MARKED)) is not raw
        ):
            record = shape.record(masked)
            if record is not None and not allow_nan:
                nan.append((place, record, raw))
                record = None
        if record is None and len(none) <= SAMPLES_PER_REASON:
            none.setdefault(place, nan_tokens.told(raw) or shown_raw(raw))
        records.append(record)
    not_records = np.fromiter((r is None for r in records), np.bool_, len(records))
    leaves, _ = shape.leaves([shape.blank if r is None else r for r in records])

    def shown(name: str, place: int) -> str:
        return shown_leaf(leaves[name][place]) if name else none[place]

    columns = columns_of(shape.fields, leaves)
    parsed = assembled(shape.fields, columns, len(records), not_records, shown=shown)
    if not nan:
        return parsed
    allowed, _ = shape.leaves([record for _, record, _ in nan])
    taken = of_leaves(shape.fields, allowed, len(nan)).rows
    first = int(taken[0]) if len(taken) else 0
    place, _, raw = nan[first]
    used = None if len(taken) else _used_nan(shape.fields, allowed, first)
    told = (place, used or nan_tokens.told(raw) or shown_raw(raw))
    return replace(parsed, nan=Nan(len(nan), len(taken), told))


def _used_nan(
    fields: Mapping[str, Field], leaves: Mapping[str, Sequence[Any]], place: int
) -> str | None:
    """Say which word a record holds in a field that is wanted: `NaN at a.b`."""
    for name, field in fields.items():
        if (word := nan_word(leaves[name][place])) is not None:
            return f"{word} at {field.path}"
    return None


def text_bytes(fields: Mapping[str, Field]) -> int:
    """Bytes that a record's texts take in their columns, whatever is in them."""
    return sum(f.width or 0 for f in fields.values() if isinstance(f, Text))


def check_width(fields: Mapping[str, Field], records: int) -> None:
    """Refuse a document whose text columns would not fit: each row is as wide as declared."""
    width = text_bytes(fields)
    if records * width > TEXT_BYTES:
        raise ObjectError(
            "too_large",
            f"{records:,} records with text of {width:,} bytes, as the job declares:"
            f" over {TEXT_BYTES >> 20} MiB. Declare a smaller width, or no width",
        )


def refuse_deep(document: bytes) -> None:
    """Refuse what nests deeper than any reader of ours would go."""
    if salvage.too_deep(document):
        raise ObjectError("too_deep", f"nested deeper than {salvage.MAX_DEPTH}")


def refuse_no_document(document: bytes) -> None:
    """Refuse what holds no JSON that can be told apart."""
    if not document.strip():
        raise ObjectError("empty", f"{len(document)} bytes, only white space")
    salvage.refuse_wide(document)
    refuse_deep(document)
