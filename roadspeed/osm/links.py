"""Which link an edge of Valhalla's graph is part of: by its way, and a point of its line.

Valhalla cuts ways at every node that any of its roads and paths share, so an edge is a link or part
of one. Its middle lies on the line of that link, and off those of the way's other links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mapreduce.atomic_file import whole
from mapreduce.errors import JobError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from roadspeed.osm.osm_roads import OsmRoads

NO_LINK = -1
_ARRAYS = ("link", "way", "starts", "lon", "lat")


def write_links(path: Path, roads: OsmRoads) -> None:
    """Write what `Links` reads."""
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **{name: getattr(roads, name) for name in _ARRAYS})


class Links:
    """The links of all ways.

    Parameters
    ----------
    path
        A file of `write_links`.

    Raises
    ------
    JobError
        It is none.
    """

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path) as arrays:
                self._link, self._way, self._starts, self._lon, self._lat = (
                    arrays[name] for name in _ARRAYS
                )
        except (OSError, ValueError, KeyError) as error:
            raise JobError(
                f"{path}: expected the links.npz of `roadspeed roads tiles`: {error}"
            ) from None

    def nearest(self, way: int, lon: float, lat: float) -> int:
        """Give the link of a way whose line is nearest to a point; `NO_LINK` for an unknown way."""
        first, stop = np.searchsorted(self._way, [way, way + 1]).tolist()
        if stop - first <= 1:
            return int(self._link[first]) if stop > first else NO_LINK
        distances = [self._distance(row, lon, lat) for row in range(first, stop)]
        return int(self._link[first + int(np.argmin(distances))])

    def _distance(self, row: int, lon: float, lat: float) -> float:
        """Measure from a point to a link's line, squared, in degrees of latitude."""
        start, stop = self._starts[row : row + 2].tolist()
        x = (self._lon[start:stop] - lon) * np.cos(np.radians(lat))
        y = self._lat[start:stop] - lat
        return float(_to_segments(x, y).min())


def _to_segments(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Measure from the origin to each segment of a line, squared."""
    dx, dy = np.diff(x), np.diff(y)
    length = dx * dx + dy * dy
    along = np.clip(-(x[:-1] * dx + y[:-1] * dy) / np.where(length > 0, length, 1.0), 0.0, 1.0)
    return np.asarray((x[:-1] + along * dx) ** 2 + (y[:-1] + along * dy) ** 2)
