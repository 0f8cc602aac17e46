"""The main job where fixes have no link: each trip is matched to the roads of OpenStreetMap.

The links are those of `roadspeed roads from-osm` of the same extract. Speeds are the fixes' own, or
from positions and times (`roadspeed.traced_speeds`), or from times and the way between the places
that the positions were matched to. A trip is matched in pieces, between gaps.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np

import mapreduce as mr
from roadspeed import positions
from roadspeed.directed_fixes import MATCHED
from roadspeed.osm.links import NO_LINK
from roadspeed.osm.matcher import NO_LEG, UNMATCHED, Matched, Matcher
from roadspeed.osm.valhalla import Meili
from roadspeed.traced_speeds import TracedSpeeds, without

SPEEDS_FROM: Final = ("field", "positions", "matched")
MOST_M: Final = 1_000.0
MOST_S: Final = 3_600.0
BROKEN: Final = "way_broken"


class MatchedSpeeds(TracedSpeeds):
    """Fixes, trips and speeds of every link of OpenStreetMap.

    Parameters
    ----------
    tiles, ways
        The `tiles.tar` and `links.npz` of `roadspeed roads tiles`.
    speed_from
        `field`: the fix's own speed; `positions`: that over the straight line from the fix before;
        `matched`: that over the way along the roads from the matched fix before.
    gps_accuracy
        Metres: how far off positions usually are.
    search_radius
        Metres: how far from a position a road is looked for.
    sampling_interval
        Seconds: of positions that follow each other sooner, one is matched, and the others are put
        on the way between. 0: all are matched.
    """

    tiles: mr.SideFile
    ways: mr.SideFile
    speed_from: str = "positions"
    gps_accuracy: float = 5.0
    search_radius: float = 50.0
    sampling_interval: float = 5.0

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
        if not 0 <= self.sampling_interval <= MOST_S:
            raise mr.UsageError(
                f"--sampling-interval is 0 to {MOST_S:g} seconds, got {self.sampling_interval:g}"
            )
        super().__post_init__()

    @property
    def is_matched(self) -> bool:
        """Whether positions are matched to roads, so that no field holds the link."""
        return True

    @property
    def is_stepped(self) -> bool:
        """Whether speeds are from positions and times, so that no field holds them."""
        return self.speed_from != "field"

    def fields(self) -> dict[str, Any]:
        """Give the fields of a fix."""
        speed = {"speed": self.speed_field()} if self.speed_from == "field" else {}
        own = {**self.position_fields(), **speed, **self.trip_field(), **self.limit_field()}
        return {**self.way_fields(), **own}

    @cached_property
    def matcher(self) -> Matcher:
        """The matcher of this process."""
        meili = Meili(self.tiles.path, self.gps_accuracy, self.search_radius)
        return Matcher(meili, self.ways.path, self.sampling_interval)

    def map(self, r: mr.Records) -> list[mr.Rows]:
        """Fold the fixes of an object."""
        r, steps = self.in_order(r)
        found = self.matched(r, steps)
        unmatched = [(UNMATCHED, found.link == NO_LINK)]
        if self.speed_from == "field":
            r, kept = without(r, [*unmatched, *self.ends(r)])
            return self._on_links(r, found.some(kept), r.speed)
        if self.speed_from == "positions":
            speed = self.speed_of(steps)
            r, kept = without(r, [*unmatched, *self.faults(r, steps, speed)])
            return self._on_links(r, found.some(kept), speed[kept])
        r, kept = without(r, unmatched)
        found = found.some(kept)
        steps, broken = self._driven(r, found)
        speed = self.speed_of(steps)
        r, kept = without(r, [*self.faults(r, steps, speed), (BROKEN, broken)])
        return self._on_links(r, found.some(kept), speed[kept])

    def _on_links(self, r: mr.Records, found: Matched, speed: mr.Array) -> list[mr.Rows]:
        """Fold matched fixes with speeds, float64[n] in `unit`."""
        direction = found.direction if self.direction_from == MATCHED else None
        return self.folded(r, found.link, speed, direction)

    def matched(self, r: mr.Records, steps: positions.Steps) -> Matched:
        """Match fixes in order, in the pieces between gaps."""
        bounds = [*np.flatnonzero(steps.first | self.are_apart(steps)).tolist(), len(r)]
        found = Matched.nowhere(len(r))
        for start, stop in pairwise(bounds):
            some = slice(start, stop)
            piece = self.matcher.match(r.latitude[some], r.longitude[some], r.time[some])
            found.put(some, piece)
        return found

    def _driven(self, r: mr.Records, found: Matched) -> tuple[positions.Steps, positions.Mask]:
        """Give the ways between matched fixes, and which have none: no road leads there.

        A place that is behind the one before, by an error of its position, is taken for the same.
        """
        steps = positions.steps(self.trip_of(r), r.latitude, r.longitude, r.time)
        way_mm = np.maximum(np.diff(found.at_mm, prepend=found.at_mm[:1]), 0)
        before = np.concatenate([found.leg[:1], found.leg[:-1]])
        broken = (found.leg == NO_LEG) | (before != found.leg)
        return replace(steps, distance_mm=np.where(steps.first, 0, way_mm)), broken & ~steps.first
