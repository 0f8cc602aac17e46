"""A map of roads coloured by their speed, trips or fixes, as one PNG: the choropleths of 2019.

Dark purple is slow, bright yellow fast; roads with little data are thin and grey, whatever they
measured. Major roads lie above minor ones, slow above fast. The file is written whole or not at
all, and the same input gives the same bytes under the same versions. matplotlib, shapely
and Pillow are imported when something is drawn, never before.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.atomic_file import whole
from roadspeed.maps.colour import GROUNDS
from roadspeed.maps.links import checked_context, checked_links
from roadspeed.maps.page import compose, page_height_px, typeface_of
from roadspeed.maps.scene import scene_of

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

    from roadspeed.maps.picture import Picture
    from roadspeed.maps.scene import Scene
    from roadspeed.maps.strokes import Floats, Ints, Objects


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
    return drawn_of(picture, scene, page_height_px(picture, scene))


def drawn_of(picture: Picture, scene: Scene, height_px: int) -> Drawn:
    """Return what a page of this height shows."""
    return Drawn(
        drawn=int(scene.shown.sum()),
        little=int((scene.shown & scene.little).sum()),
        outside=int((scene.located & ~scene.shown).sum()),
        without_geometry=int((~scene.located).sum()),
        width_px=picture.width_px,
        height_px=height_px,
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
        image.save(partial, format="PNG", dpi=(picture.dpi, picture.dpi), compress_type=zlib.Z_RLE)
