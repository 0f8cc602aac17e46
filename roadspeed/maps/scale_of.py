"""The scale and the colours of a picture, by the kind of what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadspeed.maps.colour import count_scale, ramp, speed_scale
from roadspeed.maps.diverging import difference_scale, diverging_ramp

if TYPE_CHECKING:
    from roadspeed.maps.colour import Floats, Scale
    from roadspeed.maps.picture import Picture


def scale_of(picture: Picture, values: Floats) -> Scale | None:
    """Return the colour scale of the values to be coloured; None if there is none and no limits."""
    if not len(values) and picture.limits is None:
        return None
    kind = picture.shown.kind
    if kind == "speed":
        return speed_scale(values, picture.limits)
    if kind == "count":
        return count_scale(values, picture.limits)
    return difference_scale(values, kind, picture.limits)


def colours_of(picture: Picture, steps: int = 256) -> Floats:
    """Return the colours of that scale, float64[steps, 3], RGB in 0..1, low values first."""
    diverging = picture.shown.kind in ("difference", "ratio")
    return (diverging_ramp if diverging else ramp)(picture.background, steps)
