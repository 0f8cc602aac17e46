"""The records of one JSON document that lie in it as columns: a list for each field.

Each wanted list is read by itself, and what is not wanted is skipped, but still checked. A value
of another type costs one record; lists of different lengths are no records at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from mapreduce.errors import ObjectError
from mapreduce.formats import nan_tokens, salvage
from mapreduce.formats.fields import checked, missing
from mapreduce.formats.leaves import Wrong
from mapreduce.formats.record_list import check_width, of_leaves, refuse_deep, refuse_no_document
from mapreduce.formats.record_type import RecordType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapreduce.formats.fields import Field
    from mapreduce.formats.parsed import Parsed

_NULL: Final = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class _Whole:
    """A field of the document that is taken as its bytes."""

    path: str
    leaf: ClassVar[Any] = msgspec.Raw


class ColumnLists:
    """A document's records: the lists below the dotted path `at`, one for each field."""

    def __init__(self, at: str, fields: Mapping[str, Field]) -> None:
        self.at = at
        self.fields = checked(fields)
        below = f"{at}." if at else ""
        wholes: Any = {name: _Whole(below + field.path) for name, field in fields.items()}
        self._shape = RecordType(wholes)

    def parse(self, document: bytes, *, allow_nan: bool = False) -> Parsed:
        """Read one whole document.

        Raises
        ------
        ObjectError
            `empty`, `not_json`, `wrong_shape`, `too_deep`, `too_large` or `bad_encoding`.
        """
        if not salvage.is_utf8(document):
            refuse_no_document(document)
            salvage.check_json(document, allow_nan=allow_nan)
        plain = nan_tokens.masked(document, nan_tokens.MARKED) if allow_nan else document
        try:
            whole = self._shape.record(plain)
        except RecursionError:
            refuse_deep(document)
            raise
        if whole is None:
            refuse_no_document(document)
            salvage.check_json(document, allow_nan=allow_nan)
            raise ObjectError("wrong_shape", "expected an object with a list for each field")
        if salvage.openers(document) > salvage.MAX_DEPTH:
            refuse_deep(document)
        found, _ = self._shape.leaves([whole])
        return self._of_lists({name: raw for name, (raw,) in found.items()}, document)

    def _of_lists(self, raws: Mapping[str, Any], document: bytes) -> Parsed:
        leaves: dict[str, list[Any]] = {}
        for name, field in self.fields.items():
            raw = b"null" if raws[name] is None else bytes(raws[name]).strip()
            if raw != b"null":
                leaves[name] = self._values(name, raw)
            elif not field.optional:
                raise missing(self._path(name), salvage.keys_at(document, self.at))
        lengths = {name: len(values) for name, values in leaves.items()}
        if len(set(lengths.values())) != 1:
            said = ", ".join(f"{self._path(name)!r} {n:,}" for name, n in lengths.items())
            raise ObjectError("wrong_shape", f"expected lists of one length, got {said or 'none'}")
        (n,) = set(lengths.values())
        check_width(self.fields, n)
        none = [None] * n
        return of_leaves(self.fields, {name: leaves.get(name, none) for name in self.fields}, n)

    def _values(self, name: str, raw: bytes) -> list[Any]:
        """Read a list; a value of another type becomes `Wrong`."""
        if not raw.startswith(b"["):
            shown = salvage.kind_of(raw)
            raise ObjectError(
                "wrong_shape", f"expected a list at {self._path(name)!r}, got {shown}"
            )
        if raw.count(b",") >= salvage.MAX_RECORDS:
            salvage.commas(raw)  # refuses so many, unless they stand in texts
        leaf: Any = self.fields[name].leaf
        try:
            values: list[Any] = msgspec.json.decode(raw, type=list[leaf])
        except msgspec.MsgspecError:
            values = [_value(one, leaf) for one in msgspec.json.decode(raw, type=list[msgspec.Raw])]
        return values

    def _path(self, name: str) -> str:
        return f"{self.at}.{self.fields[name].path}" if self.at else self.fields[name].path


def _value(raw: msgspec.Raw, leaf: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=leaf)
    except msgspec.MsgspecError:
        return Wrong.of(bytes(raw))
