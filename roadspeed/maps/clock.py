"""What stands above the map of an animation: the time of the frame, and where that is in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.maps.cells import DAYS, HOURS
from roadspeed.maps.colour import GROUNDS
from roadspeed.maps.legend import em_px
from roadspeed.maps.page import blank_page, pixels_of

if TYPE_CHECKING:
    from roadspeed.maps.cells import Cells
    from roadspeed.maps.picture import Picture

HEIGHT_EM: Final = 6.2
TIME_EM: Final = 2.6
LINE_AT: Final = 0.42  # of the page's width, where the line of time begins
MOST_NAMES: Final = 8


def clock_height_px(width_px: int) -> int:
    """Height of the strip for a page of this width."""
    return round(HEIGHT_EM * em_px(width_px))


def clock(picture: Picture, cells: Cells, frames: list[int], number: int, links: int) -> Any:
    """Paint the strip of one frame: uint8[h, w, 4].

    Parameters
    ----------
    picture
        Its width and background.
    cells, frames
        Of the time, and which of them the frames are.
    number
        Which frame.
    links
        How many links have a colour in it.
    """
    width_px, ground = picture.width_px, GROUNDS[picture.background]
    figure, sheet = blank_page(picture, clock_height_px(width_px))
    em, left, right = sheet.em, sheet.left, sheet.right
    begin = LINE_AT * width_px
    words = cells.label((frames[number],), one=True)
    sheet.text(left, 1.9 * em, words, size_em=TIME_EM, room=begin - left - em)
    said = f"{links:,} {'link' if links == 1 else 'links'} with data"
    sheet.text(right, 4.3 * em, said, size_em=0.9, room=right - begin, faint=True, side="right")
    edges = np.linspace(begin, right, len(frames) + 1)
    y, gap = 2.9 * em, min(0.12 * em, 0.15 * (edges[1] - edges[0]))
    sheet.line((begin, right), y, ground.rule, 0.5 * em)
    sheet.line((edges[number] + gap / 2, edges[number + 1] - gap / 2), y, ground.ink, 0.8 * em)
    for place, text in marks(cells, frames):
        at = float(edges[0] + place * (edges[-1] - edges[0]))
        side: Any = "left" if place == 0 else "right" if place == 1 else "center"
        sheet.text(at, 1.1 * em, text, size_em=0.9, room=8 * em, faint=True, side=side)
    return pixels_of(figure)


def marks(cells: Cells, frames: list[int]) -> list[tuple[float, str]]:
    """Return the texts below the line of time, and their places from 0 to 1."""
    count = len(frames)
    whole = frames == list(range(len(cells.names)))
    if cells.part == "hour" and whole:
        return [(hour / HOURS, str(hour)) for hour in (0, 6, 12, 18, 24)]
    if cells.part == "week_hour" and whole:
        return [((HOURS * d + HOURS / 2) / count, DAYS[d][:3]) for d in range(count // HOURS)]
    if cells.part == "hour" and frames == list(range(frames[0], frames[0] + count)):
        return [(0.0, str(frames[0])), (1.0, str(frames[-1] + 1))]
    names = [cells.names[frame] for frame in frames]
    if count <= MOST_NAMES:
        return [((number + 0.5) / count, name) for number, name in enumerate(names)]
    return [(0.0, names[0]), (1.0, names[-1])]
