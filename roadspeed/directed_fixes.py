"""Fixes, and which way their links were driven: by a sign, a word, a heading or the way itself."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

import mapreduce as mr
from roadspeed.fix_fields import FixFields
from roadspeed.measures.courses import Courses
from roadspeed.measures.direction import directions, from_sign, held
from roadspeed.measures.direction_words import from_words, parse_direction_values
from roadspeed.measures.headings import headings
from roadspeed.trip import speed_in

if TYPE_CHECKING:
    from roadspeed.positions import Mask

SIGN, FIELD, HEADING, MOVES, MATCHED = "sign", "field", "heading", "moves", "matched"
TABULAR: Final = ("csv", "parquet")  # where a column that is not there is an error
STEADY_KMH: Final = 5.0  # below it receivers report the last heading, or noise
WORD_BYTES: Final = 32  # of a word that says the direction


class DirectedFixes(FixFields):
    """Base of the jobs that tell directions apart.

    Parameters
    ----------
    direction_from
        What tells which way a link was driven: `sign` of its id (with `signed`); `field`, the words
        at `direction`; `heading`, the degrees at `direction` against the courses of links; `moves`,
        the way from fix to fix against them; `matched`, the way along the road that positions were
        matched to. "": nothing does.
    direction
        Path of that field.
    direction_values
        What words at `direction` mean: see `roadspeed.measures.direction_words`.
    courses
        The lines of links, where headings or moves tell the direction.
    """

    direction_from: str = ""
    direction: str = ""
    direction_values: str = ""
    courses: mr.SideFile | None = None

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        self._check_direction()
        super().__post_init__()

    @property
    def is_matched(self) -> bool:
        """Whether positions are matched to roads, so that no field holds the link."""
        return False

    def fields(self) -> dict[str, Any]:
        """Give the fields of a fix."""
        return {**super().fields(), **self.way_fields()}

    def _check_direction(self) -> None:
        """Refuse what cannot tell a direction."""
        known = (SIGN, FIELD, HEADING, MOVES, MATCHED)
        if self.direction_from not in ("", *known):
            raise mr.UsageError(
                f"--direction-from is one of {', '.join(known)}, got {self.direction_from!r}"
            )
        if self.direction_from == SIGN and not self.signed:
            raise mr.UsageError("--direction-from sign needs --signed-links")
        if self.direction_from == MATCHED and not self.is_matched:
            raise mr.UsageError("--direction-from matched needs --osm")
        if self.direction_from in {FIELD, HEADING} and not self.direction:
            raise mr.UsageError(f"--direction-from {self.direction_from} needs the path of a field")
        parse_direction_values(self.direction_values)

    def way_fields(self) -> dict[str, Any]:
        """Give the fields that tell the direction, and those of the position where that is used."""
        if self.direction_from == MOVES:
            return self.place_fields()
        if self.direction_from == FIELD:
            word = mr.Text(self.direction, WORD_BYTES, optional=True, integers=True, lenient=True)
            return {"direction": word}
        if self.direction_from == HEADING:
            places = {} if self.format in TABULAR else self.place_fields(optional=True)
            degrees = mr.Float(self.direction, optional=True, lenient=True)
            return {**places, "direction": degrees}
        return {}

    @cached_property
    def _courses(self) -> Courses:
        """The courses of links, read once in this process."""
        if self.courses is None:
            raise mr.JobError(f"direction_from={self.direction_from!r} needs courses: a side file")
        return Courses.read(self.courses.path)

    @cached_property
    def _words(self) -> dict[str, int]:
        return parse_direction_values(self.direction_values)

    @property
    def holds_direction(self) -> bool:
        """Whether the direction of a fix is told by those beside it too."""
        return self.direction_from in {HEADING, MOVES}

    def direction_of(
        self, r: mr.Records, link: mr.Array, speed: mr.Array, apart: Mask | None
    ) -> mr.Array | None:
        """Tell which way links were driven: cells of `direction`, int64[n]; None if none is asked.

        Fixes are in the order in which they were driven; `apart` are those after a gap. A heading
        is not believed at less than `STEADY_KMH`.
        """
        trip = self.trip_of(r) if self.holds_direction else None
        if self.direction_from == SIGN:
            return from_sign(link)
        if self.direction_from == FIELD:
            return from_words(r.direction, self._words)
        if self.direction_from == HEADING:
            place = () if self.format in TABULAR else (r.latitude, r.longitude)
            steady = speed >= STEADY_KMH * speed_in("km/h", self.unit)
            found = directions(self._courses, link, np.where(steady, r.direction, np.nan), *place)
            return held(found, trip, link, apart)
        if self.direction_from == MOVES:
            course = headings(trip, r.latitude, r.longitude, apart)
            found = directions(self._courses, link, course, r.latitude, r.longitude)
            return held(found, trip, link, apart)
        return None
