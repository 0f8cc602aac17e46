"""The trip document: how its fields are called, where they lie, and what their units are.

A document is `{"data": [fix, …]}`, a fix is one record a second (the 2019 shape). Other fleets
name things otherwise, so each path can be replaced; the unit of speed is not recorded in a
document and must be said. Nothing here reads a document.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Unit of speed -> what one of it is in m/s. A mile is 1609.344 m (international yard,
# 1959), a nautical mile 1852 m (1929).
METRES_PER_SECOND: Mapping[str, float] = MappingProxyType(
    {
        "km/h": 1000.0 / 3600.0,
        "mph": 1609.344 / 3600.0,
        "m/s": 1.0,
        "knots": 1852.0 / 3600.0,
    }
)
SPEED_UNITS = tuple(METRES_PER_SECOND)
DEFAULT_SPEED_UNIT = "km/h"
DEFAULT_MAX_SPEED = 400.0  # in the unit of the input
FORMATS = ("json", "json-lines", "json-documents", "json-columns", "csv", "parquet", "gpx")

# Field of a fix -> unit or kind of its value. Every one may be null or absent.
FIX_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "absVelocity": "speed, in the unit the fleet uses",
        "angle": "heading, degrees clockwise from north",
        "cornerType": "text: straight, left, right",
        "datetime": "ISO 8601 text",
        "dbResponse": "object: the matched road",
        "dist": "m since the fix before",
        "lat": "degrees, WGS 84",
        "long": "degrees, WGS 84",
        "radAccel": "m/s², positive to the left",
        "radii": "m, positive to the left; null when straight",
        "spdLim": "speed limit, km/h",
        "tangAccel": "m/s², positive when gaining speed",
        "timeSecs": "s since the trip began",
    }
)
# Field of `dbResponse` -> unit or kind of its value.
MATCH_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "address": "text: street name",
        "country": "text",
        "county": "text",
        "dirTravel": "text: F from the link's first vertex to its last, T towards it, B either;"
        " elsewhere the direction that is permitted, not that driven: docs/direction.md",
        "distFromPoint": "m between position and matched position",
        "functionalClass": "text: 1 (motorway) to 5 (local)",
        "heuristicSpeedLimit": "true if the limit is a guess",
        "linkID": "text holding an integer",
        "matchDirection": "degrees clockwise from north; elsewhere F or T: docs/direction.md",
        "matchLatitude": "degrees, WGS 84",
        "matchLongitude": "degrees, WGS 84",
        "roadType": "text: class of road",
        "speedLimit": "km/h",
        "urban": "true within a built-up area",
    }
)


@dataclass(frozen=True, slots=True)
class TripPaths:
    """Where a document keeps what the jobs want: dotted paths, `data` from the document's top.

    All but `data` are paths within one record.
    """

    data: str = "data"
    link: str = "dbResponse.linkID"
    speed: str = "absVelocity"
    time: str = "datetime"
    seconds: str = "timeSecs"
    direction: str = "dbResponse.dirTravel"
    limit: str = "dbResponse.speedLimit"
    road_type: str = "dbResponse.roadType"
    functional_class: str = "dbResponse.functionalClass"
    urban: str = "dbResponse.urban"
    latitude: str = "lat"
    longitude: str = "long"
    matched_latitude: str = "dbResponse.matchLatitude"
    matched_longitude: str = "dbResponse.matchLongitude"
    tangential_acceleration: str = "tangAccel"
    radial_acceleration: str = "radAccel"


PATHS = TripPaths()
"""As documents had it in 2019: what each option's default is."""


GPX_PATHS = TripPaths(latitude="@lat", longitude="@lon", time="time")
"""Where a point of a GPX track keeps them."""


# Reason for which fixes are dropped -> what helps, where it is not the data itself.
HELPS: Mapping[str, str] = MappingProxyType(
    {
        "no_link": "set the path of the link id with --link PATH: see `roadspeed inspect`",
        "no_speed": "set the path of the speed with --speed PATH: see `roadspeed inspect`",
        "no_trip": "set the path of the trip's id with --trip PATH; without --trip each object is"
        " a trip",
        "bad_link": "a link id must be an integer, or text of digits only; other text up to 64"
        " bytes is read with --link-type text, 12.0 with --link-type float",
        "bad_trip": "a trip's id must be an integer, or text of at most 64 bytes",
        "bad_speed": "a speed must be a number; as text it is read with --text-numbers, in CSV with"
        " the sign of --decimal",
        "no_latitude": "set the path of the latitude with --latitude PATH: see `roadspeed inspect`",
        "no_longitude": "set the path of the longitude with --longitude PATH",
        "no_time": "set the path of the time with --time PATH",
        "bad_time": "a time must be ISO 8601 text; a number since 1970 is read with --time-epoch",
        "unmatched": "it is on no road of the extract; see --search-radius and --gps-accuracy",
        "after_gap": "it comes more than --max-gap seconds after the fix before it",
        "speed_out_of_range": "it is below 0 or above --max-speed, in the unit of --unit",
        "not_a_record": "--records-at PATH must lead to a list of JSON objects; a line of CSV needs"
        " as many fields as the first, and quotes that close in it",
    }
)


def speed_in(unit: str, to: str) -> float:
    """Return the factor that turns a speed in `unit` into one in `to`.

    Raises
    ------
    UsageError
        If either is none of `SPEED_UNITS`.
    """
    for name in (unit, to):
        if name not in METRES_PER_SECOND:
            raise UsageError(f"expected a unit of speed ({', '.join(SPEED_UNITS)}), got {name!r}")
    return METRES_PER_SECOND[unit] / METRES_PER_SECOND[to]
