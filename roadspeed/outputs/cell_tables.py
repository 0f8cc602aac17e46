"""`speeds-by-GROUPING`, `free-flow` and `limits`: each as Parquet and as CSV, without geometry.

Rows ascend by link, then by cell. Fields carry description and unit, and the schema the run's unit,
note of a sample and credits, as `speeds.parquet` does. The CSV has commas, a header and empty cells
for what is not defined (RFC 4180); numbers are the shortest text that gives the same double back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mapreduce.atomic_file import whole
from roadspeed.outputs.measure_docs import CELLS, FREE_FLOW, LIMITS
from roadspeed.outputs.parquet import COMPRESSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from roadspeed.outputs.column_docs import ColumnDoc
    from roadspeed.outputs.link_table import Told

ROW_GROUP: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class CellTable:
    """A table to be written.

    Parameters
    ----------
    name
        Of its files, without an ending.
    columns
        Column name -> array[n].
    docs
        What its columns mean; those that are there are written, in this order.
    about
        What the schema says of it besides.
    """

    name: str
    columns: Mapping[str, Any]
    docs: Sequence[ColumnDoc] = CELLS
    about: Mapping[str, Any] = field(default_factory=dict)


def write_cells(
    folder: Path, table: CellTable, unit: str, told: Told, names: Mapping[str, Sequence[str]]
) -> list[Path]:
    """Write one table; give its two files.

    Parameters
    ----------
    folder
        Where they go.
    table
        What is written.
    unit
        Of the speeds.
    told
        What the outputs repeat of what the run was told.
    names
        Column -> the names that its numbers stand for.
    """
    docs = [doc for doc in table.docs if doc.name in table.columns]
    arrays = [array_of(doc.name, table.columns[doc.name], names) for doc in docs]
    about = {"unit": unit, "attribution": told.attribution, **table.about}
    schema = pa.schema(
        [_field(doc, array.type, unit, told) for doc, array in zip(docs, arrays, strict=True)],
        {"roadspeed": json.dumps(about, ensure_ascii=False)},
    )
    made = pa.Table.from_arrays(arrays, schema=schema)
    paths = [folder / f"{table.name}.parquet", folder / f"{table.name}.csv"]
    with whole(paths[0]) as partial:
        pq.write_table(made, partial, compression=COMPRESSION, row_group_size=ROW_GROUP)
    with whole(paths[1]) as partial:
        options = pa_csv.WriteOptions(quoting_style="needed", quoting_header="none")
        pa_csv.write_csv(made, partial, options)
    return paths


def _field(doc: ColumnDoc, kind: Any, unit: str, told: Told) -> Any:
    about = {"description": doc.told(told), "unit": doc.unit_in(unit)}
    return pa.field(doc.name, kind, metadata=about)


def array_of(name: str, column: Any, names: Mapping[str, Sequence[str]]) -> Any:
    """Give a column as an Arrow array: dates as dates, numbers of names as these, NaN as null."""
    if name in names:
        kinds = pa.array(names[name], pa.string())
        return pa.DictionaryArray.from_arrays(column.astype(np.int32), kinds).cast(pa.string())
    if name == "date":
        return pa.array(column.astype("datetime64[D]"))
    if column.dtype.kind == "S":
        return pa.array([text.decode() for text in column.tolist()], pa.string())
    return pa.array(column, from_pandas=True)  # NaN becomes null


FREE_FLOW_FILE: Final = "free-flow"
LIMITS_FILE: Final = "limits"
DOCS: Final = {FREE_FLOW_FILE: FREE_FLOW, LIMITS_FILE: LIMITS}
"""Tables with one row a link."""
