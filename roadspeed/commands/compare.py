"""`roadspeed compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapreduce.commands.command import command
from mapreduce.commands.options import folder, option
from mapreduce.errors import UsageError
from mapreduce.output import say

if TYPE_CHECKING:
    from roadspeed.compare import Comparison

COLUMNS = ("A", "B", "difference", "±", "fixes A", "fixes B", "trips A", "trips B")
LOWER_BOUND = (
    "± is half of the 95 % confidence interval (Welch) of the difference, as if all fixes were"
    " independent. Those of one trip are not, so read it as a lower bound: look at the trips. Of"
    " 100 links without any difference, about 5 seem to have one by chance."
)


@command
def compare_command(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="The folder (--out) of a run", parser=folder)
    ],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="That of another, held against A", parser=folder)
    ],
    *,
    out: Annotated[
        Path | None,
        option("--out", "A file for all rows: FILE.csv or FILE.parquet.", metavar="<path>"),
    ] = None,
    by: Annotated[
        str | None, option("--by", "Compare the tables of a grouping: hour, direction-hour, ….")
    ] = None,
    min_trips: Annotated[
        int, option("--min-trips", "Rows with fewer trips in one of the runs are undecided.")
    ] = 1,
    top: Annotated[int, option("--top", "How many of the largest differences to show.")] = 10,
) -> None:
    """Compare two finished runs link by link: what became slower or faster, how surely.

    Examples:

        roadspeed compare january february

        roadspeed compare before after --by hour --out difference.parquet
    """
    from roadspeed.compare import check_name, compare, write_comparison

    for name, value in (("top", top), ("min-trips", min_trips)):
        if value < 0:
            raise UsageError(f"--{name} is 0 or more, got {value}")
    if out is not None:
        check_name(out)
    found = compare(first, second, by, min_trips=min_trips)
    if out is not None:
        write_comparison(out, found, (first, second))
    _tell(found, first, second, top)
    if out is not None:
        say(f"{len(found.rows):,} rows written to {out}")


def _tell(found: Comparison, first: Path, second: Path, top: int) -> None:
    from mapreduce.console.text_table import text_table
    from roadspeed.compare import counts, surest
    from roadspeed.comparison import FASTER, ONLY_A, ONLY_B, SLOWER, UNDECIDED

    counted = counts(found)
    in_both = sum(counted.get(name, 0) for name in (SLOWER, FASTER, UNDECIDED))
    what = "links" if len(found.keys) == 1 else "cells"
    say(
        f"{in_both:,} {what} in both runs, {counted.get(ONLY_A, 0):,} only in {first},"
        f" {counted.get(ONLY_B, 0):,} only in {second}"
    )
    if in_both:
        shares = (
            f"{counted.get(name, 0):,} {name} ({100 * counted.get(name, 0) / in_both:.0f} %)"
            for name in (SLOWER, FASTER, UNDECIDED)
        )
        say(f"{second} against {first}: {', '.join(shares)}")
    for note in found.notes:
        say(f"note: {note}")
    rows = surest(found, top)
    if rows:
        say(f"The surest of the largest differences, in {found.unit}:")
        say(text_table([*found.keys, *COLUMNS], (_cells(found, row) for row in rows)))
    say(LOWER_BOUND)


def _cells(found: Comparison, row: dict[str, Any]) -> list[str]:
    speeds = [f"{row['mean_a']:.1f}", f"{row['mean_b']:.1f}"]
    difference = [f"{row['difference']:+.1f}", f"{row['ci95']:.1f}"]
    whole = [f"{row[f'{n}_{side}']:,}" for n in ("fixes", "trips") for side in "ab"]
    return [*(str(row[key]) for key in found.keys), *speeds, *difference, *whole]
