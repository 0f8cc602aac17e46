"""One page: the map in its margins and the legend below it, as a matplotlib figure.

What the legend says is computed here, from what the scene shows and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roadspeed.maps import paint
from roadspeed.maps.colour import GROUNDS, ramp
from roadspeed.maps.legend import Legend, LegendLine, Sheet, scale_text, set_legend, strip_height_px
from roadspeed.maps.typeface import Typeface, typeface_for
from roadspeed.road_class import UNKNOWN_WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roadspeed.maps.links import Links
    from roadspeed.maps.picture import Picture
    from roadspeed.maps.scene import Scene

FIGURE_DPI = 128.0  # a power of two, so that every whole number of pixels is an exact size
WORDS = ("title", "subtitle", "note", "attribution")
SENTENCES = {
    "speed": "Mean speed on each road",
    "trips": "Trips on each road",
    "fixes": "GPS fixes on each road",
}


def page_height_px(picture: Picture, scene: Scene) -> int:
    """Height of the page: map, margins and legend."""
    return scene.frame.height_px + 2 * picture.edge_px() + strip_height_px(picture.width_px)


def compose(picture: Picture, links: Links, scene: Scene) -> Figure:
    """Return the page as a figure of `picture.width_px` by `page_height_px` pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - heavy
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, as above

    face = typeface_of(picture)
    ground, colours, frame = GROUNDS[picture.background], ramp(picture.background), scene.frame
    width_px, height_px = picture.width_px, page_height_px(picture, scene)
    figure = Figure(figsize=(width_px / FIGURE_DPI, height_px / FIGURE_DPI), dpi=FIGURE_DPI)
    FigureCanvasAgg(figure)
    figure.set_facecolor(ground.paper if ground.paper is not None else (0.0, 0.0, 0.0, 0.0))
    left = picture.edge_px()
    bottom = left + strip_height_px(width_px)
    paint.paint(figure, scene.layers, colours, (left, bottom, frame.width_px, frame.height_px))
    sheet = Sheet(figure, ground, width_px, height_px, face.families)
    words = {name: face.settable(getattr(picture, name)) for name in WORDS}
    set_legend(sheet, legend_of(replace(picture, **words), links, scene), frame, colours)  # type: ignore[arg-type] # all text
    return figure


def typeface_of(picture: Picture) -> Typeface:
    """Find the fonts for the words a picture brings; our own need none but the first."""
    return typeface_for("".join(getattr(picture, name) for name in WORDS))


def legend_of(picture: Picture, links: Links, scene: Scene) -> Legend:
    """Return what the legend says of the links that are shown."""
    sentence, scale = SENTENCES[picture.measure], scene.scale
    values = links.values(picture.measure)[scene.shown & ~scene.little]
    beyond = (False, False)
    if scale is not None and len(values):
        beyond = (bool(values.min() < scale.low), bool(values.max() > scale.high))
    lines = [counts_text(picture, links, scene)]
    if any(beyond) and picture.limits is None:
        lines.append("Colours cover the middle 96 % of links; others have the end colours")
    if far := len(scene.strays):
        lines.append(f"{far:,} {plural('link', far)} far from all others not shown")
    return Legend(
        title=picture.title or sentence,
        subtitle=picture.subtitle or (sentence if picture.title else ""),
        counts=tuple(lines),
        measure={
            "speed": f"Mean speed, {picture.unit}",
            "trips": "Trips on a link, logarithmic",
            "fixes": "GPS fixes on a link, logarithmic",
        }[picture.measure],
        scale=scale,
        beyond=beyond,
        keys=keys_of(picture, scene),
        paper_scale=scale_text(scene.frame, picture.dpi),
        note=picture.note,
        attribution=picture.attribution,
    )


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
        speed = picture.measure == "speed"
        why = f"fewer than {picture.min_fixes:,} fixes" if speed else "none counted"
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
