"""Percentiles for cells with few traversals: those of a coarser grouping, which is named.

Of 168 hours a week hardly a link has five traversals in each, so this is the rule, not the
exception. A cell with fewer than `FEW` takes the percentiles of the nearest coarser grouping of the
same run that has enough; counts, means and deviations stay its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from roadspeed.measures.cells_within import cells_of
from roadspeed.measures.distribution import PERCENTILES
from roadspeed.measures.key_rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapreduce import Array
    from roadspeed.measures.groupings import Grouping

FEW: Final = 5
COLUMNS: Final = tuple(f"traversal_p{percent}" for percent in PERCENTILES)


def back_off(groupings: tuple[Grouping, ...], tables: dict[str, dict[str, Array]]) -> None:
    """Replace percentiles in the finished tables of groupings, and add the column `level`.

    That is the number of the grouping, in the order of `groupings`, whose percentiles they are.
    """
    own = {one: dict(tables[one.table]) for one in groupings}
    for grouping in groupings:
        columns = tables[grouping.table]
        level = np.full(len(columns["link"]), groupings.index(grouping))
        columns |= {name: columns[name].copy() for name in COLUMNS}
        lacking = np.flatnonzero(columns["traversals"] < FEW)
        for coarser in grouping.coarser(groupings):
            there = own[coarser]
            at = _rows_in(coarser, there, columns, lacking)
            enough = there["traversals"][at] >= FEW
            for name in COLUMNS:
                columns[name][lacking[enough]] = there[name][at[enough]]
            level[lacking[enough]] = groupings.index(coarser)
            lacking = lacking[~enough]
        columns["level"] = level


def _rows_in(
    coarser: Grouping, there: Mapping[str, Array], columns: Mapping[str, Array], rows: Array
) -> Array:
    """Find the cells of a coarser grouping in which some cells lie."""
    names = ("link", *coarser.parts)
    mine = [cells_of(name, columns)[rows] for name in names]
    return rows_of([there[name] for name in names], mine)
