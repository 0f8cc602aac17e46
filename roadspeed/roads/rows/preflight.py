"""Looking at roads before the first trip is read, for one that a link could be joined to.

Rule: whatever would make a whole file or table useless is found here and refused with what was
there instead: no rows, ids that are no integers, geometry that cannot be read, points or areas in
place of lines, coordinates of no known system. One good row is enough; what is wrong with single
rows is counted when they are joined. Pure: it is shown rows, and reads none itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from mapreduce.errors import UsageError
from roadspeed.roads.rows.cells import plain
from roadspeed.roads.rows.column_choice import listed
from roadspeed.roads.rows.decoding import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from roadspeed.roads.rows.answer import Objects
    from roadspeed.roads.rows.to_lonlat import Strays

SHOWN = 60
CELL_SHOWN = 80
LINES = {"LINESTRING", "LINEARRING", "MULTILINESTRING", "GEOMETRYCOLLECTION"}
AREAS = {"POLYGON", "MULTIPOLYGON", "CURVEPOLYGON", "MULTISURFACE"}
SURFACES = {"POLYHEDRALSURFACE", "TIN", "TRIANGLE"}


@dataclass(slots=True)
class Look:
    """What was seen of a source so far."""

    where: str
    id_column: str
    geometry: str
    names: Sequence[str]
    elsewhere: Sequence[str] = ()
    """Other layers that have lines."""
    beside: Sequence[str] = ()
    """Other columns that have lines."""
    rows: int = 0
    skipped: int = 0
    with_id: int = 0
    roads: int = 0
    """Rows with an id and a line."""
    kinds: Counter[str] = field(default_factory=Counter)
    bad_id: Any = None
    bad_shape: Any = None

    def at_ids(self, column: Any, valid: NDArray[np.bool_]) -> None:
        """Look at a column of ids and at which of them are integers."""
        self.rows += len(valid)
        self.with_id += int(np.count_nonzero(valid))
        if self.bad_id is None and not valid.all():
            there = plain(column).filter(~valid).drop_null()
            self.bad_id = there[0].as_py() if len(there) else None

    def at_shapes(self, geometry: Objects, valid: NDArray[np.bool_], column: Any) -> None:
        """Look at geometries, before they are projected, and at what they were."""
        there = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
        numbers, counts = np.unique(shapely.get_type_id(geometry[there]), return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            self.kinds[shapely.GeometryType(number).name] += count
        lost = np.flatnonzero(shapely.is_missing(geometry) & column.is_valid().to_numpy(False))
        if self.bad_shape is None and lost.size:
            self.bad_shape = plain(column)[int(lost[0])].as_py()
        lines = np.isin(shapely.get_dimensions(geometry), (1,)) & there
        self.roads += int(np.count_nonzero(lines & valid))

    def see_roads(self, geometry: Objects) -> None:
        """Look at geometries of rows that are known to have an id."""
        self.roads += int(np.count_nonzero(shapely.get_dimensions(geometry) == 1))

    def tell(
        self, rows: int, with_id: int, bad_id: Any, kinds: Sequence[str] | None, *, lost: int
    ) -> None:
        """Be told what there is by whoever has counted it; `lost`: lines that are not finite."""
        self.rows, self.with_id, self.bad_id = rows, with_id, bad_id
        if lost:
            self.bad_shape = "coordinates that are NaN or infinite"
        else:
            self.kinds.update(kinds or [])

    def judge(self, strays: Strays, *, to_the_end: bool) -> None:
        """Refuse what no link could be joined to; `to_the_end` if all rows have been seen."""
        strays.check(every=True)
        if self.roads or not to_the_end:
            return
        if not self.rows:
            self._refuse_lines() if self.skipped else self._refuse("expected roads, got no row")
        if not self.with_id:
            self._refuse(
                f"expected integers in the id column {self.id_column}, got {shown(self.bad_id)}. "
                f"Its columns are: {listed(self.names)}. Name another: --roads-id COLUMN"
            )
        self._refuse_shapes()

    def _refuse_shapes(self) -> None:
        surface = kind_of(self.bad_shape) if self.bad_shape is not None else ""
        if not self.kinds and surface not in SURFACES:
            got = "nothing in all rows" if self.bad_shape is None else shown(self.bad_shape)
            self._refuse(
                f"expected WKT or WKB with finite coordinates in the geometry column "
                f"{self.geometry}, got {got}. Its columns are: {listed(self.names)}. "
                "Name another: --roads-geometry COLUMN"
            )
        if not LINES & {*self.kinds}:
            kinds = [*self.kinds] or [surface]
            what = "areas" if {*kinds} & (AREAS | SURFACES) else "points"
            self._refuse(
                f"expected lines as roads, got {what} ({', '.join(kinds)}) in the column"
                f" {self.geometry}. {self._where_lines_are()}"
            )
        self._refuse(
            f"expected rows that have an integer in the id column {self.id_column} and a line in "
            f"{self.geometry}, got none that has both. "
            "Name others: --roads-id COLUMN --roads-geometry COLUMN"
        )

    def _where_lines_are(self) -> str:
        if self.beside:
            return f"Name the column that has them: --roads-geometry {self.beside[0]}"
        if self.elsewhere:
            return f"Name the layer that has them: --roads-table {self.elsewhere[0]}"
        return "Use the file or table that contains the lines of the roads"

    def _refuse_lines(self) -> None:
        self._refuse(
            f"expected {len(self.names)} cells a line, as in the first, got a different number"
            " in all "
            f"{self.skipped} lines: quote a geometry that contains the separator, or use ; as"
            " separator"
        )

    def _refuse(self, said: str) -> None:
        raise UsageError(f"{self.where}: {said}")


def shown(cell: Any) -> str:
    """Show a cell in a message, not endlessly."""
    if cell is None:
        return "nothing in all rows"
    if isinstance(cell, bytes):
        text = cell[:CELL_SHOWN].decode("utf-8", "replace")
        cell = text if text.isprintable() else f"{cell[:16].hex()}…"
    return f"{str(cell)[:CELL_SHOWN]!r}"
