"""Layers painted by datashader: for networks of millions of links.

Each layer becomes two maxima a pixel, of coverage and of coverage times slowness. Their quotient
is the slowness of the stroke that covers the pixel, the slowest one where several do, so an edge
fades into what lies beneath and not into the colour of slow roads. (`mean` and `sum` are not
used: their antialiased forms lose pixels where strokes of one layer meet, datashader 0.19.)
The first call compiles for seconds a width, so `few_widths` rounds them. It knows no legend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roadspeed.maps.agg import steps_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.maps.strokes import Floats, Layer

WIDTH_STEPS = (0.35, 0.6, 0.95)


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
        slowness = np.ones(len(layer.lines)) if layer.shade is None else 1.0 - layer.shade
        frame = geopandas.GeoDataFrame(
            {"one": np.ones(len(layer.lines)), "slow": slowness}, geometry=layer.lines
        )
        most = canvas.line(
            frame,
            geometry="geometry",
            agg=datashader.summary(one=datashader.max("one"), slow=datashader.max("slow")),
            line_width=max(1.0, round(2 * layer.width_px) / 2),  # few, for each is compiled
        )
        covered = np.nan_to_num(most["one"].to_numpy())
        here = covered > 0
        strength = np.minimum(covered[here], 1.0).astype(np.float32)
        if layer.colour is not None:
            red, green, blue, opacity = to_rgba(layer.colour)
            paint_rgb = np.array([[red, green, blue]], dtype=np.float32)
            strength *= np.float32(opacity)
        else:
            shade = 1.0 - np.nan_to_num(most["slow"].to_numpy())[here] / covered[here]
            paint_rgb = ramp[steps_of(np.clip(shade, 0.0, 1.0), len(ramp))].astype(np.float32)
        colour[here] = paint_rgb * strength[:, None] + colour[here] * (1 - strength[:, None])
        alpha[here] = strength + alpha[here] * (1 - strength)
    straight = colour / np.maximum(alpha, 1e-6)[..., None]
    image = np.empty((height, width, 4), dtype=np.uint8)
    image[..., :3] = np.rint(np.clip(straight, 0.0, 1.0) * 255.0)
    image[..., 3] = np.rint(alpha * 255.0)
    return image


def few_widths(shares: Floats) -> Floats:
    """Round shares of a motorway's width to one of three: float64[n] of float64[n]."""
    steps = np.array(WIDTH_STEPS)
    rounded: Floats = steps[np.abs(shares[:, None] - steps).argmin(axis=1)]
    return rounded
