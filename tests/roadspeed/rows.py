"""Rows of a table as the bytes of an object, in the formats that several tests write."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

Rows: TypeAlias = list[dict[str, Any]]


def as_lines(rows: Rows) -> bytes:
    """Write JSON Lines."""
    return b"\n".join(json.dumps(row).encode() for row in rows)


def as_columns(rows: Rows) -> bytes:
    """Write one JSON document with a list for each column."""
    return json.dumps({name: [row[name] for row in rows] for name in rows[0]}).encode()


def as_csv(rows: Rows, delimiter: str = ",") -> bytes:
    """Write CSV whose first line names the columns."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: Rows) -> bytes:
    """Write Parquet of several row groups."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=300)
    return out.getvalue()
