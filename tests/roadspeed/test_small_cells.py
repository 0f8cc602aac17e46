"""What is withheld stays so: no difference of published cells is of fewer trips than asked for."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from roadspeed.measures.groupings import groupings_of
from roadspeed.measures.small_cells import published

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roadspeed.measures.groupings import Grouping

NAMES = ("hour", "day", "week-hour", "direction", "direction-hour", "direction-week-hour")
Fix = tuple[int, int, int | None, int, bool]  # link, trip, hour of the week, direction, traversal

fixes = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.integers(1, 6),
        st.sampled_from([None, 0, 0, 1, 24, 25, 49]),
        st.integers(1, 2),
        st.booleans(),
    ),
    max_size=60,
)


def cell_of(fix: Fix, parts: Iterable[str]) -> tuple[int, ...] | None:
    """Give link and cells of a fix; None where it has none."""
    link, _, hour, direction, _ = fix
    if hour is None and set(parts) - {"direction"}:
        return None
    hour = hour or 0
    cells = {"direction": direction, "week_hour": hour, "hour": hour % 24, "day": hour // 24 + 1}
    return (link, *(cells[part] for part in parts))


def cells_of(all_: list[Fix], grouping: Grouping) -> dict[tuple[int, ...], set[int]]:
    """Give the fixes of each cell, by their places."""
    found: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for at, fix in enumerate(all_):
        cell = cell_of(fix, grouping.parts)
        if cell is not None:
            found[cell].add(at)
    return dict(sorted(found.items()))


def table_of(all_: list[Fix], grouping: Grouping) -> dict[str, Any]:
    cells = cells_of(all_, grouping)
    keys = np.array([*cells], np.int64).reshape(len(cells), len(grouping.parts) + 1)
    table = dict(zip(("link", *grouping.parts), keys.T, strict=True))
    counts = [(len(f), len({all_[i][1] for i in f}), sum(all_[i][4] for i in f))
              for f in cells.values()]  # fmt: skip
    columns = np.array(counts, np.int64).reshape(-1, 3).T
    return table | dict(zip(("fixes", "trips", "traversals"), columns, strict=True))


@settings(max_examples=400)
@given(fixes, st.lists(st.sampled_from(NAMES), min_size=1, unique=True), st.integers(2, 4))
def test_no_difference_of_two_groupings_is_of_few_trips(
    all_: list[Fix], names: list[str], min_trips: int
) -> None:
    groupings = groupings_of(names)
    tables = {one.table: table_of(all_, one) for one in groupings}
    masks = published(groupings, tables, min_trips)
    cells = {one: cells_of(all_, one) for one in groupings}
    shown = {
        one: {cell for cell, seen in zip(cells[one], masks[one.table], strict=True) if seen}
        for one in groupings
    }

    def trips(some: set[int]) -> int:
        return len({all_[at][1] for at in some})

    for one in groupings:
        for cell in shown[one]:
            assert trips(cells[one][cell]) >= min_trips
            stays = sum(all_[at][4] for at in cells[one][cell])
            assert stays == 0 or stays >= min_trips
    for coarse, fine in product(groupings, groupings):
        for cell, whole in cells[coarse].items():
            inside = {c: its for c, its in cells[fine].items() if its <= whole}
            if coarse == fine or not inside or not nested(fine, coarse):
                continue
            seen = set().union(*(inside[c] for c in inside if c in shown[fine]))
            left = whole - seen
            if (not coarse.parts and trips(whole) >= min_trips) or cell in shown[coarse]:
                if seen and left:
                    assert trips(left) >= min_trips
                    assert left not in inside.values()
            elif left == set():
                assert cell in shown[coarse]


def nested(fine: Grouping, coarse: Grouping) -> bool:
    """Whether the parts of one follow from those of the other."""
    told = set(fine.parts) | ({"hour", "day"} if "week_hour" in fine.parts else set())
    return set(coarse.parts) <= told


def test_where_nothing_is_small_nothing_is_withheld() -> None:
    all_: list[Fix] = [(1, trip, hour, way, True) for trip, hour, way in product(
        range(5), (0, 1, 24), (1, 2))]  # fmt: skip
    groupings = groupings_of(NAMES)
    masks = published(groupings, {one.table: table_of(all_, one) for one in groupings}, 5)
    assert all(mask.all() for mask in masks.values())
