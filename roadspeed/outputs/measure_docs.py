"""Every column of the tables by grouping, of free flow and of limits, said once."""

from __future__ import annotations

from typing import Final

from roadspeed.measures.distribution import PERCENTILES
from roadspeed.outputs.column_docs import SPEED, ColumnDoc

FHWA: Final = "(FHWA, Urban Congestion Reports)"
_BUCKETS: Final = (
    "From exact counts in buckets of 2, within which values are taken as spread evenly."
)

CELLS: Final = (
    ColumnDoc("link", "int64", "", "Id of the road link, {link}.", "link"),
    ColumnDoc(
        "direction",
        "text",
        "",
        "`forward`: driven from the link's first vertex to its last; `backward`; or `unknown`.",
    ),
    ColumnDoc("date", "date", "", "Day, on the clocks of `--timezone`."),
    ColumnDoc("day", "int64", "", "Day of the week, 1 is Monday; 8 is a day of `--holidays`."),
    ColumnDoc("period", "text", "", "Name of the `--period`."),
    ColumnDoc(
        "week_hour",
        "int64",
        "h",
        "Hour of the week: 24 (day - 1) + hour, so 0 is Monday from 0:00 to 1:00.",
    ),
    ColumnDoc("hour", "int64", "h", "Hour of the day, 0 to 23."),
    ColumnDoc("fixes", "int64", "fixes", "Fixes on this link in this cell."),
    ColumnDoc("trips", "int64", "trips", "Distinct trips ({trip}) with such a fix."),
    ColumnDoc(
        "mean",
        "float64",
        SPEED,
        "Arithmetic mean of the speeds of these fixes: an estimate of the space-mean speed, since"
        " fixes come at equal time intervals.",
    ),
    ColumnDoc(
        "std", "float64", SPEED, "Sample standard deviation (n - 1) of the speeds of these fixes."
    ),
    *(
        ColumnDoc(f"p{p}", "float64", SPEED, f"{p}th percentile of these speeds. {_BUCKETS}")
        for p in PERCENTILES
    ),
    ColumnDoc(
        "traversals",
        "int64",
        "traversals",
        "Unbroken stays of a trip on this link that began in this cell (docs/traversals.md).",
    ),
    ColumnDoc(
        "traversal_mean",
        "float64",
        SPEED,
        "Arithmetic mean of the traversals' speeds, each of which is the mean of its fixes: each"
        " vehicle counts once, however long it takes.",
    ),
    ColumnDoc(
        "traversal_std", "float64", SPEED, "Sample standard deviation (n - 1) of these speeds."
    ),
    ColumnDoc(
        "traversal_seconds",
        "float64",
        "s",
        "Mean time from the first fix of a traversal to its last; without times there is no such"
        " column.",
    ),
    ColumnDoc(
        "traversal_space_mean",
        "float64",
        SPEED,
        "Space-mean speed of the traversals: the sum of their distances over the sum of their"
        " durations, which is their harmonic mean weighted by distance; only where positions and"
        " times are read (`--osm`, `--speed-from`, `--trip-ends`, `--direction-from moves`).",
    ),
    *(
        ColumnDoc(
            f"traversal_p{p}",
            "float64",
            SPEED,
            f"{p}th percentile of the traversals' speeds. {_BUCKETS} With fewer than 5 traversals"
            " it is that of a coarser grouping: see `level`.",
        )
        for p in PERCENTILES
    ),
    ColumnDoc(
        "level",
        "text",
        "",
        "The grouping that the percentiles of traversals are of: this one, or the nearest coarser"
        " one of the run in which this cell has 5 traversals.",
    ),
)
"""Columns of `speeds-by-GROUPING`: those of its parts, and of what the run has."""

FREE_FLOW: Final = (
    ColumnDoc("link", "int64", "", "Id of the road link, {link}.", "link"),
    ColumnDoc(
        "free_flow",
        "float64",
        SPEED,
        "85th percentile of off-peak speeds of traversals (of fixes with `--no-traversals`):"
        f" weekdays 9 to 16 and 19 to 22, weekends and holidays 6 to 22 {FHWA}. {_BUCKETS}",
    ),
    ColumnDoc("trips", "int64", "trips", "The fewest trips that a value of this row is of."),
    ColumnDoc("off_peak", "int64", "", "Off-peak traversals (or fixes) that `free_flow` is of."),
    ColumnDoc("peak_fixes", "int64", "fixes", "Fixes in peak hours: weekdays 6 to 9, 16 to 19."),
    ColumnDoc("peak_mean", "float64", SPEED, "Mean speed of these fixes."),
    ColumnDoc(
        "travel_time_index",
        "float64",
        "",
        "Time of a peak hour over that at free flow, which is `free_flow / peak_mean`"
        f" {FHWA}; null without fixes in peak hours.",
    ),
    ColumnDoc(
        "congested_share",
        "float64",
        "",
        "Share of the traversals (or fixes) of weekdays 6 to 22 that are slower than 90 % of free"
        f" flow {FHWA}.",
    ),
)
"""Columns of `free-flow`."""

LIMITS: Final = (
    ColumnDoc("link", "int64", "", "Id of the road link, {link}.", "link"),
    ColumnDoc("trips", "int64", "trips", "Distinct trips ({trip}) with a fix of this limit."),
    ColumnDoc(
        "limit",
        "float64",
        SPEED,
        "Posted limit (`--speed-limit`) of most fixes; of equals the lowest.",
    ),
    ColumnDoc("limit_fixes", "int64", "fixes", "Fixes on this link that have a limit."),
    ColumnDoc(
        "above_limit_share", "float64", "", "Share of these that are faster than their own limit."
    ),
    ColumnDoc("p85", "float64", SPEED, "85th percentile of the speeds of all fixes, with `--by`."),
    ColumnDoc("p85_above_limit", "float64", SPEED, "`p85 - limit`; negative below the limit."),
)
"""Columns of `limits`."""

FILES: Final = {
    "speeds-by-GROUPING.parquet": CELLS,
    "free-flow.parquet": FREE_FLOW,
    "limits.parquet": LIMITS,
}
"""Which file has which columns; the CSV beside each has the same."""
