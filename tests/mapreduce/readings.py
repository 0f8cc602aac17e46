"""The readings of a document, held against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mapreduce.errors import ObjectError
from mapreduce.formats.line_blocks import BOM
from mapreduce.formats.record_list import RecordList

if TYPE_CHECKING:
    from mapreduce.formats.json import Json
    from mapreduce.formats.parsed import Parsed


def columns(parsed: Parsed) -> dict[str, Any]:
    return {
        "columns": {n: (c.dtype.str, str(c.tolist())) for n, c in parsed.columns.items()},
        "present": {n: c.tolist() for n, c in parsed.present.items()},
        "rows": parsed.rows.tolist(),
        "read": parsed.read,
        "dropped": dict(parsed.dropped),
        "samples": list(parsed.samples),
        "nan": parsed.nan,
    }


def record_list(form: Any) -> RecordList:
    """Give what reads the documents of a plain `Json`."""
    assert isinstance(form.reader, RecordList)
    return form.reader


def read(form: Json, document: bytes) -> Parsed:
    """Read a document as every run does, and by msgspec alone: they never differ."""
    try:
        alone: object = columns(record_list(form)._parse_strictly(document.removeprefix(BOM)))
    except ObjectError as error:
        alone = (error.reason, str(error))
    try:
        parsed = form.parse(document)
    except ObjectError as error:
        assert (error.reason, str(error)) == alone  # noqa: PT017 - both refuse, and alike
        raise
    assert columns(parsed) == alone
    return parsed
