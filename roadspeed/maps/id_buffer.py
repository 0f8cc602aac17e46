"""Which link is at each pixel: painted once, looked up for each frame of an animation.

Links are painted without antialiasing, each in the colour that encodes its number, at twice the
size; of each block of 2 x 2 the buffer keeps the link that has most of it, and how many of the four
have any. So edges are smooth, and a frame costs a few array look-ups however many links there are.

Three buffers hold all that a frame may need: links as wide as with data, the last painted on top
and, for where that one has no data, the first painted on top; and thin, as with little data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.maps.layers import widths_for
from roadspeed.road_class import widths_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from roadspeed.maps.scene import Place
    from roadspeed.maps.strokes import Floats, Ints, Objects, Strokes

    Bytes = npt.NDArray[np.uint8]
    Ids = npt.NDArray[np.int32]

SCALE: Final = 2
COVERS: Final = SCALE * SCALE
DPI: Final = 72.0  # a point is a pixel
MOST_LINKS: Final = (1 << 24) - 1  # as colours of 24 bits tell apart


@dataclass(frozen=True, slots=True)
class IdBuffer:
    """Links by pixel, the top row first.

    `link` is int32[h, w]: the link's position plus 1, 0 where there is none. `cover` is
    uint8[h, w], 0 to 4 quarters of the pixel.
    """

    link: Ids
    cover: Bytes


@dataclass(frozen=True, slots=True)
class IdBuffers:
    """The three buffers of a map."""

    top: IdBuffer
    below: IdBuffer
    thin: IdBuffer


def id_buffers(place: Place, road_class: Objects | None, mean: Floats) -> IdBuffers:
    """Paint the links of a place.

    Parameters
    ----------
    place
        Where they lie; `MOST_LINKS` at most.
    road_class
        object[n], or None: major roads lie above minor ones.
    mean
        float64[n], speed over all time: of one class, slow links lie above fast ones.
    """
    strokes, widths = place.strokes, widths_for(place.frame)
    shares = widths_of(road_class, len(mean))
    speed = np.nan_to_num(mean, nan=np.inf)[strokes.owner]
    order = np.lexsort((-speed, shares[strokes.owner]))
    size = (place.frame.width_px, place.frame.height_px)
    return IdBuffers(
        _painted(strokes, order, shares, widths.measured, size),
        _painted(strokes, order[::-1], shares, widths.measured, size),
        _painted(strokes, order, shares, widths.little, size),
    )


def _painted(
    strokes: Strokes, order: Ints, shares: Floats, width: Callable[[float], float],
    size: tuple[int, int],
) -> IdBuffer:  # fmt: skip
    """Paint strokes in an order; `width` gives pixels by a class's share."""
    import shapely  # noqa: PLC0415 - heavy: only for those who draw
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above
    from matplotlib.collections import LineCollection  # noqa: PLC0415 - as above
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    across, up = (SCALE * pixels for pixels in size)
    figure = Figure(figsize=(across / DPI, up / DPI), dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    figure.patch.set_visible(False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, size[0])
    axes.set_ylim(0, size[1])
    owner = strokes.owner[order]
    share = shares[owner]
    begins = np.concatenate([[0], np.flatnonzero(np.diff(share)) + 1, [len(order)]])
    for first, end in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        xy, index = shapely.get_coordinates(strokes.lines[order[first:end]], return_index=True)
        axes.add_collection(
            LineCollection(
                np.split(xy, np.flatnonzero(np.diff(index)) + 1),
                colors=_colours(owner[first:end] + 1),
                linewidths=SCALE * width(float(share[first])),
                capstyle="round",
                joinstyle="round",
                antialiaseds=False,
                snap=False,
            ),
            autolim=False,
        )
    canvas.draw()  # type: ignore[no-untyped-call] # matplotlib leaves it bare
    pixels: Any = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call] # as above
    return _halved(pixels)


def _colours(numbers: Ints) -> Floats:
    """Encode numbers as opaque colours: float64[k, 3]."""
    return np.column_stack([(numbers >> shift) & 255 for shift in (16, 8, 0)]) / 255.0


def _halved(pixels: Bytes) -> IdBuffer:
    """Keep of each block of 2 x 2 the link that most of its pixels have."""
    ids = np.zeros(pixels.shape[:2], np.int32)
    for channel in range(3):
        ids = (ids << 8) | pixels[:, :, channel]
    ids[pixels[:, :, 3] == 0] = 0
    a, b, c, d = ids[::2, ::2], ids[::2, 1::2], ids[1::2, ::2], ids[1::2, 1::2]
    cover = sum((one > 0).astype(np.uint8) for one in (a, b, c, d))
    low, high = np.minimum(a, b), np.maximum(a, b)
    low2, high2 = np.minimum(c, d), np.maximum(c, d)
    first, last = np.minimum(low, low2), np.maximum(high, high2)
    mid, mid2 = np.maximum(low, low2), np.minimum(high, high2)
    mid, mid2 = np.minimum(mid, mid2), np.maximum(mid, mid2)  # first <= mid <= mid2 <= last
    link = np.where((mid == mid2) & (mid > 0), mid, last)
    link = np.where((first == mid) & (first > 0) & (mid2 != last), first, link)
    return IdBuffer(link, np.asarray(cover, np.uint8))
