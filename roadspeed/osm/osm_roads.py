"""Drivable ways of an OpenStreetMap extract, split into links where they meet.

A link is a piece of a way between two nodes that it shares with another drivable way (or with
itself), or that end it. Its id is `way * 10_000 + number`, counted from 0 along the way: so it says
its way, does not depend on what else the extract holds, and changes only where that way is drawn or
crossed anew. Its line runs as the way does. Pure: arrays in, arrays out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

LINKS_A_WAY: Final = 10_000  # a way has at most 2,000 nodes
DRIVABLE: Final = frozenset(
    f"{kind}{link}"
    for kind in (
        "motorway", "trunk", "primary", "secondary", "tertiary", "unclassified", "residential",
        "living_street", "service", "road", "track",
    )
    for link in ("", "_link")
)  # fmt: skip
TAGS: Final = ("highway", "name", "maxspeed", "oneway")


@dataclass(frozen=True, slots=True)
class Ways:
    """Drivable ways as an extract has them.

    Attributes
    ----------
    way
        int64[w], ids.
    starts
        int64[w + 1], where each way's nodes begin in the arrays below.
    node, lon, lat
        int64[m], float64[m], float64[m]: nodes in their order, degrees in WGS 84.
    tags
        Of each way, `TAGS` in their order; "" where there is none.
    incomplete
        Ways left out since fewer than two of their nodes are in the extract.
    """

    way: Ints
    starts: Ints
    node: Ints
    lon: Floats
    lat: Floats
    tags: list[tuple[str, ...]]
    incomplete: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class OsmRoads:
    """Links, ascending by id.

    Attributes
    ----------
    link, way
        int64[n].
    row
        int64[n], which of the ways' tags are a link's.
    starts
        int64[n + 1], where each link's line begins in `lon` and `lat`; a vertex that two links
        share is there twice.
    lon, lat
        float64[m], degrees in WGS 84.
    tags
        As of `Ways`.
    """

    link: Ints
    way: Ints
    row: Ints
    starts: Ints
    lon: Floats
    lat: Floats
    tags: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.link)


def links_of(ways: Ways) -> OsmRoads:
    """Split ways where they meet.

    Raises
    ------
    UsageError
        There is no way, or one whose id or number of links leaves no room for the links' ids.
    """
    if not len(ways.way):
        raise UsageError("the extract holds no drivable way: expected OpenStreetMap's highways")
    order = np.argsort(ways.way, kind="stable")
    first, last = ways.starts[:-1], ways.starts[1:] - 1
    _, inverse, counts = np.unique(ways.node, return_inverse=True, return_counts=True)
    cut = counts[inverse] > 1
    cut[first] = cut[last] = True
    begins, ends, row = _pieces(cut, first[order], last[order])
    way = ways.way[order][row]
    number = np.arange(len(way)) - np.searchsorted(row, row)
    _check_room(way, number)
    lengths = ends - begins + 1
    starts = np.concatenate([[0], np.cumsum(lengths)])
    vertices = np.arange(starts[-1]) - np.repeat(starts[:-1] - begins, lengths)
    return OsmRoads(
        link=way * LINKS_A_WAY + number,
        way=way,
        row=order[row],
        starts=starts,
        lon=ways.lon[vertices],
        lat=ways.lat[vertices],
        tags=ways.tags,
    )


def _pieces(cut: Any, first: Ints, last: Ints) -> tuple[Ints, Ints, Ints]:
    """Give each piece's first and last vertex, and the way that it is of, in the ways' order."""
    begins, ends, row = [], [], []
    for number, (a, b) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        cuts = a + np.flatnonzero(cut[a : b + 1])
        begins.append(cuts[:-1])
        ends.append(cuts[1:])
        row.append(np.full(len(cuts) - 1, number))
    return np.concatenate(begins), np.concatenate(ends), np.concatenate(row)


def _check_room(way: Ints, number: Ints) -> None:
    most = int(np.iinfo(np.int64).max) // LINKS_A_WAY - 1
    odd = (way < 0) | (way > most) | (number >= LINKS_A_WAY)
    if odd.any():
        place = int(np.argmax(odd))
        raise UsageError(
            f"way {way[place]}: expected an id from 0 to {most} and at most {LINKS_A_WAY:,} links,"
            " as OpenStreetMap's are; renumber the extract (osmium renumber)"
        )
