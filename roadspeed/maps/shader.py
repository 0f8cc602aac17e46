"""Layers painted by datashader: for networks of millions of links.

Each layer becomes two sums a pixel, coverage and coverage times shade, so that where strokes of
one layer meet the pixel shows their mean, and an edge fades into what lies beneath instead of
into the colour of slow roads. The first call compiles for some seconds a width; so few widths
are used. It knows no legend: the page around it is matplotlib's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.maps.strokes import Floats, Layer


def paint(layers: list[Layer], ramp: Floats, size_px: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Paint layers onto a transparent image.

    Parameters
    ----------
    layers
        In order; coordinates in pixels from the lower left corner.
    ramp
        float64[steps, 3], RGB in 0..1, of shades from 0 to 1.
    size_px
        Width and height.

    Returns
    -------
    numpy.ndarray
        uint8[height, width, 4], RGBA with straight alpha, the *lowest* row first.
    """
    import datashader  # noqa: PLC0415 - heavy: only for those who draw
    import geopandas  # noqa: PLC0415 - heavy, as above
    from matplotlib.colors import to_rgba  # noqa: PLC0415 - heavy, as above

    width, height = size_px
    canvas = datashader.Canvas(width, height, (0, width), (0, height))
    colour = np.zeros((height, width, 3), dtype=np.float32)  # premultiplied
    alpha = np.zeros((height, width), dtype=np.float32)
    for layer in layers:
        if not len(layer.lines):
            continue
        weight = np.ones(len(layer.lines)) if layer.shade is None else layer.shade
        frame = geopandas.GeoDataFrame(
            {"one": np.ones(len(layer.lines)), "shade": weight}, geometry=layer.lines
        )
        sums = canvas.line(
            frame,
            geometry="geometry",
            agg=datashader.summary(one=datashader.sum("one"), shade=datashader.sum("shade")),
            line_width=max(1.0, layer.width_px),
        )
        covered = np.nan_to_num(sums["one"].to_numpy())
        here = covered > 0
        strength = np.minimum(covered[here], 1.0) * min(1.0, layer.width_px)
        if layer.colour is not None:
            red, green, blue, opacity = to_rgba(layer.colour)
            paint_rgb = np.array([[red, green, blue]], dtype=np.float32)
            strength = strength * opacity
        else:
            mean = np.nan_to_num(sums["shade"].to_numpy())[here] / covered[here]
            step = np.minimum((mean * len(ramp)).astype(np.int64), len(ramp) - 1)
            paint_rgb = ramp[step].astype(np.float32)
        colour[here] = paint_rgb * strength[:, None] + colour[here] * (1 - strength[:, None])
        alpha[here] = strength + alpha[here] * (1 - strength)
    straight = colour / np.maximum(alpha, 1e-6)[..., None]
    image = np.concatenate([straight, alpha[..., None]], axis=2)
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
