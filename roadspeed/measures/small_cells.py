"""Cells of few trips are withheld, and with them what would reveal them.

A cell with fewer trips than asked for is not published. Nor is its total of use to find it: where a
coarser cell is published and one alone of the cells in it is withheld, their difference would be
that one, so another goes too, the one with the fewest trips; and where a coarser cell is withheld,
not all cells in it may be published. (Complementary suppression; see Willenborg and de Waal,
Elements of Statistical Disclosure Control, 2001.) Whoever has the published sums of an earlier run
besides can still take differences: this looks at one run.
"""

from __future__ import annotations

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


def published(
    groupings: Sequence[Grouping], tables: Mapping[str, Mapping[str, Array]], min_trips: int
) -> dict[str, Mask]:
    """Say which rows of the groupings' tables may be seen: table name -> bool[n]."""
    shown = {one: tables[one.table]["trips"] >= min_trips for one in groupings}
    pairs = [
        (fine, coarse, _place(fine, coarse, tables))
        for fine in groupings
        for coarse in groupings
        if lies_within(fine, coarse)
    ]
    changes = True
    while changes:
        trips = {one: tables[one.table]["trips"] for one in groupings}
        found = [_protect(shown, trips[fine], fine, coarse, at) for fine, coarse, at in pairs]
        changes = any(found)
    return {one.table: mask for one, mask in shown.items()}


def _place(
    fine: Grouping, coarse: Grouping, tables: Mapping[str, Mapping[str, Array]]
) -> npt.NDArray[np.intp]:
    """Give the row of the coarser table in which each row of the finer one lies."""
    there, mine = tables[coarse.table], tables[fine.table]
    names = ("link", *coarse.parts)
    return rows_of([there[name] for name in names], [cells_of(name, mine) for name in names])


def _protect(
    shown: dict[Grouping, Mask],
    trips: Array,
    fine: Grouping,
    coarse: Grouping,
    at: npt.NDArray[np.intp],
) -> bool:
    """Withhold one more cell wherever a difference would reveal one; tell whether any was."""
    n = len(shown[coarse])
    hidden = np.bincount(at[~shown[fine]], minlength=n)
    revealed = np.where(shown[coarse], hidden == 1, hidden == 0)[at] & shown[fine]
    rows = np.flatnonzero(revealed)
    if not len(rows):
        return False
    order = rows[np.lexsort((trips[rows], at[rows]))]
    first = np.append(True, at[order][1:] != at[order][:-1])
    shown[fine][order[first]] = False
    return True
