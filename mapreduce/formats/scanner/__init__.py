"""The quick reading of a plain document: compiled code goes over it once, straight into columns.

It is an option, and never judges. What it accepts, msgspec accepts with the same columns; what it
gives up at, and everything where it was not built (no compiler, a deployed host, an archive),
msgspec reads. `MAPREDUCE_SCANNER=0` in the environment leaves it out.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from mapreduce.formats.field_path import keys_of

VERSION: Final = 3  # as the compiled code has it: what it takes and gives

_scan: Any
try:
    _scan = import_module("mapreduce.formats.scanner._scan")
    if getattr(_scan, "VERSION", 1) != VERSION:  # left from older sources
        _scan = None
except ImportError:
    _scan = None

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mapreduce.formats.field_column import FieldColumn
    from mapreduce.formats.fields import Field

SWITCH: Final = "MAPREDUCE_SCANNER"
MAX_COLUMNS: Final = 64  # as the compiled code has it


def is_built() -> bool:
    """Tell whether the compiled code is here, and not left out."""
    return _scan is not None and os.environ.get(SWITCH) != "0"


def lines_of(
    text: bytes, start: int, kinds: bytes, delimiter: str, decimal: str
) -> tuple[int, list[tuple[bytearray, bytes, int]]] | None:
    """Read lines of cells for `lines.py`: rows, and a column's values, states and what these have.

    Parameters
    ----------
    start
        The byte at which the first line begins.
    kinds
        Of each cell of a line a letter: "i" and "f" are read, all else is passed over.
    """
    found = _scan.lines(text, start, kinds, delimiter, decimal)
    return None if found is None else (found[0], found[2])


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
    leaves = {tuple(keys_of(f.path, n)): f.scanned_as for n, f in fields.items()}
    if not is_built() or len(leaves) < len(fields) or None in leaves.values():
        return None
    if len(leaves) > MAX_COLUMNS:
        return None
    record: dict[bytes, Any] = {}
    for keys, leaf in leaves.items():
        *parents, last = (key.encode() for key in keys)
        node = record
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = leaf
    tree: Any = [record]
    for key in reversed(keys_of(at, "records at") if at else []):
        tree = {key.encode(): tree}
    plans = tuple(_scan.plan(tree, max_records, allow_nan) for allow_nan in (False, True))
    return Scanner(plans, list(_paths(record)), fields)


class Scanner:
    """Takes the fields of a document's records into columns, where the document is a plain one.

    Where a value is bad, its column holds where in the document it begins.
    """

    def __init__(
        self, plans: tuple[Any, Any], paths: list[tuple[bytes, ...]], fields: Mapping[str, Field]
    ) -> None:
        self._plans = plans
        self._columns = [
            (n, f, paths.index(tuple(key.encode() for key in keys_of(f.path, n))))
            for n, f in fields.items()
        ]

    def read(
        self, document: bytes, *, allow_nan: bool = False
    ) -> tuple[dict[str, FieldColumn], int, bool] | None:
        """Give columns, the number of records, and whether all is ASCII; None gives up.

        Where not all is ASCII it may be no UTF-8 either: that is the caller's to look at.
        """
        found = _scan.scan(self._plans[allow_nan], document)
        if found is None:
            return None
        n, is_ascii, columns = found
        return {name: field.scanned(*columns[i]) for name, field, i in self._columns}, n, is_ascii


def _paths(node: Mapping[bytes, Any], above: tuple[bytes, ...] = ()) -> Iterator[tuple[bytes, ...]]:
    """Give the leaves' keys in the order in which the compiled code numbers its columns."""
    for key, child in node.items():
        if isinstance(child, dict):
            yield from _paths(child, (*above, key))
        else:
            yield (*above, key)
