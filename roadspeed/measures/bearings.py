"""Bearings, clockwise from north, and angles between them. Pure.

They are of a plane whose degrees of longitude are scaled by the cosine of the latitude. Angles
count in whole microdegrees, so where a grid of streets makes two equal every machine decides alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

MICRODEGREES: Final = 1_000_000
HALF_TURN: Final = 180 * MICRODEGREES


def wrapped(apart: npt.NDArray[Any], degree: int = 1) -> npt.NDArray[Any]:
    """Take the short way round the world between longitudes; `degree` is one in their unit."""
    half = 180 * degree
    return np.asarray((apart + half) % (2 * half) - half)


def bearing(east: npt.NDArray[Any], north: npt.NDArray[Any]) -> Floats:
    """Give degrees, 0 to 360."""
    return np.asarray(np.degrees(np.arctan2(east, north)) % 360)


def turn(one: Floats, other: Floats) -> Ints:
    """Give the angles between bearings in degrees: 0 to 180 degrees, in microdegrees."""
    apart: Floats = np.abs(wrapped(one - other))
    return np.rint(apart * MICRODEGREES).astype(np.int64)
