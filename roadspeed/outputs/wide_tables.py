"""`speeds-by-GROUPING-wide.csv`: a row a link, and for each cell its fixes, mean and p85.

For programs that take one row a road, where a grouping has few cells and one part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from mapreduce.atomic_file import whole
from roadspeed.outputs.cell_tables import array_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from roadspeed.measures.groupings import Grouping

CELLS: Final = {"hour": range(24), "day": range(1, 8), "direction": range(3)}
COLUMNS: Final = ("fixes", "mean", "p85")


def has_wide(grouping: Grouping) -> bool:
    """Whether there is a wide table of a grouping."""
    return grouping.parts in {("hour",), ("day",), ("period",), ("direction",)}


def write_wide(
    path: Path,
    grouping: Grouping,
    columns: Mapping[str, Any],
    names: Mapping[str, Sequence[str]],
) -> None:
    """Write the table, with columns such as `mean_7` and `mean_forward`.

    A cell without fixes has 0 of them, and nothing else.
    """
    [part] = grouping.parts
    cells = columns[part]
    known = [*CELLS.get(part, range(len(names.get(part, ()))))]
    known += [cell for cell in np.unique(cells).tolist() if cell not in known]  # holidays
    links, rows = np.unique(columns["link"], return_inverse=True)
    made = {"link": array_of("link", links, {})}
    for cell in known:
        mine = cells == cell
        label = names[part][cell] if part in names else cell
        for name in COLUMNS:
            column = (
                np.zeros(len(links), np.int64) if name == "fixes" else np.full(len(links), np.nan)
            )
            column[rows[mine]] = columns[name][mine]
            made[f"{name}_{label}"] = array_of(name, column, {})
    options = pa_csv.WriteOptions(quoting_style="needed", quoting_header="none")
    with whole(path) as partial:
        pa_csv.write_csv(pa.table(made), partial, options)
