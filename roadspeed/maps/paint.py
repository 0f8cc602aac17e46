"""Layers painted by matplotlib.

It works on Figure objects alone and never on pyplot's global state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.path import Path

    from roadspeed.maps.strokes import Floats, Ints, Objects, StrokeLayer

POINTS_PER_INCH = 72.0
BUNDLE = 200  # lines in one path, a long one counted as several: Agg's buffer must hold it
LONG_PX = 1000.0


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
    from matplotlib.collections import PathCollection  # noqa: PLC0415 - heavy

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
        steps = None if layer.shade is None else steps_of(layer.shade, len(ramp))
        begins = bundle_begins(layer.lines, steps)
        axes.add_collection(
            PathCollection(
                bundles_of(layer.lines, begins),
                facecolors="none",
                edgecolors=layer.colour if steps is None else ramp[steps[begins]],
                linewidths=layer.width_px * POINTS_PER_INCH / figure.dpi,
                capstyle="round" if layer.round_ends else "butt",
                joinstyle="round",
                antialiaseds=True,
                snap=False,  # or short lines due north or east would round away to nothing
            ),
            autolim=False,
        )


def bundle_begins(lines: Objects, steps: Ints | None) -> Ints:
    """Return where bundles of consecutive lines begin: lines of one step, not too much of them."""
    import shapely  # noqa: PLC0415 - heavy: only for those who draw

    weight = 1 + shapely.length(lines) / LONG_PX
    changes = np.diff((np.cumsum(weight) / BUNDLE).astype(np.int64)) != 0
    if steps is not None:
        changes |= np.diff(steps) != 0
    return np.concatenate([[0], np.flatnonzero(changes) + 1])


def bundles_of(lines: Objects, begins: Ints) -> list[Path]:
    """Return one path for each bundle of lines.

    A path for each line would cost more to make than to paint. In a bundle lines have one colour,
    so nothing tells which of them lies above.
    """
    import shapely  # noqa: PLC0415 - heavy: only for those who draw
    from matplotlib.path import Path  # noqa: PLC0415 - heavy, as above

    xy, index = shapely.get_coordinates(lines, return_index=True)
    codes = np.full(len(xy), Path.LINETO, dtype=Path.code_type)
    firsts = np.searchsorted(index, np.arange(len(lines)))
    codes[firsts] = Path.MOVETO
    ends = [*firsts[begins[1:]].tolist(), len(xy)]
    return [
        Path(xy[first:end], codes[first:end])
        for first, end in zip(firsts[begins].tolist(), ends, strict=True)
    ]


def steps_of(shade: Floats, steps: int) -> Ints:
    """Return the step of the ramp for each shade in 0..1: int64[k] in 0..steps-1."""
    return np.minimum((shade * steps).astype(np.int64), steps - 1)
