"""Options for positions: where fixes have no link, or no speed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from mapreduce.commands.options import option
from mapreduce.errors import UsageError
from mapreduce.output import say
from roadspeed.trip import GPX_PATHS, PATHS

if TYPE_CHECKING:
    from roadspeed.commands.measure_options import TimeOptions
    from roadspeed.speeds import Speeds

POSITIONS = "Positions: where fixes have no link, or no speed"
PLACES = ("latitude", "longitude")
SPEED_SOURCES = ("field", "positions", "matched")


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """Positions: where fixes have no link, or no speed."""

    osm: Annotated[
        str | None,
        option(
            "--osm",
            "Match positions to OpenStreetMap: an extract (city.osm.pbf), or a folder of"
            " `roadspeed roads tiles`.",
            POSITIONS,
        ),
    ] = None
    speed_from: Annotated[
        str,
        option(
            "--speed-from",
            "field (--speed); positions: from position and time, and those of the fix before;"
            " matched: the same along the roads of --osm.",
            POSITIONS,
        ),
    ] = "field"
    latitude: Annotated[str, option("--latitude", "Path of the latitude in a fix.", POSITIONS)] = (
        PATHS.latitude
    )
    longitude: Annotated[
        str, option("--longitude", "Path of the longitude in a fix.", POSITIONS)
    ] = PATHS.longitude
    gps_accuracy: Annotated[
        float, option("--gps-accuracy", "Usual error of a position, in metres.", POSITIONS)
    ] = 5.0
    search_radius: Annotated[
        float,
        option("--search-radius", "How far off a road may be, in metres.", POSITIONS),
    ] = 50.0
    sampling_interval: Annotated[
        float,
        option(
            "--sampling-interval",
            "Match positions at least so many seconds apart, and put others on the way between.",
            POSITIONS,
        ),
    ] = 5.0

    def job(self, given: dict[str, Any], times: TimeOptions) -> Speeds:
        """Return the job: fixes with links and speeds, or without.

        Parameters
        ----------
        given
            The parameters of trips and measures.
        times
            When a fix was.

        Raises
        ------
        UsageError
            If a value is invalid.
        """
        if self.speed_from not in SPEED_SOURCES:
            raise UsageError(
                f"--speed-from is one of {', '.join(SPEED_SOURCES)}, got {self.speed_from!r}"
            )
        if self.osm is None and self.speed_from == "matched":
            raise UsageError("--speed-from matched needs --osm: the roads along which to measure")
        traced = self.osm is not None or self.speed_from != "field"
        trims = given.get("trip_ends", 0) > 0
        if not (traced or trims or given.get("by")):
            times.refuse("--by, --trip-ends, --osm, or --speed-from positions")
        given |= times.parameters(given["format"])
        if not traced:
            moves = given.get("direction_from") in {"heading", "moves"}
            self._refuse_unused(placed=trims or moves)
        places = {name: getattr(self, name) for name in PLACES}
        if given["format"] == "gpx":
            usual = {name: getattr(GPX_PATHS, name) for name in places}
            places |= {k: v for k, v in usual.items() if places[k] == getattr(PATHS, k)}
        given |= places
        if not traced:
            from roadspeed.speeds import Speeds

            return Speeds(**given)
        if self.osm is None:
            from roadspeed.traced_speeds import TracedSpeeds

            return TracedSpeeds(**given)
        from mapreduce import SideFile
        from roadspeed.osm.match_folder import folder_of
        from roadspeed.osm.matched_speeds import MatchedSpeeds

        job = MatchedSpeeds(  # which refuses what cannot be, before an extract is prepared
            **given,
            tiles=SideFile(self.osm),
            ways=SideFile(self.osm),
            speed_from=self.speed_from,
            gps_accuracy=self.gps_accuracy,
            search_radius=self.search_radius,
            sampling_interval=self.sampling_interval,
        )
        folder = folder_of(self.osm, partial(say, err=True))
        return replace(job, tiles=SideFile(folder.tiles), ways=SideFile(folder.links))

    def _refuse_unused(self, *, placed: bool) -> None:
        default = TraceOptions()
        for one in fields(self):
            if placed and one.name in PLACES:
                continue
            if getattr(self, one.name) != getattr(default, one.name):
                name = one.name.replace("_", "-")
                also = ", --trip-ends" if one.name in PLACES else ""
                raise UsageError(f"--{name} needs --osm{also}, or --speed-from positions")

    def attribution(self) -> str:
        """Return whom to credit for the roads of `--osm`."""
        if self.osm is None:
            return ""
        from roadspeed.osm.roads_file import ATTRIBUTION

        return ATTRIBUTION

    def roads(self) -> str | None:
        """Return the roads that links of matched fixes are joined to; None without `--osm`."""
        if self.osm is None:
            return None
        from roadspeed.osm.match_folder import named

        return str(named(self.osm).roads)
