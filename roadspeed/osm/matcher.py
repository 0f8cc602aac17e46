"""The links that the positions of one trip are on, and why some are on none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.osm.links import NO_LINK, Links
from roadspeed.positions import US_A_SECOND

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from roadspeed.osm.valhalla import Meili

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

LEAST_POINTS: Final = 2  # of a trace
UNMATCHED: Final = "unmatched"


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
        links = self._links_of_edges(answer)
        for place, point in enumerate(answer["matched_points"]):
            edge = point.get("edge_index", len(links))
            if point["type"] != UNMATCHED and edge < len(links):
                found[place] = links[edge]
        return found

    def _links_of_edges(self, answer: dict[str, Any]) -> list[int]:
        edges = answer.get("edges", [])
        new = [edge for edge in edges if edge["id"] not in self._known]
        line = self._meili.line(answer["shape"]) if new else []
        for edge in new:
            lon, lat = _middle(line[edge["begin_shape_index"] : edge["end_shape_index"] + 1])
            self._known[edge["id"]] = self._links.nearest(edge["way_id"], lon, lat)
        return [self._known[edge["id"]] for edge in edges]


def _middle(line: list[tuple[float, float]]) -> tuple[float, float]:
    """Give a point in the middle of a line's middle segment: none of its ends."""
    if len(line) < LEAST_POINTS:
        return line[0]
    place = len(line) // 2
    (lon, lat), (to_lon, to_lat) = line[place - 1], line[place]
    return (lon + to_lon) / 2, (lat + to_lat) / 2
