"""Layers painted by matplotlib.

It works on Figure objects alone and never on pyplot's global state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roadspeed.maps.strokes import Floats, Ints, StrokeLayer

POINTS_PER_INCH = 72.0


def paint(
    figure: Figure, layers: list[StrokeLayer], ramp: Floats, box: tuple[int, int, int, int]
) -> None:
    """Paint layers onto a figure.

    Parameters
    ----------
    figure
        Where to; its dpi says how long a pixel is.
    layers
        In order; coordinates in pixels from the lower left corner of `box`.
    ramp
        float64[steps, 3], RGB in 0..1, of shades from 0 to 1.
    box
        Left, bottom, width and height of the map on the page, in pixels.
    """
    import shapely  # noqa: PLC0415 - heavy: only for those who draw
    from matplotlib.collections import LineCollection  # noqa: PLC0415 - heavy, as above

    left, bottom, width, height = box
    page_width, page_height = figure.get_size_inches() * figure.dpi
    axes = figure.add_axes(
        (left / page_width, bottom / page_height, width / page_width, height / page_height)
    )
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    for layer in layers:
        if not len(layer.lines):
            continue
        xy, index = shapely.get_coordinates(layer.lines, return_index=True)
        segments = np.split(xy, np.flatnonzero(np.diff(index)) + 1)
        colours = layer.colour if layer.shade is None else ramp[steps_of(layer.shade, len(ramp))]
        axes.add_collection(
            LineCollection(
                segments,
                colors=colours,
                linewidths=layer.width_px * POINTS_PER_INCH / figure.dpi,
                capstyle="round" if layer.round_ends else "butt",
                joinstyle="round",
                antialiaseds=True,
                snap=False,  # or short lines due north or east would round away to nothing
            ),
            autolim=False,
        )


def steps_of(shade: Floats, steps: int) -> Ints:
    """Return the step of the ramp for each shade in 0..1: int64[k] in 0..steps-1."""
    return np.minimum((shade * steps).astype(np.int64), steps - 1)
