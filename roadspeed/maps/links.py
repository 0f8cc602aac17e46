"""The links of a map as parallel arrays, checked once when they come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.maps.strokes import Floats, Ints, Objects


@dataclass(frozen=True, slots=True)
class Links:
    """Links with their measures: arrays of one length n.

    `geometry` is object[n] of shapely geometries or None, WGS 84 degrees; `speed` float64[n];
    `fixes` and `trips` int64[n]; `road_class` object[n] of str or None, or None altogether.
    """

    geometry: Objects
    speed: Floats
    fixes: Ints
    trips: Ints
    road_class: Objects | None

    def little(self, measure: str, min_fixes: int) -> npt.NDArray[np.bool_]:
        """Which links have too little data to be coloured: bool[n].

        A mean needs `min_fixes` and a finite value; a coverage map shows whatever was counted.
        """
        if measure == "speed":
            return (self.fixes < min_fixes) | ~np.isfinite(self.speed)
        return self.values(measure) < 1

    def values(self, measure: str) -> Floats:
        """Return what a measure shows of each link: float64[n]."""
        found = {"speed": self.speed, "trips": self.trips, "fixes": self.fixes}[measure]
        return found.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Context:
    """Roads without data: `geometry` and `road_class` as for links."""

    geometry: Objects
    road_class: Objects | None


def checked_context(geometry: Objects | None, road_class: Objects | None) -> Context:
    """Return roads without data, none of them if `geometry` is None.

    Raises
    ------
    UsageError
        If the two arrays differ in length.
    """
    if geometry is None:
        return Context(np.empty(0, dtype=object), None)
    if road_class is not None and len(road_class) != len(geometry):
        raise UsageError(
            f"map: expected a class for each of {len(geometry):,} context roads, "
            f"got {len(road_class):,}"
        )
    return Context(np.asarray(geometry, dtype=object), road_class)


def checked_links(
    geometry: Objects | None, speed: Floats, fixes: Ints, trips: Ints, road_class: Objects | None
) -> Links:
    """Return the arrays as links.

    Raises
    ------
    UsageError
        If there is no geometry at all or the arrays differ in length.
    """
    if geometry is None:
        raise UsageError("map: no geometry was given; set the roads by --roads, or use --no-map")
    columns = {"geometry": geometry, "speed": speed, "fixes": fixes, "trips": trips}
    if road_class is not None:
        columns["road_class"] = road_class
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise UsageError(f"map: expected one entry a link in every column, got {said}")
    return Links(
        np.asarray(geometry, dtype=object),
        np.asarray(speed, dtype=np.float64),
        np.asarray(fixes, dtype=np.int64),
        np.asarray(trips, dtype=np.int64),
        None if road_class is None else np.asarray(road_class, dtype=object),
    )
