"""The finished road net: flat arrays of links, nodes and geometry, ready to drive on.

A link runs from one junction to the next; its id is a large integer with no order in it. Lines
are thinned to half a metre. Nothing is changed after it is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from roadspeed.town.arterials import draw_arterials
from roadspeed.town.curves import Line, stations
from roadspeed.town.draft import Draft, DraftLink, join, tidy
from roadspeed.town.landscape import Landscape
from roadspeed.town.mesh import draw_mesh
from roadspeed.town.motorway import build_ferry, build_motorway
from roadspeed.town.names import name_of
from roadspeed.town.streets import draw_streets

if TYPE_CHECKING:
    from numpy.typing import NDArray

FUNCTIONAL_CLASS = {
    "motorway": 1, "trunk": 2, "primary": 3, "motorway_link": 3, "secondary": 4, "tertiary": 4,
    "residential": 5, "service": 5, "ferry": 5,
}  # fmt: skip
LIMIT_KMH = {
    "motorway": (110, 110), "trunk": (70, 80), "primary": (50, 80), "motorway_link": (60, 60),
    "secondary": (50, 70), "tertiary": (50, 70), "residential": (30, 50), "service": (20, 20),
    "ferry": (15, 15),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Network:
    """Links of a town; index `k` of every link array is the same link.

    Attributes
    ----------
    xy
        Vertices of all links, float64 (v, 2), metres east and north of the market square.
    first
        Where link `k`'s vertices begin in `xy`, int64 (m + 1,).
    ends
        Nodes at a link's first and last vertex, int64 (m, 2).
    node_xy
        Nodes, float64 (n, 2), metres.
    link_id
        Unique, 8 to 10 digits, in no order, int64 (m,).
    length_m, limit_kmh, one_way, urban
        Length, speed limit, driven from first to last vertex only, within the built-up area.
    highway, name
        Class in OpenStreetMap's words, and street name, m texts each.
    """

    xy: Line
    first: NDArray[np.int64]
    ends: NDArray[np.int64]
    node_xy: Line
    link_id: NDArray[np.int64]
    length_m: NDArray[np.float64]
    limit_kmh: NDArray[np.int64]
    one_way: NDArray[np.bool_]
    urban: NDArray[np.bool_]
    highway: list[str]
    name: list[str]

    def line(self, link: int) -> Line:
        """Vertices of one link, (n, 2) metres."""
        return self.xy[self.first[link] : self.first[link + 1]]


def build_network(rng: np.random.Generator, size: float) -> tuple[Network, Landscape]:
    """Draw a town `size` times as wide as the default, and the ground it stands on."""
    ground = Landscape.shape(rng, size)
    art = draw_arterials(draw_mesh(ground, rng), ground, rng)
    draft = join(art, draw_streets(art, ground, rng))
    build_motorway(draft, art, ground)
    draft = tidy(draft)
    build_ferry(draft, ground)
    return _freeze(draft, ground, rng), ground


def _freeze(draft: Draft, ground: Landscape, rng: np.random.Generator) -> Network:
    pieces = draft.pieces
    lines = [_thin(piece) for piece in pieces]
    used, renamed = np.unique([(p.a, p.b) for p in pieces], return_inverse=True)
    middles = np.array([line[len(line) // 2] for line in lines])
    urban = (ground.remoteness(middles) < 1.02) | (ground.to_village_m(middles) < 750.0)  # noqa: PLR2004
    quiet = ground.remoteness(middles) < 0.55  # noqa: PLR2004 - a share of the town's radius
    local = np.array([piece.highway == "residential" for piece in pieces])
    slow = np.where(local, quiet, urban)
    gaps = rng.integers(211, 5400, len(pieces))
    ids = rng.permutation(52_000_000 + np.cumsum(gaps))
    names: dict[tuple[int, str], str] = {}
    limits, labels = [], []
    for k, piece in enumerate(pieces):
        key = (piece.street, piece.highway)
        if key not in names:
            names[key] = name_of(piece.highway, rng)
        labels.append(names[key])
        limits.append(LIMIT_KMH[piece.highway][0 if slow[k] else 1])
    return Network(
        xy=np.vstack(lines),
        first=np.concatenate(([0], np.cumsum([len(line) for line in lines]))),
        ends=renamed.reshape(-1, 2),
        node_xy=np.array(draft.xy)[used],
        link_id=ids,
        length_m=np.array([stations(line)[-1] for line in lines]),
        limit_kmh=np.array(limits),
        one_way=np.array([piece.one_way for piece in pieces]),
        urban=urban,
        highway=[piece.highway for piece in pieces],
        name=labels,
    )


def _thin(piece: DraftLink) -> Line:
    line = shapely.simplify(shapely.LineString(piece.line), 0.4)
    return np.asarray(shapely.get_coordinates(line))
