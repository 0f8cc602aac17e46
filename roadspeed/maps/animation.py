"""An animation of speeds by cells of the time: one colour scale, one palette, a clock.

Links are painted once, as numbers; each frame looks their colours up. A link without enough data in
a frame is thin and grey, at the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.maps.clock import clock, clock_height_px
from roadspeed.maps.colour import GROUNDS
from roadspeed.maps.draw import Drawn, drawn_of
from roadspeed.maps.film import check_ending, write_film
from roadspeed.maps.id_buffer import MOST_LINKS, id_buffers
from roadspeed.maps.layers import widths_for
from roadspeed.maps.legend import set_legend, strip_height_px
from roadspeed.maps.links import Context, checked_links
from roadspeed.maps.page import blank_page, legend_of_times, pixels_of, settable
from roadspeed.maps.palette import LITTLE, STEPS, palette_of, steps_index
from roadspeed.maps.scale_of import colours_of, scale_of
from roadspeed.maps.scene import Scene, map_size, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from roadspeed.maps.id_buffer import IdBuffers
    from roadspeed.maps.palette import Bytes, Palette
    from roadspeed.maps.picture import Picture
    from roadspeed.maps.scene import Place
    from roadspeed.maps.speeds_by_cell import SpeedsByCell
    from roadspeed.maps.strokes import Ints
    from roadspeed.outputs.link_table import LinkTable


def draw_animation(
    path: Path,
    picture: Picture,
    table: LinkTable,
    found: SpeedsByCell,
    frames: list[int],
    *,
    seconds: float,
) -> Drawn:
    """Draw an animation.

    Parameters
    ----------
    path
        Its ending says the format.
    picture
        How it is drawn; its background is not transparent.
    table
        The links.
    found
        Their speeds by cell.
    frames
        Which cells, in order.
    seconds
        How long each frame is shown.

    Raises
    ------
    UsageError
        If it cannot be drawn or written.
    """
    picture.check()
    check_ending(path)
    if picture.background == "none":
        raise UsageError("--background: an animation needs a ground, dark or light")
    if len(table) > MOST_LINKS:
        raise UsageError(f"an animation of {len(table):,} links: at most {MOST_LINKS:,} fit")
    links = checked_links(table.geometry, table.mean, table.fixes, table.trips, table.road_class)
    none = Context(np.empty(0, dtype=object), None)
    place = place_of(picture, links, none, *map_size(picture))
    cells = _Frames(found, frames, place, picture.min_fixes)
    values = cells.values()
    scene = Scene(
        place.frame, scale_of(picture, values), [], widths_for(place.frame), place.located,
        place.shown, cells.always_little(), place.strays, has_context=False,
    )  # fmt: skip
    legend = replace(legend_of_times(settable(picture), scene, values, links), paper_scale="")
    height_px = (
        strip_height_px(picture.width_px) + 2 * picture.edge_px()
        + place.frame.height_px + clock_height_px(picture.width_px)
    )  # fmt: skip
    figure, sheet = blank_page(picture, height_px)
    set_legend(sheet, legend, place.frame, colours_of(picture))
    palette = palette_of(GROUNDS[picture.background], colours_of(picture, STEPS))
    still = palette.indices(pixels_of(figure))
    buffers = id_buffers(place, table.road_class, table.mean)
    pages = _pages(picture, cells, scene, still, palette, buffers)
    write_film(path, pages, palette, seconds, count=len(frames))
    return drawn_of(picture, scene, height_px)


@dataclass(frozen=True, slots=True)
class _Frames:
    """The cells that frames show of the links of a place."""

    found: SpeedsByCell
    cells: list[int]
    place: Place
    min_fixes: int

    def little(self, cell: int) -> npt.NDArray[np.bool_]:
        """Which links have too little data in a cell: bool[n]."""
        few = self.found.fixes[cell] < max(1, self.min_fixes)
        return np.asarray(few | ~np.isfinite(self.found.speed[cell]))

    def always_little(self) -> npt.NDArray[np.bool_]:
        """Which links have too little data in all frames: bool[n]."""
        return np.asarray(np.logical_and.reduce([self.little(cell) for cell in self.cells]))

    def values(self) -> npt.NDArray[np.float64]:
        """Return all values that have a colour in a frame."""
        shown = self.place.shown
        each = [self.found.speed[cell][shown & ~self.little(cell)] for cell in self.cells]
        return np.concatenate(each).astype(np.float64)


def _pages(
    picture: Picture, frames: _Frames, scene: Scene, still: Bytes, palette: Palette,
    buffers: IdBuffers,
) -> Iterator[Bytes]:  # fmt: skip
    """Give the pages, uint8[h, w]: what all share, with the map and the clock of each."""
    edge, head = picture.edge_px(), clock_height_px(picture.width_px)
    rows, columns = scene.frame.height_px, scene.frame.width_px
    for number, cell in enumerate(frames.cells):
        little, shade = frames.little(cell), np.zeros(len(scene.shown))
        if scene.scale is not None:
            shade[~little] = scene.scale.place(frames.found.speed[cell][~little])
        page = still.copy()
        top = edge + head
        page[top : top + rows, edge : edge + columns] = frame_of(
            buffers, steps_index(shade, little)
        )
        coloured = int((scene.shown & ~little).sum())
        strip = clock(picture, frames.found.cells, frames.cells, number, coloured)
        page[edge // 2 : edge // 2 + head] = palette.indices(strip)
        yield page


def frame_of(buffers: IdBuffers, index: Ints) -> Bytes:
    """Return a map's pixels as positions in the palette.

    Parameters
    ----------
    buffers
        Which link is where.
    index
        int64[n + 1], as `palette.steps_index` gives it.

    Returns
    -------
    numpy.ndarray
        uint8[h, w]: the colour of the link on top, of the one below where that has too little data,
        else grey where a link is thin, else the ground.
    """
    index = index.astype(np.int16)
    upper, lower = index[buffers.top.link], index[buffers.below.link]
    thin = buffers.thin.cover
    grey = np.where(thin > 0, LITTLE + thin.astype(np.int16) - 1, 0)
    below = np.where(lower >= 0, lower + buffers.below.cover - 1, grey)
    return np.where(upper >= 0, upper + buffers.top.cover - 1, below).astype(np.uint8)
