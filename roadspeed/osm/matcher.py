"""The links that the positions of one trip are on, and why some are on none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.osm.links import NO_LINK, Links, to_line
from roadspeed.positions import US_A_SECOND

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from roadspeed.osm.valhalla import Meili

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

LEAST_POINTS: Final = 2  # of a trace
UNMATCHED: Final = "unmatched"
INTERPOLATED: Final = "interpolated"


class Matcher:
    """Matches trips; remembers the links of edges that it has seen.

    Parameters
    ----------
    meili
        Who matches.
    links
        A file of `roadspeed.osm.links.write_links`, of the same extract as the tiles.
    """

    def __init__(self, meili: Meili, links: Path) -> None:
        self._meili = meili
        self._links = Links(links)
        self._known: dict[int, int] = {}

    def links_of(self, lat: Floats, lon: Floats, time_us: Ints) -> Ints:
        """Match consecutive positions of one trip: int64[n], `NO_LINK` where they are on no road.

        Degrees in WGS 84, and microseconds, ascending.
        """
        found = np.full(len(lat), NO_LINK, dtype=np.int64)
        if len(lat) < LEAST_POINTS:
            return found
        seconds = (time_us - time_us[0]) / US_A_SECOND
        columns = (lat.tolist(), lon.tolist(), seconds.tolist())
        points = [{"lat": y, "lon": x, "time": t} for y, x, t in zip(*columns, strict=True)]
        answer = self._meili.match(points)
        if answer is None:
            return found
        links = np.array([*self._links_of_edges(answer), NO_LINK], dtype=np.int64)
        edge = self._edges(answer, lat, lon)
        return links[edge]

    def _edges(self, answer: dict[str, Any], lat: Floats, lon: Floats) -> Ints:
        """Give the edge of each position, by its place on the route; -1 where it is on none.

        Meili looks for the roads of positions that are some metres apart, and puts those between
        onto the route. Where it finds no place for one of these, it is on the edge nearest to it
        of those that are driven between its neighbours.
        """
        points, count = answer["matched_points"], len(answer["edges"])
        given = [min(point.get("edge_index", count), count) for point in points]  # 2**64 - 1: none
        edge = np.array(given, dtype=np.int64)
        known = np.flatnonzero(edge < count)
        lost = [
            place
            for place in np.flatnonzero(edge == count).tolist()
            if points[place]["type"] == INTERPOLATED
        ]
        edge[edge == count] = -1
        if not lost or not len(known):
            return edge
        line = self._meili.line(answer["shape"])
        after = np.searchsorted(known, lost)
        for place, next_ in zip(lost, after.tolist(), strict=True):
            if 0 < next_ < len(known):
                between = (int(edge[known[next_ - 1]]), int(edge[known[next_]]))
                edge[place] = _nearest(answer["edges"], line, between, lon[place], lat[place])
        return edge

    def _links_of_edges(self, answer: dict[str, Any]) -> list[int]:
        edges = answer.get("edges", [])
        new = [edge for edge in edges if edge["id"] not in self._known]
        line = self._meili.line(answer["shape"]) if new else []
        for edge in new:
            lon, lat = _middle(line[edge["begin_shape_index"] : edge["end_shape_index"] + 1])
            self._known[edge["id"]] = self._links.nearest(edge["way_id"], lon, lat)
        return [self._known[edge["id"]] for edge in edges]


def _nearest(
    edges: list[dict[str, Any]],
    line: list[tuple[float, float]],
    between: tuple[int, int],
    lon: float,
    lat: float,
) -> int:
    """Give the edge nearest to a point of those from one to another; -1 for none."""
    first, last = between
    best, nearest = np.inf, -1
    for number in range(first, last + 1):
        start, stop = edges[number]["begin_shape_index"], edges[number]["end_shape_index"]
        distance = to_line(np.array(line[start : stop + 1]), lon, lat)
        if distance < best:
            best, nearest = distance, number
    return nearest


def _middle(line: list[tuple[float, float]]) -> tuple[float, float]:
    """Give a point in the middle of a line's middle segment: none of its ends."""
    if len(line) < LEAST_POINTS:
        return line[0]
    place = len(line) // 2
    (lon, lat), (to_lon, to_lat) = line[place - 1], line[place]
    return (lon + to_lon) / 2, (lat + to_lat) / 2
