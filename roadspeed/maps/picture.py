"""What a map is to show and how: everything that can be chosen, and whether it can be meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mapreduce.errors import UsageError
from roadspeed.maps.colour import GROUNDS, Background, checked_limits
from roadspeed.maps.frame import ASPECTS, checked_box, frame_of_scale
from roadspeed.maps.legend import strip_height_px
from roadspeed.maps.shown import SHOWN, Shown

Measure = Literal["speed", "trips", "fixes"]

WIDTH_RANGE_PX = (400, 20_000)
EDGE_SHARE = 0.03  # of the page's width, left free around the map
BYTES_PER_PX = 8  # at the peak, as measured: canvas, picture, and a copy of it


@dataclass(frozen=True, slots=True)
class Picture:
    """What to draw and how.

    Parameters
    ----------
    measure
        `"speed"` on a linear scale, `"trips"` or `"fixes"` (coverage) on a logarithmic one.
    background
        `"dark"`, `"light"`, or `"none"` (transparent).
    width_px, height_px
        Size of the whole page; without a height it follows from the map.
    dpi
        Pixels an inch on paper, recorded in the file.
    bbox
        West, south, east, north to show, WGS 84 degrees; west above east is across the date
        line. By default all links, but for a few that lie far from all others.
    centre, scale
        Longitude and latitude, and N of 1:N on paper: both or neither, and not with `bbox`.
    min_fixes
        Links with fewer are drawn thin and grey when the measure is speed. In a coverage map
        any link with a fix has its colour.
    unit
        Of the speeds, for the legend; nothing is converted.
    limits
        Fixed ends of the colour scale, as for the frames of an animation.
    title, subtitle, note, attribution
        Words of the legend: a place; what is shown; what to know, such as "sample of 1 %"; who
        is to be credited, such as "© OpenStreetMap contributors".
    total_trips
        How many distinct trips there were in all, which a sum over links cannot tell.
    other
        What the links' `speed` holds, where it is not their mean speed over all time.
    counts
        What the map rests on, where links, fixes and trips do not tell it.
    """

    measure: Measure = "speed"
    background: Background = "dark"
    width_px: int = 2400
    height_px: int | None = None
    dpi: float = 300.0
    bbox: tuple[float, float, float, float] | None = None
    centre: tuple[float, float] | None = None
    scale: int | None = None
    min_fixes: int = 5
    unit: str = "km/h"
    limits: tuple[float, float] | None = None
    title: str = ""
    subtitle: str = ""
    note: str = ""
    attribution: str = ""
    total_trips: int | None = None
    other: Shown | None = None
    counts: str = ""

    @property
    def shown(self) -> Shown:
        """What the colours mean."""
        return self.other or SHOWN[self.measure]

    def check(self) -> None:
        """Raise UsageError if this picture cannot be meant."""
        for name, value, known in (
            ("measure", self.measure, get_args(Measure)),
            ("background", self.background, tuple(GROUNDS)),
        ):
            if value not in known:
                raise UsageError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
        low, high = WIDTH_RANGE_PX
        for name, pixels in (("width", self.width_px), ("height", self.height_px)):
            if pixels is not None and not low <= pixels <= high:
                raise UsageError(f"{name}: expected {low} to {high} pixels, got {pixels}")
        if self.dpi < 1 or self.min_fixes < 0:
            raise UsageError(
                "dpi and min-fixes: expected at least 1 and 0, got"
                f" {self.dpi:g} and {self.min_fixes}"
            )
        if self.height_px is not None and self.height_px <= self.around_px():
            raise UsageError(
                f"height: expected room for a map above the legend, {self.around_px() + 1} pixels"
                f" at least on a page {self.width_px} wide, got {self.height_px}"
            )
        if self.limits is not None:
            checked_limits(self.limits)
        self._check_frame()

    def edge_px(self) -> int:
        """Pixels left free around the map."""
        return round(EDGE_SHARE * self.width_px)

    def around_px(self) -> int:
        """Pixels of the page's height that are not the map's."""
        return 2 * self.edge_px() + strip_height_px(self.width_px)

    def most_bytes(self) -> int:
        """Return the memory that painting may take: the page is as high as a map can be."""
        height_px = self.height_px or self.around_px() + round(ASPECTS[1] * self.width_px)
        return BYTES_PER_PX * self.width_px * height_px

    def _check_frame(self) -> None:
        if (self.centre is None) != (self.scale is None):
            raise UsageError("centre and scale: expected both, as --centre LON,LAT --scale 25000")
        if self.bbox is not None and self.centre is not None:
            raise UsageError("bbox and centre: expected one of them; leave the other out")
        if self.bbox is not None:
            checked_box(self.bbox)
        if self.centre is not None and self.scale is not None:
            frame_of_scale(self.centre, self.scale, self.dpi, self.width_px, self.height_px)
