"""The main job where fixes have no link: each trip is matched to the roads of OpenStreetMap.

The links are those of `roadspeed roads from-osm` of the same extract. Speeds are the fixes' own, or
from positions and times (`roadspeed.traced_speeds`). A trip is matched in pieces, between gaps.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

import mapreduce as mr
from roadspeed.osm.links import NO_LINK
from roadspeed.osm.matcher import UNMATCHED, Matcher
from roadspeed.osm.valhalla import Meili
from roadspeed.traced_speeds import TracedSpeeds, without

if TYPE_CHECKING:
    from roadspeed import positions

SPEEDS_FROM: Final = ("field", "positions")
MOST_M: Final = 1_000.0


class MatchedSpeeds(TracedSpeeds):
    """Fixes, trips and speeds of every link of OpenStreetMap.

    Parameters
    ----------
    tiles, ways
        The `tiles.tar` and `links.npz` of `roadspeed roads tiles`.
    speed_from
        `field`: the fix's own speed; `positions`: that over the way from the fix before.
    gps_accuracy
        Metres: how far off positions usually are.
    search_radius
        Metres: how far from a position a road is looked for.
    """

    tiles: mr.SideFile
    ways: mr.SideFile
    speed_from: str = "positions"
    gps_accuracy: float = 5.0
    search_radius: float = 50.0

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        if self.speed_from not in SPEEDS_FROM:
            raise mr.UsageError(
                f"--speed-from is one of {', '.join(SPEEDS_FROM)}, got {self.speed_from!r}"
            )
        if self.link_type != "int" or self.signed or self.no_link:
            raise mr.UsageError(
                "--osm gives links of its own: leave out --link-type, --signed-links, --no-link"
            )
        for name, metres in (
            ("gps-accuracy", self.gps_accuracy),
            ("search-radius", self.search_radius),
        ):
            if not 0 < metres <= MOST_M:
                raise mr.UsageError(
                    f"--{name} is above 0 and at most {MOST_M:g} metres, got {metres:g}"
                )
        super().__post_init__()

    @property
    def is_matched(self) -> bool:
        """Whether positions are matched to roads, so that no field holds the link."""
        return True

    @property
    def is_stepped(self) -> bool:
        """Whether speeds are from positions and times, so that no field holds them."""
        return self.speed_from == "positions"

    def fields(self) -> dict[str, Any]:
        """Give the fields of a fix."""
        speed = {"speed": self.speed_field()} if self.speed_from == "field" else {}
        return {**self.position_fields(), **speed, **self.trip_field()}

    @cached_property
    def matcher(self) -> Matcher:
        """The matcher of this process."""
        return Matcher(
            Meili(self.tiles.path, self.gps_accuracy, self.search_radius), self.ways.path
        )

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold the fixes of an object."""
        r, steps = self.in_order(r)
        link = self._links(r, steps)
        faults = [(UNMATCHED, link == NO_LINK)]
        if self.speed_from == "field":
            r, kept = without(r, faults)
            return self.folded(r, link[kept], r.speed)
        speed = self.speed_of(steps)
        r, kept = without(r, [*faults, *self.faults(steps, speed)])
        return self.folded(r, link[kept], speed[kept])

    def _links(self, r: mr.Records, steps: positions.Steps) -> mr.Array:
        """Match the pieces between gaps: int64[n]."""
        bounds = [*np.flatnonzero(steps.first | self.are_apart(steps)).tolist(), len(r)]
        link = np.full(len(r), NO_LINK, dtype=np.int64)
        for start, stop in pairwise(bounds):
            some = slice(start, stop)
            link[some] = self.matcher.links_of(r.latitude[some], r.longitude[some], r.time[some])
        return link
