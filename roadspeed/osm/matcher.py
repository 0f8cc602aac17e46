"""The links that the positions of one trip are on, and their places on the way that was driven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from roadspeed.measures.direction import UNKNOWN
from roadspeed.osm.links import NO_LINK, Links
from roadspeed.osm.route import Route
from roadspeed.positions import MM, US_A_SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from roadspeed.osm.valhalla import Meili

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

LEAST_POINTS: Final = 2  # of a trace
UNMATCHED: Final = "unmatched"
INTERPOLATED: Final = "interpolated"
NO_LEG: Final = -1
LEAST_M: Final = 1.0  # of a piece that shows a direction: places are given to a decimetre
ASTRAY_M: Final = 5.0  # from Meili's own place of a position to ours on its line


@dataclass(frozen=True, slots=True)
class Matched:
    """Where positions are: arrays of length n.

    Attributes
    ----------
    link
        int64, `NO_LINK` for those on no road.
    direction
        int64, which way the link is driven, as `roadspeed.measures.direction` numbers it.
    leg
        int64, the part of the way that is driven without a break; `NO_LEG` for those that have no
        place on it.
    at_mm
        int64, millimetres from the beginning of the way.
    lon, lat
        float64, degrees; NaN for those on no road.
    """

    link: Ints
    direction: Ints
    leg: Ints
    at_mm: Ints
    lon: Floats
    lat: Floats

    @classmethod
    def nowhere(cls, n: int) -> Matched:
        """Give n positions on no road."""
        nothing = np.zeros(n, np.int64)
        return cls(
            nothing + NO_LINK,
            nothing + UNKNOWN,
            nothing + NO_LEG,
            nothing,
            *np.full((2, n), np.nan),
        )

    def some(self, which: npt.NDArray[np.bool_]) -> Matched:
        """Give some of them."""
        return Matched(*(getattr(self, name)[which] for name in self.__slots__))

    def put(self, where: slice, other: Matched) -> None:
        """Take some of them from another."""
        for name in self.__slots__:
            getattr(self, name)[where] = getattr(other, name)


class Matcher:
    """Matches trips; remembers the links of edges that it has seen.

    Parameters
    ----------
    meili
        Who matches.
    links
        A file of `roadspeed.osm.links.write_links`, of the same extract as the tiles.
    interval_s
        Seconds. Of positions that follow each other sooner, one is matched, and the others are put
        on the way between.
    """

    def __init__(self, meili: Meili, links: Path, interval_s: float = 0.0) -> None:
        self._meili = meili
        self._links = Links(links)
        self._interval_us = round(interval_s * US_A_SECOND)
        self._known: dict[int, int] = {}
        self._directions: dict[int, int] = {}

    def match(self, lat: Floats, lon: Floats, time_us: Ints) -> Matched:
        """Match consecutive positions of one trip.

        Degrees in WGS 84, and microseconds, ascending.
        """
        found = Matched.nowhere(len(lat))
        if len(lat) < LEAST_POINTS:
            return found
        asked = _apart(time_us, self._interval_us)
        seconds = (time_us[asked] - time_us[0]) / US_A_SECOND
        columns = (lat[asked].tolist(), lon[asked].tolist(), seconds.tolist())
        answer = self._meili.match(
            [{"lat": y, "lon": x, "time": t} for y, x, t in zip(*columns, strict=True)]
        )
        if answer is None or not answer["edges"]:
            return found
        points = answer["matched_points"]
        route = Route(self._meili.line(answer["shape"]), answer["edges"], points)
        edge, lost = _edges(answer, asked, len(lat))
        self._put_known(found, route, answer, np.flatnonzero(edge >= 0), edge, asked)
        self._put_between(found, route, lost, edge, lon, lat)
        links = np.array(self._links_of_edges(route, answer["edges"]), dtype=np.int64)
        directions = np.array(self._directions_of_edges(route, answer["edges"], links))
        on = found.link >= 0
        found.direction[on] = directions[found.link[on]]
        found.link[on] = links[found.link[on]]
        return found

    def _put_known(
        self,
        found: Matched,
        route: Route,
        answer: dict[str, Any],
        known: Ints,
        edge: Ints,
        asked: Ints,
    ) -> None:
        """Put positions whose edge is known on the way; `found.link` gets the edge."""
        points = answer["matched_points"]
        of = np.searchsorted(asked, known).tolist()
        lon, lat = (np.array([points[i][name] for i in of], dtype=np.float64) for name in _PLACE)
        places = route.nearest(edge[known], edge[known], lon, lat)
        near = places.off_m <= ASTRAY_M
        found.link[known] = edge[known]
        found.leg[known] = np.where(near, route.legs[edge[known]], NO_LEG)
        found.at_mm[known] = np.rint(places.at_m * MM)
        found.lon[known], found.lat[known] = lon, lat

    def _put_between(
        self, found: Matched, route: Route, lost: Ints, edge: Ints, lon: Floats, lat: Floats
    ) -> None:
        """Put others on the nearest place of the way that is driven between their neighbours.

        Meili looks for the roads of positions that are some metres apart, and puts those between
        onto the way; where it finds no place for one of these, we do.
        """
        known = np.flatnonzero(edge >= 0)
        after = np.searchsorted(known, lost)
        lost, after = (x[(after > 0) & (after < len(known))] for x in (lost, after))
        first, last = edge[known[after - 1]], edge[known[after]]
        on_way = (first <= last) & (route.legs[first] == route.legs[last])
        lost, first, last = lost[on_way], first[on_way], last[on_way]
        if not len(lost):
            return
        places = route.nearest(first, last, lon[lost], lat[lost])
        near = places.off_m <= self._meili.radius_m
        lost = lost[near]
        found.link[lost] = places.edge[near]
        found.leg[lost] = route.legs[places.edge[near]]
        found.at_mm[lost] = np.rint(places.at_m[near] * MM)
        found.lon[lost], found.lat[lost] = places.lon[near], places.lat[near]

    def _links_of_edges(self, route: Route, edges: Sequence[dict[str, Any]]) -> list[int]:
        for number, edge in enumerate(edges):
            if edge["id"] not in self._known:
                lon, lat = route.middle_of(number)
                self._known[edge["id"]] = self._links.nearest(edge["way_id"], lon, lat)
        return [self._known[edge["id"]] for edge in edges]

    def _directions_of_edges(
        self, route: Route, edges: Sequence[dict[str, Any]], links: Ints
    ) -> list[int]:
        """Say which way along its link each edge is driven.

        An edge has one direction, but one that a trace hardly touches does not show it: then it is
        unknown even if another trace showed it, so nothing depends on which was seen before.
        """
        found = []
        for number, (edge, link) in enumerate(zip(edges, links.tolist(), strict=True)):
            piece, long_m = route.longest_of(number)
            if long_m < LEAST_M or not route.known[number]:
                found.append(UNKNOWN)
                continue
            if edge["id"] not in self._directions:
                self._directions[edge["id"]] = self._links.direction(link, piece)
            found.append(self._directions[edge["id"]])
        return found


_PLACE: Final = ("lon", "lat")


def _apart(time_us: Ints, interval_us: int) -> Ints:
    """Give the positions that are so far apart in time, with the last: int64[k]."""
    if interval_us <= 0:
        return np.arange(len(time_us))
    taken, at = [], 0
    while at < len(time_us):
        taken.append(at)
        at = max(at + 1, int(np.searchsorted(time_us, time_us[at] + interval_us)))
    if taken[-1] < len(time_us) - 1:
        taken.append(len(time_us) - 1)
    return np.array(taken, dtype=np.int64)


def _edges(answer: dict[str, Any], asked: Ints, n: int) -> tuple[Ints, Ints]:
    """Give each position's edge, -1 for none, and the positions that are to be put between."""
    points, count = answer["matched_points"], len(answer["edges"])
    given = [min(point.get("edge_index", count), count) for point in points]  # 2**64 - 1: none
    edge = np.full(n, -1, dtype=np.int64)
    edge[asked] = given
    edge[edge == count] = -1
    between = np.ones(n, np.bool_)
    between[asked] = [point["type"] == INTERPOLATED for point in points]
    return edge, np.flatnonzero(between & (edge < 0))
