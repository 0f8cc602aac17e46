"""Free flow, travel-time index and congested share of each link, by the definitions of the FHWA.

Free flow is the 85th percentile of off-peak speeds: weekdays 9 to 16 and 19 to 22, weekends and
holidays 6 to 22. The travel-time index is the time that a peak hour (weekdays 6 to 9 and 16 to 19)
takes over that at free flow. Congested is what is slower than 90 % of free flow, of weekdays 6 to
22. Source: Federal Highway Administration, Urban Congestion Reports, documentation and definitions.

Percentile and share are over traversals, or over fixes where a run has none; the speed of peak
hours is the mean over fixes, which is a distance over a time. Planning-time index and level of
travel-time reliability are of times across days, and are not given here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

import mapreduce as mr
from roadspeed.measures.distribution import BUCKET_UM
from roadspeed.measures.key_rows import rows_of
from roadspeed.statistics import MICRO, mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roadspeed.measures.fixes import Fixes
    from roadspeed.measures.traversals import Traversals
    from roadspeed.statistics import Ints

FREE_FLOW_PERCENT: Final = 85
CONGESTED: Final = 0.9  # of free flow
OFF_PEAK, PEAK, WEEKDAYS = "off_peak", "peak", "weekdays"

_WEEKDAYS: Final = 5
_DAYS: Final = 8  # the eighth is a holiday
_HOURS: Final = 24


def _hours(days: range, *spans: tuple[int, int]) -> Ints:
    """Say which hours of the week lie in some hours of some days: 1 or 0 each."""
    found = np.zeros((_DAYS, _HOURS), np.int64)
    for first, end in spans:
        found[days.start : days.stop, first:end] = 1
    return found.ravel()


_WORKING: Final = range(_WEEKDAYS)
_OTHER: Final = range(_WEEKDAYS, _DAYS)
_IS: Final = {
    OFF_PEAK: _hours(_WORKING, (9, 16), (19, 22)) + _hours(_OTHER, (6, 22)),
    PEAK: _hours(_WORKING, (6, 9), (16, 19)),
    WEEKDAYS: _hours(_WORKING, (6, 22)),
}


def tables(link: mr.Key, trip: mr.Key | None) -> dict[str, mr.Table]:
    """Give the tables that it takes, by name."""
    trips = mr.Distinct(per=trip or "object")
    return {
        OFF_PEAK: mr.Table(key=link, n=mr.Sum, trips=trips, speed=mr.Histogram(BUCKET_UM)),
        PEAK: mr.Table(key=link, fixes=mr.Sum, trips=trips, total=mr.Sum),
        WEEKDAYS: mr.Table(key=link, n=mr.Sum, trips=trips, speed=mr.Histogram(BUCKET_UM)),
    }


def fold(
    tables: Mapping[str, mr.Table], fixes: Fixes, stays: Traversals | None, week_hour: Ints
) -> list[mr.Rows]:
    """Fold fixes, and traversals where there are any; `week_hour` is -1 where there is no time."""
    peak = _in(PEAK, week_hour)
    v = fixes.speed_um
    rows = [tables[PEAK].fold(fixes.link[peak], fixes=1, total=v[peak], **fixes.trips_at(peak))]
    at = np.arange(len(v)) if stays is None else stays.first
    v = v if stays is None else stays.speed_um
    for name in (OFF_PEAK, WEEKDAYS):
        mine = _in(name, week_hour[at])
        some = at[mine]
        rows.append(tables[name].fold(fixes.link[some], n=1, speed=v[mine], **fixes.trips_at(some)))
    return rows


def finish(merged: Mapping[str, mr.Columns]) -> dict[str, mr.Array]:
    """Give a row a link that has off-peak speeds; `trips` are the fewest that a value is of."""
    off_peak, peak, weekdays = merged[OFF_PEAK], merged[PEAK], merged[WEEKDAYS]
    free = off_peak.distributions("speed").percentile(FREE_FLOW_PERCENT)
    n = len(free)
    fixes, trips = np.zeros(n, np.int64), off_peak.trips.copy()
    peak_mean, congested = np.full(n, np.nan), np.full(n, np.nan)
    here, there = _shared(off_peak.link, peak.link)
    fixes[here] = peak.fixes[there]
    trips[here] = np.minimum(trips[here], peak.trips[there])
    peak_mean[here] = mean(peak.total, peak.fixes)[there]
    here, there = _shared(off_peak.link, weekdays.link)
    limit = np.full(len(weekdays.link), np.nan)
    limit[there] = free[here] * CONGESTED
    trips[here] = np.minimum(trips[here], weekdays.trips[there])
    congested[here] = weekdays.distributions("speed").share_below(limit)[there]
    free = free / MICRO
    with np.errstate(divide="ignore"):
        index = np.where(peak_mean > 0, free / peak_mean, np.nan)
    return {
        "link": off_peak.link,
        "free_flow": free,
        "trips": trips,
        "off_peak": off_peak.n,
        "peak_fixes": fixes,
        "peak_mean": peak_mean,
        "travel_time_index": index,
        "congested_share": congested,
    }


def _in(name: str, week_hour: Ints) -> mr.Array:
    return np.asarray((week_hour >= 0) & (_IS[name][week_hour] > 0))


def _shared(links: mr.Array, others: mr.Array) -> tuple[mr.Array, mr.Array]:
    """Give the rows of the links that both have, in each."""
    both = np.intersect1d(links, others, assume_unique=True)
    return rows_of([links], [both]), rows_of([others], [both])
