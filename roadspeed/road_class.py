"""How wide a road is drawn, and what lies above what, by its class.

Classes are OpenStreetMap's `highway` names or HERE's functional classes 1 to 5; what is neither
is drawn as a road of the middle. Widths are shares of a motorway's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

UNKNOWN_WIDTH = 0.5
CASED_FROM = 0.6  # roads at least this wide get an edge that parts them from what they cross

WIDTHS: dict[str, float] = {
    "motorway": 1.0,
    "trunk": 0.9,
    "primary": 0.78,
    "secondary": 0.64,
    "tertiary": 0.52,
    "unclassified": 0.42,
    "residential": 0.38,
    "living_street": 0.34,
    "ferry": 0.34,
    "service": 0.28,
    "track": 0.24,
    "pedestrian": 0.24,
    "cycleway": 0.22,
    "footway": 0.2,
    "path": 0.2,
    "steps": 0.2,
    "1": 1.0,
    "2": 0.82,
    "3": 0.66,
    "4": 0.52,
    "5": 0.38,
}
LINK_SHARE = 0.7  # of the road it leads to: a ramp, `motorway_link`


def width_of(name: object) -> float:
    """Width of one class as a share of a motorway's; the middle for what is not known."""
    text = "" if name is None else str(name).strip().lower()
    text = text.removesuffix(".0")  # a functional class that went through a column of floats
    if text.endswith("_link"):
        return LINK_SHARE * WIDTHS.get(text.removesuffix("_link"), UNKNOWN_WIDTH)
    return WIDTHS.get(text, UNKNOWN_WIDTH)


def widths_of(names: npt.NDArray[np.object_] | None, count: int) -> npt.NDArray[np.float64]:
    """Widths of `count` roads, float64[count], as shares of a motorway's.

    Parameters
    ----------
    names
        object[count] of str, int or None; None if no class is known at all.
    count
        Number of roads.
    """
    if names is None:
        return np.full(count, UNKNOWN_WIDTH)
    known: dict[object, float] = {}
    return np.array(
        [known[n] if n in known else known.setdefault(n, width_of(n)) for n in names],
        dtype=np.float64,
    ).reshape(count)
