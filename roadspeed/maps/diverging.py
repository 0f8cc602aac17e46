"""Colours of differences: orange is slower, blue is faster, and what is equal recedes.

Orange and blue differ for every common kind of colour blindness. The scale has its centre where two
speeds are equal, 0 of a difference or 1 of a ratio, and ends equally far on both sides. On a dark
ground the ends are the brightest, on a light one the darkest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from roadspeed.maps.colour import ROBUST_PERCENT, Scale, checked_limits, round_step

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.maps.colour import Floats

ANCHORS: Final = {  # slower to faster, evenly spaced
    "dark": ("#ffc27a", "#f2801e", "#a3603a", "#5b5b66", "#3d78ad", "#3fa4f0", "#a5dcff"),
    "light": ("#7a2a00", "#cc5a00", "#e8a56c", "#c4c0b8", "#7fb0d9", "#2a77bd", "#0a2f66"),
    "none": ("#b04a00", "#d9711a", "#c98e62", "#999999", "#6d9dc4", "#2f80c2", "#0f5a9e"),
}
LEAST: Final = {"difference": 4.0, "ratio": 0.1}  # what differs by less is about equal
CENTRE: Final = {"difference": 0.0, "ratio": 1.0}


def diverging_ramp(background: str, steps: int = 256) -> Floats:
    """Colours for a background: float64[steps, 3], RGB in 0..1, slower first."""
    anchors = np.array(
        [[int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)] for text in ANCHORS[background]]
    )
    at, places = np.linspace(0, 1, steps), np.linspace(0, 1, len(anchors))
    return np.column_stack([np.interp(at, places, anchors[:, i]) for i in range(3)])


def difference_scale(
    values: npt.ArrayLike, kind: str, limits: tuple[float, float] | None = None
) -> Scale:
    """Linear scale about the value that means "equal", with ticks at round steps on both sides.

    Parameters
    ----------
    values
        float64[n], finite; 96 % of them are within the limits.
    kind
        `"difference"` (in a unit of speed, centre 0) or `"ratio"` (centre 1, from 0 at least).
    limits
        Fixed limits instead.

    Raises
    ------
    UsageError
        If the limits are not two finite numbers in ascending order.
    """
    centre = CENTRE[kind]
    if limits is None:
        away = np.abs(np.asarray(values, dtype=np.float64) - centre)
        reach = float(np.percentile(away, ROBUST_PERCENT[1])) if len(away) else 0.0
        reach = max(reach, LEAST[kind])
        if kind == "ratio":
            reach = min(reach, 1.0)
        step = round_step(reach, 2)
    else:
        low, high = checked_limits(limits)
        step = max(abs(low - centre), abs(high - centre)) / 2
    ticks = tuple(float(round(centre + k * step, 9)) for k in (-2, -1, 0, 1, 2))
    return Scale(ticks[0], ticks[-1], log=False, ticks=ticks, signed=kind == "difference")
