"""`speeds-by-GROUPING.gpkg`: a row a link and cell with its line, and when it is valid.

QGIS' temporal controller plays it: `start` and `end` are times on the clocks of the run's zone. A
grouping without dates is put into a week that stands for all, which begins on Monday 2024-01-01; an
hour without a day is on that Monday, and holidays are the Monday after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from mapreduce.errors import UsageError
from roadspeed.measures.groupings import SPAN_H
from roadspeed.measures.key_rows import rows_of
from roadspeed.outputs import shapes
from roadspeed.outputs.cell_tables import array_of
from roadspeed.outputs.geopackage import GEOMETRY, Layer, about, geometry_meaning, write_layer
from roadspeed.outputs.measure_docs import CELLS
from roadspeed.outputs.qgis_style import qml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from roadspeed.measures.groupings import Grouping
    from roadspeed.outputs.link_table import LinkTable

CHUNK_ROWS: Final = 65_536
MONDAY: Final = np.datetime64("2024-01-01T00", "h")
HOURS: Final = 24
TIMES: Final = ("start", "end")
MEANINGS: Final = {
    "start": "When the cell begins; without a date, in the week from Monday 2024-01-01.",
    "end": "When it ends; not included.",
}


@dataclass(frozen=True, slots=True)
class CellLayer:
    """A grouping's cells, and the links that they are on.

    Attributes
    ----------
    grouping
        Which has hours, days or dates.
    columns
        Column name -> array[n].
    table
        The links, with geometry; each link of the cells is among them.
    names
        Column -> the names that its numbers stand for.
    """

    grouping: Grouping
    columns: Mapping[str, Any]
    table: LinkTable
    names: Mapping[str, Sequence[str]]

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        UsageError
            The links have no geometry, or the cells no time.
        OSError
            The disk does not take it.
        """
        geometry = self.table.geometry
        if geometry is None:
            raise UsageError(f"{path.name} needs geometry; set the roads with --roads")
        lines = shapes.are_lines(geometry)
        wkb = pa.array(shapes.as_wkb(shapes.as_multilines(geometry) if lines else geometry))
        rows = rows_of([self.table.link], [self.columns["link"]])
        fields = self._fields()
        layer = Layer(
            name="speeds_by_" + "_".join(self.grouping.parts),
            description=f"{about(self.table)}. By {self.grouping.name}",
            fields=fields,
            batches=self._batches(fields, wkb, rows),
            rows=len(rows),
            shapes=int(np.count_nonzero(~np.asarray(wkb.is_null())[rows])),
            kind="MultiLineString" if lines else "Unknown",
            geometry_meaning=geometry_meaning(self.table),
            style=qml(self.table.unit, self.table.told.min_fixes, TIMES) if lines else "",
        )
        write_layer(path, layer)

    def _fields(self) -> pa.Schema:
        told, unit = self.table.told, self.table.unit
        fields = []
        for doc in CELLS:
            if doc.name in self.columns:
                kind = array_of(doc.name, self.columns[doc.name][:0], self.names).type
                said = {"GDAL:OGR:comment": f"{doc.told(told)} Unit: {doc.unit_in(unit)}."}
                fields.append(pa.field(doc.name, kind, metadata=said))
        fields.append(pa.field("road_class", pa.string()))
        for name in TIMES:
            said = {"GDAL:OGR:comment": MEANINGS[name]}
            fields.append(pa.field(name, pa.timestamp("ms"), metadata=said))
        return pa.schema([*fields, pa.field(GEOMETRY, pa.binary())])

    def _batches(self, fields: pa.Schema, wkb: Any, rows: Any) -> Iterator[pa.RecordBatch]:
        start, end = spans(self.grouping, self.columns)
        classes = self.table.road_class
        for at in range(0, len(rows), CHUNK_ROWS):
            some = slice(at, at + CHUNK_ROWS)
            made: dict[str, Any] = {
                "start": pa.array(start[some].astype("datetime64[ms]")),
                "end": pa.array(end[some].astype("datetime64[ms]")),
                GEOMETRY: wkb.take(pa.array(rows[some])),
                "road_class": pa.nulls(len(rows[some]), pa.string()),
            }
            if classes is not None:
                texts = [None if one is None else str(one) for one in classes[rows[some]]]
                made["road_class"] = pa.array(texts, pa.string())
            for name in fields.names:
                if name not in made:
                    made[name] = array_of(name, self.columns[name][some], self.names)
            yield pa.RecordBatch.from_arrays([made[name] for name in fields.names], schema=fields)


def spans(grouping: Grouping, columns: Mapping[str, Any]) -> tuple[Any, Any]:
    """Give the beginnings and ends of cells: datetime64[h][n] each."""
    begins = np.full(len(columns["link"]), MONDAY)
    if "date" in grouping.parts:
        begins = columns["date"].astype("datetime64[D]").astype("datetime64[h]")
    elif "day" in grouping.parts:
        begins = begins + (columns["day"] - 1) * HOURS
    for part in ("week_hour", "hour"):
        if part in grouping.parts:
            begins = begins + columns[part]
            break
    return begins, begins + min(SPAN_H[part] for part in grouping.parts if part in SPAN_H)
