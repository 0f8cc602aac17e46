"""A map of roads coloured by their speed, trips or fixes, as one PNG: the choropleths of 2019.

Dark purple is slow, bright yellow fast; roads with little data are thin and grey, whatever they
measured. Major roads lie above minor ones, slow above fast. The file is written whole or not at
all, and the same input gives the same bytes under the same versions. matplotlib, shapely
and Pillow are imported when something is drawn, never before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mapreduce.atomic_file import whole
from mapreduce.errors import UsageError
from roadspeed.maps.colour import GROUNDS, Background, checked_limits
from roadspeed.maps.frame import ASPECTS, checked_box, frame_of_scale
from roadspeed.maps.links import checked_context, checked_links
from roadspeed.maps.page import SENTENCES, compose, page_height_px, typeface_of
from roadspeed.maps.scene import around_px, scene_of

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

    from roadspeed.maps.strokes import Floats, Ints, Objects

Measure = Literal["speed", "trips", "fixes"]

WIDTH_RANGE_PX = (400, 20_000)
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

    def check(self) -> None:
        """Raise UsageError if this picture cannot be meant."""
        for name, value, known in (
            ("measure", self.measure, tuple(SENTENCES)),
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
        if self.height_px is not None and self.height_px <= around_px(self):
            raise UsageError(
                f"height: expected room for a map above the legend, {around_px(self) + 1} pixels at"
                f" least on a page {self.width_px} wide, got {self.height_px}"
            )
        if self.limits is not None:
            checked_limits(self.limits)
        self._check_frame()

    def most_bytes(self) -> int:
        """Return the memory that painting may take: the page is as high as a map can be."""
        height_px = self.height_px or around_px(self) + round(ASPECTS[1] * self.width_px)
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


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a picture shows: links drawn, of those with little data; not drawn, and why.

    `drawn + outside + without_geometry` is the number of links given, and `strays` are the
    positions of those outside that lie far from all others. `unset` has the characters of its
    words that were left out, since no installed font has them.
    """

    drawn: int
    little: int
    outside: int
    without_geometry: int
    width_px: int
    height_px: int
    scale_denominator: float
    unset: str = ""
    strays: tuple[int, ...] = ()


def draw(
    path: str | os.PathLike[str],
    picture: Picture,
    *,
    link_geometry: Objects | None,
    speed: Floats,
    fixes: Ints,
    trips: Ints,
    road_class: Objects | None = None,
    context_geometry: Objects | None = None,
    context_class: Objects | None = None,
) -> Drawn:
    """Draw a picture into a PNG file.

    Parameters
    ----------
    path
        The file; it is replaced when the picture is whole, and untouched by a failure.
    picture
        What to draw and how.
    link_geometry
        object[n] of shapely geometries or None, WGS 84 degrees; only lines are drawn.
    speed, fixes, trips
        float64[n] in the picture's unit, int64[n], int64[n]: one entry a link. A speed that is
        not finite counts as little data.
    road_class
        object[n] of OSM `highway` names or functional classes 1 to 5, or None.
    context_geometry, context_class
        The same for roads without data, drawn faintly beneath.

    Returns
    -------
    Drawn
        How many links were drawn and how many were not.

    Raises
    ------
    UsageError
        If the picture cannot be meant, the arrays differ in length, no link has a geometry, or
        none lies within the frame.
    """
    picture.check()
    links = checked_links(link_geometry, speed, fixes, trips, road_class)
    scene = scene_of(picture, links, checked_context(context_geometry, context_class))
    write_png(path, compose(picture, links, scene), picture)
    return Drawn(
        drawn=int(scene.shown.sum()),
        little=int((scene.shown & scene.little).sum()),
        outside=int((scene.located & ~scene.shown).sum()),
        without_geometry=int((~scene.located).sum()),
        width_px=picture.width_px,
        height_px=page_height_px(picture, scene),
        scale_denominator=scene.frame.denominator(picture.dpi),
        unset=typeface_of(picture).missing,
        strays=tuple(scene.strays.tolist()),
    )


def write_png(path: str | os.PathLike[str], figure: Figure, picture: Picture) -> None:
    """Write a figure as PNG, whole or not at all, with its resolution and no date."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - heavy
    from PIL import Image  # noqa: PLC0415 - heavy, as above

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call] # matplotlib leaves it bare
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call] # as above
    image = Image.fromarray(np.asarray(pixels))
    if GROUNDS[picture.background].paper is not None:
        image = image.convert("RGB")
    with whole(path) as partial:
        image.save(partial, format="PNG", dpi=(picture.dpi, picture.dpi))
