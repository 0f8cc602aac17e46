"""Cells of few trips are withheld, and with them what would reveal them.

A cell with fewer trips than asked for is not published, nor one with fewer traversals, of which it
has means too. Nor are their totals of use to find them: of a coarser cell that is published, what
the published cells in it leave over is never a single cell, and it has a cell of enough trips in
it; else another cell goes too, the one with the fewest trips. What leaves over are withheld cells,
and fixes that are in none: without a time, or outside of all periods. Where a coarser cell is
withheld, not all cells in it may be published. (Complementary suppression; see Willenborg and de
Waal, Elements of Statistical Disclosure Control, 2001.) This looks at two groupings at a time, and
at one run: whoever combines three, or has the published sums of another run, may find more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roadspeed.measures.cells_within import cells_of, lies_within
from roadspeed.measures.key_rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from mapreduce import Array
    from roadspeed.measures.groupings import Grouping

    Mask = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]
    Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Within:
    """Cells of one grouping within those of a coarser one.

    Attributes
    ----------
    fine, coarse
        The groupings.
    at
        intp[n], the coarser cell in which each cell is.
    fewest
        int64[n], trips of each cell, or its traversals if they are fewer.
    outside
        int64[m], of each coarser cell: the least number of trips whose fixes are in none of its
        cells; 0 where there are no such fixes.
    """

    fine: Grouping
    coarse: Grouping
    at: Places
    fewest: Ints
    outside: Ints

    def revealing(self, shown: Mask, shown_coarse: Mask, min_trips: int) -> Places:
        """Give the rows of cells to withhold besides: one of each coarser cell that needs it."""
        n = len(shown_coarse)
        withheld = np.bincount(self.at[~shown], minlength=n)
        most = self.outside.copy()
        np.maximum.at(most, self.at[~shown], self.fewest[~shown])
        alone = (withheld == 1) & (self.outside == 0)
        left = (withheld > 0) | (self.outside > 0)
        told = np.where(shown_coarse, left & (alone | (most < min_trips)), withheld == 0)
        rows = np.flatnonzero(told[self.at] & shown)
        order = rows[np.lexsort((self.fewest[rows], self.at[rows]))]
        first = np.append(True, self.at[order][1:] != self.at[order][:-1])[: len(order)]
        return np.asarray(order[first])


def published(
    groupings: Sequence[Grouping], tables: Mapping[str, Mapping[str, Array]], min_trips: int
) -> dict[str, Mask]:
    """Say which rows of the groupings' tables may be seen: table name -> bool[n]."""
    shown = {one: _fewest(tables[one.table]) >= min_trips for one in groupings}
    pairs = [
        _within(fine, coarse, tables)
        for fine in groupings
        for coarse in groupings
        if lies_within(fine, coarse)
    ]
    changes = min_trips > 1
    while changes:
        changes = False
        for pair in pairs:
            mine, coarse = shown[pair.fine], shown[pair.coarse]
            if not pair.coarse.parts:  # what `speeds.csv` has of a link
                coarse = tables[pair.coarse.table]["trips"] >= min_trips
            rows = pair.revealing(mine, coarse, min_trips)
            mine[rows] = False
            changes |= len(rows) > 0
    return {one.table: mask for one, mask in shown.items()}


def _fewest(table: Mapping[str, Array]) -> Ints:
    """Give the trips of each row, or its traversals if there are some, and fewer."""
    stays = table.get("traversals", table["trips"])
    fewest: Ints = np.where(stays > 0, np.minimum(table["trips"], stays), table["trips"])
    return fewest


def _within(fine: Grouping, coarse: Grouping, tables: Mapping[str, Mapping[str, Array]]) -> _Within:
    there, mine = tables[coarse.table], tables[fine.table]
    names = ("link", *coarse.parts)
    at = rows_of([there[name] for name in names], [cells_of(name, mine) for name in names])
    left = {name: there[name].copy() for name in ("fixes", "trips", "traversals") if name in there}
    for name, column in left.items():
        np.subtract.at(column, at, mine[name])
    outside = np.where(left["fixes"] > 0, np.maximum(left["trips"], 1), 0)
    if "traversals" in left:
        stays = left["traversals"]
        outside = np.where(stays > 0, np.minimum(outside, stays), outside)
    return _Within(fine, coarse, at, _fewest(mine), outside)
