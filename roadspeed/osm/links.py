"""Which link an edge of Valhalla's graph is part of: by its way, and a point of its line.

Valhalla cuts ways at every node that any of its roads and paths share, so an edge is a link or part
of one. Its middle lies on the line of that link, and off those of the way's other links.
An edge runs one way only: along the line of its link, or against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile

import numpy as np

from mapreduce.atomic_file import whole
from mapreduce.errors import JobError
from roadspeed.measures.direction import BACKWARD, FORWARD, UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from roadspeed.osm.osm_roads import OsmRoads

    Floats = npt.NDArray[np.float64]

NO_LINK = -1
ALONG: Final = 0.5  # cosine of 60 degrees: a greater angle is across
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
        distances = [to_line(self._line(row), lon, lat) for row in range(first, stop)]
        return int(self._link[first + int(np.argmin(distances))])

    def direction(self, link: int, piece: Floats) -> int:
        """Say which way along a link a piece of a drive on it goes.

        Parameters
        ----------
        piece
            float64[2, 2], longitude and latitude of its beginning and end.

        Returns
        -------
        int
            `FORWARD`, `BACKWARD`; `UNKNOWN` for an unknown link, or a piece that is across it.
        """
        row = int(np.searchsorted(self._link, link))
        if row == len(self._link) or self._link[row] != link:
            return UNKNOWN
        line, (lon, lat) = self._line(row), piece.mean(axis=0)
        off, (east, north) = _segments(line, lon, lat)
        near = int(np.argmin(off))
        x, y = (piece[1] - piece[0]) * (np.cos(np.radians(lat)), 1.0)
        along = x * east[near] + y * north[near]
        if abs(along) <= ALONG * np.hypot(x, y) * np.hypot(east[near], north[near]):
            return UNKNOWN
        return FORWARD if along > 0 else BACKWARD

    def _line(self, row: int) -> Floats:
        start, stop = self._starts[row : row + 2].tolist()
        return np.column_stack([self._lon[start:stop], self._lat[start:stop]])


def to_line(line: Floats, lon: float, lat: float) -> float:
    """Measure from a point to a line, squared, in degrees of latitude.

    Parameters
    ----------
    line
        float64[n, 2], longitudes and latitudes of at least one point.
    lon, lat
        Degrees.
    """
    if len(line) == 1:
        line = np.repeat(line, 2, axis=0)
    return float(_segments(line, lon, lat)[0].min())


def _segments(line: Floats, lon: float, lat: float) -> tuple[Floats, tuple[Floats, Floats]]:
    """Give how far segments are from a point, squared, and their vectors."""
    x, y = ((line - (lon, lat)) * (np.cos(np.radians(lat)), 1.0)).T
    dx, dy = np.diff(x), np.diff(y)
    length = dx * dx + dy * dy
    along = np.clip(-(x[:-1] * dx + y[:-1] * dy) / np.where(length > 0, length, 1.0), 0.0, 1.0)
    return (x[:-1] + along * dx) ** 2 + (y[:-1] + along * dy) ** 2, (dx, dy)
