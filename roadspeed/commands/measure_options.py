"""Options for what is told apart beside the link: times, groupings, traversals, small cells."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path  # noqa: TC003 - Typer looks at the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final

from mapreduce.commands.options import option
from mapreduce.errors import UsageError
from roadspeed.trip import GPX_PATHS, PATHS

if TYPE_CHECKING:
    from roadspeed.measures.groupings import Grouping

TIMES: Final = "Times"
MEASURES: Final = "Measures"
UNUSED: Final = (  # without --by
    "period", "holidays", "traversals", "standing", "direction", "direction_values", "heading",
    "direction_from",
)  # fmt: skip
PUBLISHED_TRIPS: Final = 5
PUBLISHED_ENDS_M: Final = 200.0


@dataclass(frozen=True, slots=True)
class TimeOptions:
    """When a fix was."""

    time: Annotated[
        str, option("--time", "Path of the time in a fix; '': there is none.", TIMES)
    ] = PATHS.time
    time_epoch: Annotated[
        str,
        option(
            "--time-epoch",
            "Times are numbers since 1970: s or ms. Default: text in ISO 8601.",
            TIMES,
        ),
    ] = ""
    timezone: Annotated[
        str,
        option(
            "--timezone",
            "Zone of hours and days, such as Europe/London, and of times without an offset.",
            TIMES,
        ),
    ] = "UTC"
    max_gap: Annotated[
        float,
        option("--max-gap", "Seconds after which a fix does not continue a trace.", TIMES),
    ] = 60.0

    def parameters(self, format_: str) -> dict[str, Any]:
        """Return the parameters of the job.

        Raises
        ------
        UsageError
            There is no such zone.
        """
        from mapreduce import SideFile, zone_file

        usual = format_ == "gpx" and self.time == PATHS.time
        zone = None if self.timezone == "UTC" else SideFile(zone_file(self.timezone))
        return {
            "time": GPX_PATHS.time if usual else self.time,
            "time_epoch": self.time_epoch,
            "zone": zone,
            "max_gap": self.max_gap,
        }

    def refuse(self, needed: str) -> None:
        """Refuse options that nothing uses, and say what would."""
        default = TimeOptions()
        for one in fields(self):
            if getattr(self, one.name) != getattr(default, one.name):
                raise UsageError(f"--{one.name.replace('_', '-')} needs {needed}")


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """What is told apart, and how."""

    by: Annotated[
        list[str] | None,
        option(
            "--by",
            "Also speeds by hour, day, week-hour, date, period or direction, or by several:"
            " direction-hour; link: percentiles over all time. May be repeated, or have commas.",
            MEASURES,
        ),
    ] = None
    period: Annotated[
        list[str] | None,
        option(
            "--period",
            'For --by period: "morning=Mon-Fri 07:00-10:00". May be repeated.',
            MEASURES,
        ),
    ] = None
    holidays: Annotated[
        Path | None,
        option("--holidays", "File of dates, one per line: days of their own (Hol).", MEASURES),
    ] = None
    traversals: Annotated[
        bool,
        option(
            "--traversals/--no-traversals",
            "With --by, also the speeds of traversals: a trip's stays on a link. They need all"
            " fixes of an object in memory.",
            MEASURES,
        ),
    ] = True
    standing: Annotated[
        float,
        option(
            "--standing",
            "A vehicle slower than this (km/h) at the ends of a trip is parked.",
            MEASURES,
        ),
    ] = 1.0
    speed_limit: Annotated[
        str,
        option("--speed-limit", "Path of the posted limit at a fix, in --unit.", MEASURES),
    ] = ""
    direction: Annotated[
        str,
        option("--direction", "Path of the word that says which way a link was driven.", MEASURES),
    ] = ""
    direction_values: Annotated[
        str,
        option("--direction-values", "What these words mean: F=forward,T=backward.", MEASURES),
    ] = ""
    heading: Annotated[
        str,
        option(
            "--heading",
            "Path of the heading at a fix, degrees from north: compared with the roads.",
            MEASURES,
        ),
    ] = ""
    direction_from: Annotated[
        str,
        option(
            "--direction-from",
            "sign (of --signed-links), field, heading, moves (the way from fix to fix) or matched"
            " (to --osm). Default: the first of these that is told.",
            MEASURES,
        ),
    ] = ""
    layer: Annotated[
        list[str] | None,
        option(
            "--layer",
            "Also write this grouping of --by as a GeoPackage, for QGIS' temporal controller.",
            MEASURES,
        ),
    ] = None
    min_trips: Annotated[
        int,
        option("--min-trips", "Leave out links and cells with fewer trips.", MEASURES),
    ] = 1
    trip_ends: Annotated[
        float,
        option(
            "--trip-ends",
            "Drop fixes within so many metres of the first or last position of their trip.",
            MEASURES,
        ),
    ] = 0.0
    publish: Annotated[
        bool,
        option(
            "--publish",
            f"For publishing: at least --min-trips {PUBLISHED_TRIPS}, --trip-ends"
            f" {PUBLISHED_ENDS_M:g}, no least and greatest speeds, and no sums.",
            MEASURES,
        ),
    ] = False

    @property
    def fewest_trips(self) -> int:
        """The fewest trips of what is in a file."""
        return max(self.min_trips, PUBLISHED_TRIPS if self.publish else 1)

    def layers(self) -> tuple[Grouping, ...]:
        """Return the groupings that are written with geometry.

        Raises
        ------
        UsageError
            One is not among --by, or has no times.
        """
        if not self.layer:
            return ()
        from roadspeed.measures.groupings import check_span, grouping_of, groupings_of

        there = groupings_of(self._groupings())
        found = tuple(map(grouping_of, self.layer))
        for one in found:
            check_span(one)
            if one not in there:
                raise UsageError(f"--layer {one.name} needs --by {one.name}")
        return found

    def _groupings(self) -> tuple[str, ...]:
        return tuple(one for given in self.by or () for one in given.split(","))

    def parameters(self, *, signed: bool, is_matched: bool) -> dict[str, Any]:
        """Return the parameters of the job.

        Raises
        ------
        UsageError
            A value is invalid, or an option needs another.
        """
        from roadspeed.measures.holidays import read_holidays

        if self.min_trips < 1:
            raise UsageError(f"--min-trips is 1 or more, got {self.min_trips}")
        if self.trip_ends < 0:
            raise UsageError(f"--trip-ends is 0 or more metres, got {self.trip_ends:g}")
        by = self._groupings()
        if not by:
            self._refuse_unused()
        told = self._told_by(signed=signed, is_matched=is_matched)
        days = () if self.holidays is None else sorted(read_holidays(self.holidays))
        return {
            "by": by,
            "periods": tuple(self.period or ()),
            "holidays": tuple(days),
            "traversals": self.traversals,
            "standing": self.standing,
            "direction_from": told if any("direction" in one.split("-") for one in by) else "",
            "direction": self.heading if told == "heading" else self.direction,
            "direction_values": self.direction_values,
            "speed_limit": self.speed_limit,
            "trip_ends": max(self.trip_ends, PUBLISHED_ENDS_M if self.publish else 0.0),
        }

    def _told_by(self, *, signed: bool, is_matched: bool) -> str:
        """Return what tells the direction: what is asked for, or the first that there is."""
        there = {
            "sign": signed,
            "field": bool(self.direction),
            "heading": bool(self.heading),
            "matched": is_matched,
        }
        return self.direction_from or next(
            (name for name, is_there in there.items() if is_there), ""
        )

    def _refuse_unused(self) -> None:
        default = MeasureOptions()
        for name in UNUSED:
            if getattr(self, name) != getattr(default, name):
                typed = "no-traversals" if name == "traversals" else name.replace("_", "-")
                raise UsageError(f"--{typed} needs --by")
