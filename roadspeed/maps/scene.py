"""What one picture shows: its frame, the links in it, their scale, and the layers to paint.

Everything is decided here from the picture and the roads; nothing is painted and no word is set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.maps.colour import GROUNDS, Scale, count_scale, speed_scale
from roadspeed.maps.frame import Frame, frame_of_bounds, frame_of_scale
from roadspeed.maps.layers import Widths, context_layers, link_layers, widths_for
from roadspeed.maps.legend import strip_height_px
from roadspeed.maps.road_class import widths_of
from roadspeed.maps.shader import few_widths
from roadspeed.maps.strokes import Floats, Layer, Strokes, bounds_of, on_page, strokes_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.maps.links import Context, Links
    from roadspeed.maps.picture import Picture

# Not a crossover: none was found. Up to a million links, the most that was measured, matplotlib
# took less time and less memory (benchmarks/pictures.py); beyond lies what nobody has timed.
DATASHADER_FROM_LINES = 2_000_000
EDGE_SHARE = 0.03  # of the page's width, left free around the map


@dataclass(frozen=True, slots=True)
class Scene:
    """What is shown; `shown`, `located` and `little` are bool[n] over the links given.

    `located` links have a line, `shown` ones have it within the frame, `little` ones have too
    little data for a colour. `scale` is None where no link has enough.
    """

    frame: Frame
    scale: Scale | None
    layers: list[Layer]
    widths: Widths
    located: npt.NDArray[np.bool_]
    shown: npt.NDArray[np.bool_]
    little: npt.NDArray[np.bool_]
    has_context: bool
    renderer: str


def scene_of(picture: Picture, links: Links, context: Context) -> Scene:
    """Decide what a picture shows.

    Raises
    ------
    UsageError
        If no link has a line, or none lies within the frame.
    """
    count = len(links.geometry)
    strokes = strokes_of(links.geometry)
    if not len(strokes.lines):
        raise UsageError(
            f"map: expected lines for some links, got none among {count:,}; do the ids of the "
            "roads fit those of the trips? --no-map leaves the map out"
        )
    frame = frame_for(picture, strokes)
    page, beneath = on_page(strokes, frame), on_page(strokes_of(context.geometry), frame)
    if not len(page.lines):
        said = ",".join(f"{v:.5g}" for v in bounds_of(strokes))
        raise UsageError(f"map: no link lies within the frame; the links lie within {said}")
    located, shown = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    located[strokes.owner], shown[page.owner] = True, True
    little, values = links.little(picture.measure, picture.min_fixes), links.values(picture.measure)
    scale = scale_for(picture, values[shown & ~little])
    shade = np.zeros(count)
    if scale is not None:
        shade[~little] = scale.place(values[~little])
    renderer = renderer_for(picture, len(page.lines) + len(beneath.lines))
    shares = widths_of(links.road_class, count)
    faint = widths_of(context.road_class, len(context.geometry))
    ground, widths = GROUNDS[picture.background], widths_for(frame)
    if renderer == "datashader":  # compiles for seconds a width
        shares, faint, ground = few_widths(shares), few_widths(faint), replace(ground, casing=None)
    layers = context_layers(beneath, faint, ground, widths)
    layers += link_layers(page, shade, little=little, shares=shares, ground=ground, widths=widths)
    has_context = bool(len(beneath.lines))
    return Scene(
        frame, scale, layers, widths, located, shown, little, has_context, renderer
    )  # fmt: skip


def renderer_for(picture: Picture, lines: int) -> str:
    """Return the painter a picture asks for, or the faster one for this many lines."""
    if picture.renderer != "auto":
        return picture.renderer
    return "matplotlib" if lines < DATASHADER_FROM_LINES else "datashader"


def edge_px(picture: Picture) -> int:
    """Pixels left free around the map."""
    return round(EDGE_SHARE * picture.width_px)


def frame_for(picture: Picture, strokes: Strokes) -> Frame:
    """Frame of a picture's map: its box, its centre and scale, or all its links."""
    edge = edge_px(picture)
    width_px = picture.width_px - 2 * edge
    height_px = None
    if picture.height_px is not None:
        around = 2 * edge + strip_height_px(picture.width_px)
        height_px = picture.height_px - around
        if height_px < 1:
            raise UsageError(
                f"height: expected room for a map above the legend, {around + 1} pixels at least "
                f"on a page {picture.width_px} wide, got {picture.height_px}"
            )
    if picture.centre is not None and picture.scale is not None:
        return frame_of_scale(picture.centre, picture.scale, picture.dpi, width_px, height_px)
    bounds = picture.bbox or bounds_of(strokes)
    return frame_of_bounds(bounds, width_px, height_px=height_px, exact=picture.bbox is not None)


def scale_for(picture: Picture, values: Floats) -> Scale | None:
    """Return the colour scale of the values to be coloured; None if there is none and no limits."""
    if not len(values) and picture.limits is None:
        return None
    return (speed_scale if picture.measure == "speed" else count_scale)(values, picture.limits)
