"""Posted limits: which one a link has, and the share of its fixes above it.

The limit is the document's, fix by fix, so one of several is the one that most fixes have (of
equals the lowest); the share counts every fix against its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

import mapreduce as mr
from roadspeed.measures.key_rows import rows_of
from roadspeed.statistics import MICRO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roadspeed.measures.fixes import Fixes

LIMITS: Final = "limits"
P85: Final = 85


def tables(link: mr.Key, trip: mr.Key | None) -> dict[str, mr.Table]:
    """Give the table that it takes, by name."""
    trips = mr.Distinct(per=trip or "object")
    return {LIMITS: mr.Table(key=(link, "limit_um"), fixes=mr.Sum, trips=trips, above=mr.Sum)}


def fold(tables: Mapping[str, mr.Table], fixes: Fixes) -> list[mr.Rows]:
    """Fold the fixes that have a limit."""
    if fixes.limit_um is None or fixes.limited is None:
        return []
    has, limit = fixes.limited, fixes.limit_um[fixes.limited]
    above = (fixes.speed_um[has] > limit).astype(np.int64)
    return [
        tables[LIMITS].fold(fixes.link[has], limit, fixes=1, above=above, **fixes.trips_at(has))
    ]


def finish(merged: Mapping[str, mr.Columns]) -> dict[str, mr.Array]:
    """Give a row a link that has a limit."""
    t = merged[LIMITS]
    order = np.lexsort((t.limit_um, -t.fixes, _codes(t.link)))  # the most fixes of a link first
    link = t.link[order]
    starts = np.flatnonzero(np.append(True, link[1:] != link[:-1])[: len(link)])
    limit = t.limit_um[order][starts] / MICRO
    fixes, above = (
        np.add.reduceat(column[order], starts) if len(starts) else column
        for column in (t.fixes, t.above)
    )
    columns = {
        "link": link[starts],
        "trips": t.trips[order][starts],
        "limit": limit,
        "limit_fixes": fixes,
        "above_limit_share": above / np.maximum(fixes, 1),
    }
    if "by_link" in merged:
        all_ = merged["by_link"]
        p85 = all_.distributions("speed").percentile(P85) / MICRO
        mine = p85[rows_of([all_.link], [columns["link"]])]
        columns |= {"p85": mine, "p85_above_limit": mine - limit}
    return columns


def _codes(links: mr.Array) -> mr.Array:
    return np.unique(links, return_inverse=True)[1]
