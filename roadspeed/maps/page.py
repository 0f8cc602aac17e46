"""One page: the map in its margins and the legend below it, as a matplotlib figure.

What the legend says is computed here, from what the scene shows and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from roadspeed.maps import paint
from roadspeed.maps.colour import GROUNDS
from roadspeed.maps.legend import Legend, LegendLine, Sheet, scale_text, set_legend, strip_height_px
from roadspeed.maps.scale_of import colours_of
from roadspeed.maps.typeface import Typeface, typeface_for
from roadspeed.road_class import UNKNOWN_WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roadspeed.maps.links import Links
    from roadspeed.maps.picture import Picture
    from roadspeed.maps.scene import Scene
    from roadspeed.maps.strokes import Floats

FIGURE_DPI = 128.0  # a power of two, so that every whole number of pixels is an exact size
WORDS = ("title", "subtitle", "note", "attribution")


def page_height_px(picture: Picture, scene: Scene) -> int:
    """Height of the page: map, margins and legend."""
    return scene.frame.height_px + 2 * picture.edge_px() + strip_height_px(picture.width_px)


def compose(picture: Picture, links: Links, scene: Scene) -> Figure:
    """Return the page as a figure of `picture.width_px` by `page_height_px` pixels."""
    frame, colours = scene.frame, colours_of(picture)
    width_px = picture.width_px
    figure, sheet = blank_page(picture, page_height_px(picture, scene))
    left = picture.edge_px()
    bottom = left + strip_height_px(width_px)
    paint.paint(figure, scene.layers, colours, (left, bottom, frame.width_px, frame.height_px))
    set_legend(sheet, legend_of(settable(picture), links, scene), frame, colours)
    return figure


def settable(picture: Picture) -> Picture:
    """Return the picture without the characters of its words that no font has."""
    face = typeface_of(picture)
    words = {name: face.settable(getattr(picture, name)) for name in WORDS}
    return replace(picture, **words)  # type: ignore[arg-type] # all text


def typeface_of(picture: Picture) -> Typeface:
    """Find the fonts for the words a picture brings; our own need none but the first."""
    return typeface_for("".join(getattr(picture, name) for name in WORDS))


def legend_of(picture: Picture, links: Links, scene: Scene, values: Floats | None = None) -> Legend:
    """Return what the legend says of the links that are shown, and of `values` where given."""
    shown, scale = picture.shown, scene.scale
    if values is None:
        values = links.values(picture.measure)[scene.shown & ~scene.little]
    beyond = (False, False)
    if scale is not None and len(values):
        beyond = (bool(values.min() < scale.low), bool(values.max() > scale.high))
    lines = [picture.counts or counts_text(picture, links, scene)]
    if any(beyond) and picture.limits is None:
        lines.append("End colours: beyond the middle 96 % of links")
    if far := len(scene.strays):
        lines.append(f"{far:,} {plural('link', far)} far from all others not shown")
    return Legend(
        title=picture.title or shown.sentence,
        subtitle=picture.subtitle or (shown.sentence if picture.title else ""),
        counts=tuple(lines),
        measure=shown.label.format(unit=picture.unit),
        scale=scale,
        beyond=beyond,
        keys=keys_of(picture, scene),
        paper_scale=scale_text(scene.frame, picture.dpi),
        note=picture.note,
        attribution=picture.attribution,
    )


def legend_of_times(picture: Picture, scene: Scene, values: Floats, links: Links) -> Legend:
    """Return the one legend of several maps of the same links at different times.

    `values` are those that have a colour on any of them.
    """
    legend = legend_of(picture, links, scene, values)
    ground, words = GROUNDS[picture.background], picture.shown.too_little
    text = f"little data at that time: {words.format(min_fixes=picture.min_fixes)}"
    key = LegendLine(ground.little, scene.widths.little(UNKNOWN_WIDTH), text)
    return replace(legend, keys=(key,))


def blank_page(picture: Picture, height_px: int) -> tuple[Figure, Sheet]:
    """Return a page of the picture's width without a map, and the sheet that its words go on."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - heavy
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, as above

    ground, width_px = GROUNDS[picture.background], picture.width_px
    figure = Figure(figsize=(width_px / FIGURE_DPI, height_px / FIGURE_DPI), dpi=FIGURE_DPI)
    FigureCanvasAgg(figure)
    figure.set_facecolor(ground.paper if ground.paper is not None else (0.0, 0.0, 0.0, 0.0))
    return figure, Sheet(figure, ground, width_px, height_px, typeface_of(picture).families)


def pixels_of(figure: Figure) -> Any:
    """Return what is on a page: uint8[h, w, 4]."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def counts_text(picture: Picture, links: Links, scene: Scene) -> str:
    """Return how many links, fixes and trips the map rests on."""
    shown, fixes = int(scene.shown.sum()), int(links.fixes[scene.shown].sum())
    counts = [f"{shown:,} road {plural('link', shown)}", f"{fixes:,} GPS {plural('fix', fixes)}"]
    if picture.total_trips is None:
        most = int(links.trips[scene.shown].max())
        counts.append(f"up to {most:,} {plural('trip', most)} a link")
    else:
        whole = "" if scene.shown.all() else " in all"  # of the run, not of this part of it
        counts.append(f"{picture.total_trips:,} {plural('trip', picture.total_trips)}{whole}")
    return " · ".join(counts)


def keys_of(picture: Picture, scene: Scene) -> tuple[LegendLine, ...]:
    """Return the grey lines that occur on the map."""
    ground, widths, keys = GROUNDS[picture.background], scene.widths, []
    number = int((scene.shown & scene.little).sum())
    if number:
        why = picture.shown.too_little.format(min_fixes=picture.min_fixes)
        text = f"little data: {why} ({number:,} {plural('link', number)})"
        keys.append(LegendLine(ground.little, widths.little(UNKNOWN_WIDTH), text))
    if scene.has_context:
        keys.append(LegendLine(ground.context, widths.context(UNKNOWN_WIDTH), "no data"))
    return tuple(keys)


def plural(noun: str, number: int) -> str:
    """Return the noun as it goes with a number: 1 fix, 2 fixes."""
    if number == 1:
        return noun
    return noun + ("es" if noun.endswith("x") else "s")
