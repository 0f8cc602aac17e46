"""What one picture shows: its frame, the links in it, their scale, and the layers to paint.

Everything is decided here from the picture and the roads; nothing is painted and no message is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.maps.colour import GROUNDS, Scale
from roadspeed.maps.extent import bounds_of, boxes_of, strays_of
from roadspeed.maps.frame import Frame, frame_of_box, frame_of_boxes, frame_of_scale
from roadspeed.maps.layers import Widths, context_layers, link_layers, widths_for
from roadspeed.maps.on_page import on_page
from roadspeed.maps.scale_of import scale_of
from roadspeed.maps.strokes import (
    Floats,
    Ints,
    StrokeLayer,
    Strokes,
    kinds_of,
    strokes_of,
)
from roadspeed.road_class import widths_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.maps.links import Context, Links
    from roadspeed.maps.picture import Picture


@dataclass(frozen=True, slots=True)
class Place:
    """Where links lie on a page, whatever they show; `located` and `shown` as of a `Scene`.

    `strokes` are the lines of the links in pixels of the frame, `beneath` those of the context.
    """

    frame: Frame
    strokes: Strokes
    beneath: Strokes
    located: npt.NDArray[np.bool_]
    shown: npt.NDArray[np.bool_]
    strays: Ints


@dataclass(frozen=True, slots=True)
class Scene:
    """What is shown; `shown`, `located` and `little` are bool[n] over the links given.

    `located` links have a line, `shown` ones have it within the frame, `little` ones have too
    little data for a colour. `scale` is None where no link has enough. `strays` are positions of
    links outside, which the frame leaves out since they lie far from all others.
    """

    frame: Frame
    scale: Scale | None
    layers: list[StrokeLayer]
    widths: Widths
    located: npt.NDArray[np.bool_]
    shown: npt.NDArray[np.bool_]
    little: npt.NDArray[np.bool_]
    strays: Ints
    has_context: bool


def scene_of(picture: Picture, links: Links, context: Context) -> Scene:
    """Decide what a picture shows.

    Raises
    ------
    UsageError
        If no link has a line, or none lies within the frame.
    """
    place = place_of(picture, links, context, *map_size(picture))
    little, values = links.little(picture.measure, picture.min_fixes), links.values(picture.measure)
    scale = scale_of(picture, values[place.shown & ~little])
    layers = layers_of(picture, place, links, context, little=little, scale=scale)
    return Scene(
        place.frame, scale, layers, widths_for(place.frame), place.located, place.shown, little,
        place.strays, bool(len(place.beneath.lines)),
    )  # fmt: skip


def map_size(picture: Picture) -> tuple[int, int | None]:
    """Return the width and, if the page has a height, the height of a page's one map in pixels."""
    width_px = picture.width_px - 2 * picture.edge_px()
    return width_px, None if picture.height_px is None else picture.height_px - picture.around_px()


def place_of(
    picture: Picture, links: Links, context: Context, width_px: int, height_px: int | None
) -> Place:
    """Put links on a map of this size.

    Raises
    ------
    UsageError
        If no link has a line, or none lies within the frame.
    """
    count = len(links.geometry)
    strokes = strokes_of(links.geometry)
    if not len(strokes.lines):
        raise UsageError(no_lines(links))
    boxes = boxes_of(strokes.lines)
    asked = picture.bbox is not None or picture.centre is not None
    far = np.zeros(len(boxes), dtype=bool) if asked else strays_of(strokes, boxes)
    frame = frame_for(picture, boxes[~far], width_px, height_px)
    page, beneath = on_page(strokes, frame), on_page(strokes_of(context.geometry), frame)
    if not len(page.lines):
        said = ",".join(f"{v:.5g}" for v in bounds_of(boxes))
        raise UsageError(f"no link lies within the frame; the links lie within {said}")
    located, shown, strays = (np.zeros(count, dtype=bool) for _ in range(3))
    located[strokes.owner], shown[page.owner], strays[strokes.owner[far]] = True, True, True
    return Place(frame, page, beneath, located, shown, np.flatnonzero(strays & ~shown))


def layers_of(
    picture: Picture,
    place: Place,
    links: Links,
    context: Context,
    *,
    little: npt.NDArray[np.bool_],
    scale: Scale | None,
) -> list[StrokeLayer]:
    """Give the layers of a map, its context first; `little` is bool[n]."""
    shade = np.zeros(len(links.geometry))
    if scale is not None:
        shade[~little] = scale.place(links.values(picture.measure)[~little])
    shares = widths_of(links.road_class, len(shade))
    faint = widths_of(context.road_class, len(context.geometry))
    ground, widths = GROUNDS[picture.background], widths_for(place.frame)
    layers = context_layers(place.beneath, faint, ground, widths)
    return layers + link_layers(
        place.strokes, shade, little=little, shares=shares, ground=ground, widths=widths
    )


def no_lines(links: Links) -> str:
    """Say why no link of these can be drawn."""
    count, kinds = len(links.geometry), kinds_of(links.geometry)
    if kinds:
        return f"a map needs lines, but the roads are {' and '.join(kinds)}"
    return (
        f"not one of {count:,} links has a geometry: the roads' ids and those of the trips differ"
    )


def frame_for(picture: Picture, boxes: Floats, width_px: int, height_px: int | None) -> Frame:
    """Frame of a picture's map: its box, its centre and scale, or the boxes of its lines."""
    if picture.centre is not None and picture.scale is not None:
        return frame_of_scale(picture.centre, picture.scale, picture.dpi, width_px, height_px)
    if picture.bbox is not None:
        return frame_of_box(picture.bbox, width_px, height_px=height_px)
    return frame_of_boxes(boxes, width_px, height_px=height_px)
