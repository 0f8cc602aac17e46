"""One page: the map in its margins and the legend below it, as a matplotlib figure.

Everything that is said on the page is computed here, from what is drawn on it and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.maps import agg, shader
from roadspeed.maps.colour import GROUNDS, Scale, count_scale, ramp, speed_scale
from roadspeed.maps.frame import frame_of_bounds, frame_of_scale
from roadspeed.maps.layers import context_layers, link_layers, widths_for
from roadspeed.maps.legend import Key, Legend, Sheet, scale_text, set_legend, strip_height_px
from roadspeed.maps.road_class import UNKNOWN_WIDTH, widths_of
from roadspeed.maps.strokes import Strokes, bounds_of, on_page, strokes_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from roadspeed.maps.frame import Frame
    from roadspeed.maps.layers import Widths
    from roadspeed.maps.links import Links
    from roadspeed.maps.picture import Picture
    from roadspeed.maps.strokes import Floats, Layer, Objects

DATASHADER_FROM_LINES = 1_000_000  # where the two painters are level: benchmarks/pictures.py
FIGURE_DPI = 128.0  # a power of two, so that every whole number of pixels is an exact size
EDGE_SHARE = 0.03  # of the page's width, left free around the map
SENTENCES = {
    "speed": "Mean speed on each road",
    "trips": "Trips on each road",
    "fixes": "GPS fixes on each road",
}


@dataclass(frozen=True, slots=True)
class Poster:
    """A page that is ready to be written, and what is on it."""

    figure: Figure
    frame: Frame
    shown: npt.NDArray[np.bool_]
    with_geometry: npt.NDArray[np.bool_]
    little: npt.NDArray[np.bool_]
    renderer: str
    width_px: int
    height_px: int


def compose(
    picture: Picture, links: Links, context_geometry: Objects | None, context_class: Objects | None
) -> Poster:
    """Lay out one page.

    Raises
    ------
    UsageError
        If no link has a geometry, or none lies within the frame.
    """
    count = len(links.geometry)
    strokes = strokes_of(links.geometry)
    if not len(strokes.lines):
        raise UsageError(
            f"map: expected lines for some links, got none among {count:,}; do the ids of the "
            "roads fit those of the trips? --no-map leaves the map out"
        )
    frame = frame_for(picture, strokes)
    ground, widths = GROUNDS[picture.background], widths_for(frame)
    with_geometry, shown = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    with_geometry[strokes.owner] = True
    page = on_page(strokes, frame, widths.motorway_px)
    shown[page.owner] = True
    if not shown.any():
        said = ",".join(f"{v:.5g}" for v in bounds_of(strokes))
        raise UsageError(f"map: no link lies within the frame; the links lie within {said}")
    little = links.little(picture.measure, picture.min_fixes)
    values = links.values(picture.measure)
    scale = scale_for(picture, values[shown & ~little])
    shade = np.zeros(count)
    if scale is not None:
        shade[~little] = scale.place(values[~little])
    layers, has_context = context_for(picture, frame, widths, context_geometry, context_class)
    layers += link_layers(page, shade, little, widths_of(links.road_class, count), ground, widths)
    renderer = picture.renderer
    if renderer == "auto":
        lines = sum(len(layer.lines) for layer in layers)
        renderer = "matplotlib" if lines < DATASHADER_FROM_LINES else "datashader"
    figure, height_px = paint_map(picture, frame, layers, renderer)
    said = words(picture, links, frame, scale, shown, little, widths, has_context=has_context)
    set_legend(
        Sheet(figure, ground, picture.width_px, height_px), said, frame, ramp(picture.background)
    )
    return Poster(
        figure, frame, shown, with_geometry, little, renderer, picture.width_px, height_px
    )


def edge_px(picture: Picture) -> int:
    """Pixels left free around the map."""
    return round(EDGE_SHARE * picture.width_px)


def frame_for(picture: Picture, strokes: Strokes) -> Frame:
    """Frame of a picture's map: its box, its centre and scale, or all its links."""
    edge = edge_px(picture)
    width_px = picture.width_px - 2 * edge
    height_px = None
    if picture.height_px is not None:
        height_px = picture.height_px - 2 * edge - strip_height_px(picture.width_px)
        if height_px < 1:
            raise UsageError(
                f"height: {picture.height_px} pixels leave no room for a map above the legend of "
                f"a page {picture.width_px} wide; give at least "
                f"{picture.height_px - height_px + width_px // 4}"
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


def context_for(
    picture: Picture,
    frame: Frame,
    widths: Widths,
    geometry: Objects | None,
    classes: Objects | None,
) -> tuple[list[Layer], bool]:
    """Return the layers of roads without data, and whether any is on the page."""
    if geometry is None:
        return [], False
    if classes is not None and len(classes) != len(geometry):
        raise UsageError(
            f"map: expected a class for each of {len(geometry):,} context roads, got {len(classes):,}"
        )
    strokes = on_page(strokes_of(np.asarray(geometry, dtype=object)), frame, widths.motorway_px)
    ground = GROUNDS[picture.background]
    layers = context_layers(strokes, classes, len(geometry), ground, widths)
    return layers, bool(len(strokes.lines))


def paint_map(
    picture: Picture, frame: Frame, layers: list[Layer], renderer: str
) -> tuple[Figure, int]:
    """Paint the map onto a new figure; return it and the page's height in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - heavy
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, as above

    edge, strip = edge_px(picture), strip_height_px(picture.width_px)
    height_px = frame.height_px + 2 * edge + strip
    figure = Figure(figsize=(picture.width_px / FIGURE_DPI, height_px / FIGURE_DPI), dpi=FIGURE_DPI)
    FigureCanvasAgg(figure)
    paper = GROUNDS[picture.background].paper
    figure.set_facecolor(paper if paper is not None else (0.0, 0.0, 0.0, 0.0))
    colours, bottom = ramp(picture.background), strip + edge
    if renderer == "matplotlib":
        agg.paint(figure, layers, colours, (edge, bottom, frame.width_px, frame.height_px))
    else:
        image = shader.paint(layers, colours, (frame.width_px, frame.height_px))
        figure.figimage(image, edge, bottom, origin="lower")
    return figure, height_px


def words(
    picture: Picture,
    links: Links,
    frame: Frame,
    scale: Scale | None,
    shown: npt.NDArray[np.bool_],
    little: npt.NDArray[np.bool_],
    widths: Widths,
    *,
    has_context: bool,
) -> Legend:
    """Return what the legend says of the links that are shown."""
    ground, sentence = GROUNDS[picture.background], SENTENCES[picture.measure]
    coloured = shown & ~little
    values = links.values(picture.measure)[coloured]
    beyond = (False, False)
    if scale is not None and len(values):
        beyond = (bool(values.min() < scale.low), bool(values.max() > scale.high))
    counts = [f"{shown.sum():,} roads with data", f"{links.fixes[shown].sum():,} GPS fixes"]
    if picture.total_trips is not None:
        counts.append(f"{picture.total_trips:,} trips")
    elif len(links.trips):
        counts.append(f"up to {links.trips[shown].max():,} trips a road")
    lines = [" · ".join(counts)]
    if any(beyond) and picture.limits is None:
        lines.append("Colours span the middle 96 % of roads; beyond, the end colour")
    keys = []
    if (shown & little).any():
        why = f"fewer than {picture.min_fixes:,} fixes"
        text = f"little data: {why if picture.measure == 'speed' else 'none counted'}"
        number = int((shown & little).sum())
        text += f" ({number:,} {'road' if number == 1 else 'roads'})"
        keys.append(Key(ground.little, widths.little(UNKNOWN_WIDTH), text))
    if has_context:
        keys.append(Key(ground.context, widths.context(UNKNOWN_WIDTH), "no data"))
    label = {
        "speed": f"Mean speed, {picture.unit}",
        "trips": "Trips on a road, logarithmic",
        "fixes": "GPS fixes on a road, logarithmic",
    }[picture.measure]
    return Legend(
        title=picture.title or sentence,
        subtitle=picture.subtitle or (sentence if picture.title else ""),
        counts=tuple(lines),
        measure=label,
        scale=scale,
        beyond=beyond,
        keys=tuple(keys),
        paper_scale=scale_text(frame, picture.dpi),
        note=picture.note,
        attribution=picture.attribution,
    )
