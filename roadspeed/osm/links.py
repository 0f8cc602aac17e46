"""Which link an edge of Valhalla's graph is part of: by its way, and a point of its line.

Valhalla cuts ways at every node that any of its roads and paths share, so an edge is a link or part
of one. Its middle lies on the line of that link, and off those of the way's other links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zipfile import BadZipFile

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
            with path.open("rb") as file, np.load(file) as arrays:
                self._link, self._way, self._starts, self._lon, self._lat = (
                    arrays[name] for name in _ARRAYS
                )
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
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
        start, stop = self._starts[row : row + 2].tolist()
        return to_line(np.column_stack([self._lon[start:stop], self._lat[start:stop]]), lon, lat)


def to_line(line: npt.NDArray[np.float64], lon: float, lat: float) -> float:
    """Measure from a point to a line, squared, in degrees of latitude.

    Parameters
    ----------
    line
        float64[n, 2], longitudes and latitudes of at least one point.
    lon, lat
        Degrees.
    """
    x, y = ((line - (lon, lat)) * (np.cos(np.radians(lat)), 1.0)).T
    if len(line) == 1:
        return float(x[0] ** 2 + y[0] ** 2)
    dx, dy = np.diff(x), np.diff(y)
    length = dx * dx + dy * dy
    along = np.clip(-(x[:-1] * dx + y[:-1] * dy) / np.where(length > 0, length, 1.0), 0.0, 1.0)
    return float(((x[:-1] + along * dx) ** 2 + (y[:-1] + along * dy) ** 2).min())
