"""The main job where a fix has no speed: from its position and time, and those of the fix before.

A step's speed is that of the fix at its end, on that fix's link. The fixes of a trip are taken in
the order of their times, whatever their order in the object. A trip lies within one object; where
`trip` names no field each object is a trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import mapreduce as mr
from roadspeed import positions
from roadspeed.speeds import AT_END, Speeds
from roadspeed.trip import METRES_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roadspeed.positions import Floats, Mask

FIRST, GAP, STOOD = "first_of_trip", "after_gap", "no_time_passed"


class TracedSpeeds(Speeds):
    """Fixes, trips and speeds of every link, the speeds from positions and times.

    Parameters
    ----------
    max_gap
        Seconds. A fix that comes later than this after the one before has no speed.
    """

    @property
    def has_positions(self) -> bool:
        """Whether each fix has a position."""
        return True

    @property
    def whole_objects(self) -> bool:  # type: ignore[override] # as in `Speeds`
        """Whether `map` needs all fixes of an object at once."""
        return True

    @property
    def is_stepped(self) -> bool:
        """Whether speeds are from positions and times, so that no field holds them."""
        return True

    def fields(self) -> dict[str, Any]:
        """Give the fields of a fix; without a link it still is where the next one came from."""
        link, trip = self.link_field(optional=True), self.trip_field()
        own = {"link": link, **self.position_fields(), **trip, **self.limit_field()}
        return {**self.way_fields(), **own}

    def position_fields(self) -> dict[str, Any]:
        """Give the fields of a fix that say where and when it was."""
        return {**self.place_fields(), "time": mr.Time(self.time, **self.clock)}

    def map(self, r: mr.Records) -> list[mr.Rows]:
        """Fold the fixes of an object."""
        r, steps = self.in_order(r)
        speed = self.speed_of(steps)
        r, kept = without(r, [("no_link", ~r.has("link")), *self.faults(r, steps, speed)])
        return self.folded(r, r.link, speed[kept])

    def in_order(self, r: mr.Records) -> tuple[mr.Records, positions.Steps]:
        """Give the fixes by trip and time, and the steps between them."""
        r = r.ordered(positions.in_order(self.trip_of(r), r.time))
        return r, positions.steps(self.trip_of(r), r.latitude, r.longitude, r.time)

    def speed_of(self, steps: positions.Steps) -> Floats:
        """Give the speed of each step in `unit`; NaN where no time passed."""
        return steps.speeds() / METRES_PER_SECOND[self.unit]

    def faults(
        self, r: mr.Records, steps: positions.Steps, speed: Floats
    ) -> list[tuple[str, Mask]]:
        """Say which steps give no speed: reasons, and where each applies."""
        return [
            *self.ends(r),
            (FIRST, steps.first),
            (GAP, self.are_apart(steps)),
            (STOOD, steps.time_us <= 0),
            ("speed_out_of_range", speed > self.max_speed),
        ]

    def ends(self, r: mr.Records) -> list[tuple[str, Mask]]:
        """Say which fixes are at an end of their trip, if such are dropped."""
        return [(AT_END, self.at_end(r))] if self.trip_ends else []

    def are_apart(self, steps: positions.Steps) -> Mask:
        """Say which fixes come later than `max_gap` after the one before."""
        return np.asarray(steps.time_us > self.max_gap * positions.US_A_SECOND)


def without(r: mr.Records, faults: Sequence[tuple[str, Mask]]) -> tuple[mr.Records, Mask]:
    """Drop records for the first reason that applies; give the others, and where they were."""
    kept = np.ones(len(r), dtype=np.bool_)
    for reason, bad in faults:
        r = r.without(bad[kept], reason)
        kept &= ~bad
    return r, kept
