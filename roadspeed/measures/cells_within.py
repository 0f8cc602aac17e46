"""Which groupings are coarser than which, and the coarser cells of finer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapreduce import Array
    from roadspeed.measures.groupings import Grouping

HOURS: Final = 24
_TOLD: Final = {"week_hour": ("week_hour", "hour", "day")}  # part -> the parts that follow from it


def lies_within(fine: Grouping, coarse: Grouping) -> bool:
    """Whether each cell of one grouping lies in one cell of another."""
    told = {less for part in fine.parts for less in _TOLD.get(part, (part,))}
    return fine != coarse and told.issuperset(coarse.parts)


def cells_of(part: str, columns: Mapping[str, Array]) -> Array:
    """Give the column of a part, or what it is of a finer one's."""
    if part in columns:
        return columns[part]
    week_hour = columns["week_hour"]
    return week_hour % HOURS if part == "hour" else week_hour // HOURS + 1
