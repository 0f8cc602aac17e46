"""The quick reading of a plain document: compiled code goes over it once, straight into columns.

It is an option, and never judges. What it accepts, msgspec accepts with the same columns; what it
gives up at, and everything where it was not built (no compiler, a deployed host, an archive),
msgspec reads. `MAPREDUCE_SCANNER=0` in the environment leaves it out.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

_scan: Any
try:
    _scan = import_module("mapreduce.scanner._scan")
except ImportError:
    _scan = None

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mapreduce.fields import Field, FieldColumn

SWITCH: Final = "MAPREDUCE_SCANNER"
MAX_COLUMNS: Final = 64  # as the compiled code has it


def is_built() -> bool:
    """Tell whether the compiled code is here, and not left out."""
    return _scan is not None and os.environ.get(SWITCH) != "0"


def scanner(at: str, fields: Mapping[str, Field], max_records: int) -> Scanner | None:
    """Make what reads such documents quickly; None where that can't be.

    Parameters
    ----------
    at
        The dotted path of the list of records; "" for the document itself.
    fields
        Name -> field, with paths that are no parents of each other. Two of one path it leaves to
        msgspec: a column is one array, and theirs may differ.
    max_records
        A document with more is given up.
    """
    leaves = {field.path: field.scanned_as for field in fields.values()}
    if not is_built() or len(leaves) < len(fields) or None in leaves.values():
        return None
    if len(leaves) > MAX_COLUMNS:
        return None
    record: dict[bytes, Any] = {}
    for path, leaf in leaves.items():
        *parents, last = path.encode().split(b".")
        node = record
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = leaf
    tree: Any = [record]
    for part in reversed(at.encode().split(b".") if at else []):
        tree = {part: tree}
    return Scanner(_scan.plan(tree, max_records), list(_paths(record)), fields)


class Scanner:
    """Takes the fields of a document's records into columns, where the document is a plain one."""

    def __init__(self, plan: Any, paths: list[bytes], fields: Mapping[str, Field]) -> None:
        self._plan = plan
        self._columns = [(n, f, paths.index(f.path.encode())) for n, f in fields.items()]

    def read(self, document: bytes) -> tuple[dict[str, FieldColumn], int, bool] | None:
        """Give columns, the number of records, and whether all is ASCII; None gives up.

        Where not all is ASCII it may be no UTF-8 either: that is the caller's to look at.
        """
        found = _scan.scan(self._plan, document)
        if found is None:
            return None
        n, is_ascii, columns = found
        return {name: field.scanned(*columns[i]) for name, field, i in self._columns}, n, is_ascii


def _paths(node: Mapping[bytes, Any], above: bytes = b"") -> Iterator[bytes]:
    """Give the leaves' paths in the order in which the compiled code numbers its columns."""
    for part, child in node.items():
        if isinstance(child, dict):
            yield from _paths(child, above + part + b".")
        else:
            yield above + part
