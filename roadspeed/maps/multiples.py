"""Small multiples: the same roads in several panels, under one colour scale and one legend.

All panels have one frame, and a link is at the same place in each; where a link has too little data
in a panel, it is thin and grey there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.maps import paint
from roadspeed.maps.draw import Drawn, drawn_of, write_png
from roadspeed.maps.layers import widths_for
from roadspeed.maps.legend import Sheet, em_px, set_legend, strip_height_px
from roadspeed.maps.links import Context, checked_links
from roadspeed.maps.page import blank_page, legend_of_times, settable
from roadspeed.maps.scale_of import colours_of, scale_of
from roadspeed.maps.scene import Scene, layers_of, place_of

if TYPE_CHECKING:
    import os

    from roadspeed.maps.links import Links
    from roadspeed.maps.picture import Picture
    from roadspeed.maps.scene import Place
    from roadspeed.maps.strokes import Floats, Ints, Objects

MOST: Final = 12
HEAD_EM, HEAD_TEXT_EM = 2.9, 1.5  # above each panel
GAP_EM: Final = 3.0


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its title, speeds float64[n] and fixes int64[n] of the links."""

    title: str
    speed: Floats
    fixes: Ints


def draw_multiples(
    path: str | os.PathLike[str],
    picture: Picture,
    panels: list[Panel],
    *,
    link_geometry: Objects | None,
    road_class: Objects | None,
) -> Drawn:
    """Draw panels into one PNG file; parameters and result as of `draw.draw`.

    Raises
    ------
    UsageError
        If there are none or more than fit, or the picture cannot be drawn.
    """
    picture.check()
    if not 1 <= len(panels) <= MOST:
        raise UsageError(f"small multiples: expected 1 to {MOST} panels, got {len(panels)}")
    several = [_links(link_geometry, road_class, panel) for panel in panels]
    columns = math.ceil(math.sqrt(len(panels)))
    none = Context(np.empty(0, dtype=object), None)
    em, edge = em_px(picture.width_px), picture.edge_px()
    gap = round(GAP_EM * em)
    width_px = (picture.width_px - 2 * edge - (columns - 1) * gap) // columns
    place = place_of(picture, several[0], none, width_px, None)
    little = [links.little("speed", picture.min_fixes) for links in several]
    values = [links.speed[place.shown & ~few] for links, few in zip(several, little, strict=True)]
    scale = scale_of(picture, np.concatenate(values))
    page = _Page(picture, place, columns, len(panels), gap, round(HEAD_EM * em))
    figure, sheet = blank_page(picture, page.height_px)
    colours = colours_of(picture)
    for number, (links, few) in enumerate(zip(several, little, strict=True)):
        layers = layers_of(picture, place, links, none, little=few, scale=scale)
        paint.paint(figure, layers, colours, page.box(number))
    for number, (panel, few) in enumerate(zip(panels, little, strict=True)):
        page.set_head(sheet, number, panel.title, int((place.shown & ~few).sum()))
    all_little = np.logical_and.reduce(little)
    scene = Scene(
        place.frame, scale, [], widths_for(place.frame), place.located, place.shown, all_little,
        place.strays, has_context=False,
    )  # fmt: skip
    legend = legend_of_times(settable(picture), scene, np.concatenate(values), several[0])
    set_legend(sheet, legend, place.frame, colours)
    write_png(path, figure, picture)
    return drawn_of(picture, scene, page.height_px)


@dataclass(frozen=True, slots=True)
class _Page:
    """Where panels lie: in rows from the top, of so many columns."""

    picture: Picture
    place: Place
    columns: int
    count: int
    gap: int
    head: int

    @property
    def rows(self) -> int:
        return math.ceil(self.count / self.columns)

    @property
    def height_px(self) -> int:
        strip, edge = strip_height_px(self.picture.width_px), self.picture.edge_px()
        body = self.rows * (self.place.frame.height_px + self.head) + (self.rows - 1) * self.gap
        return strip + body + 2 * edge

    def box(self, number: int) -> tuple[int, int, int, int]:
        """Left, bottom, width and height of a panel's map."""
        row, column = divmod(number, self.columns)
        frame, edge = self.place.frame, self.picture.edge_px()
        top = self.height_px - edge - row * (frame.height_px + self.head + self.gap)
        left = edge + column * (frame.width_px + self.gap)
        return left, top - self.head - frame.height_px, frame.width_px, frame.height_px

    def set_head(self, sheet: Sheet, number: int, title: str, coloured: int) -> None:
        """Set a panel's title, and how many of its links have a colour."""
        left, bottom, width, height = self.box(number)
        y = bottom + height + self.head * 0.42
        sheet.text(left, y, title, size_em=HEAD_TEXT_EM, room=0.62 * width)
        words = f"{coloured:,} {'link' if coloured == 1 else 'links'}"
        sheet.text(left + width, y, words, size_em=0.9, room=0.36 * width, faint=True, side="right")


def _links(geometry: Objects | None, road_class: Objects | None, panel: Panel) -> Links:
    trips = np.zeros_like(panel.fixes)  # not shown
    return checked_links(geometry, panel.speed, panel.fixes, trips, road_class)
