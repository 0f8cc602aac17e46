"""What lies above what on a map: context, then little data, then minor to major, fast to slow.

Decides widths, shades and order for roads already on the page; reads no file, paints nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from roadspeed.maps.strokes import Floats, StrokeLayer, Strokes
from roadspeed.road_class import CASED_FROM

if TYPE_CHECKING:
    from roadspeed.maps.colour import Ground
    from roadspeed.maps.frame import Frame

MOTORWAY_M = 60.0  # as wide as a motorway is drawn, kept between two shares of the page's width
MOTORWAY_SHARES = (0.0010, 0.0042)
LITTLE_SHARE, LITTLE_PX = 0.45, (0.8, 0.0009)  # of the class's width; at least px, at most share
CONTEXT_SHARE, CONTEXT_PX = 0.4, 0.5
CASING_SHARE = 0.22  # of a road's width, on either side


@dataclass(frozen=True, slots=True)
class Widths:
    """Widths in pixels for one frame."""

    motorway_px: float

    def measured(self, share: float) -> float:
        """Width of a road with data whose class has this share of a motorway's width."""
        return max(1.0, share * self.motorway_px)

    def little(self, share: float) -> float:
        """Width of a road with little data: thinner than the same road with enough."""
        return max(LITTLE_PX[0], LITTLE_SHARE * share * self.motorway_px)

    def context(self, share: float) -> float:
        """Width of a road without data."""
        return max(CONTEXT_PX, CONTEXT_SHARE * share * self.motorway_px)


def widths_for(frame: Frame) -> Widths:
    """Return widths that suit a frame: true to the ground as far as the eye can still tell them."""
    low, high = (share * frame.width_px for share in MOTORWAY_SHARES)
    return Widths(float(np.clip(MOTORWAY_M / frame.metres_per_px, low, high)))


def context_layers(
    strokes: Strokes, shares: Floats, ground: Ground, widths: Widths
) -> list[StrokeLayer]:
    """Roads beneath the links; `shares` as for the links, by the strokes' owner."""
    shares = shares[strokes.owner]
    return [
        StrokeLayer(
            strokes.lines[shares == share], widths.context(share), None, ground.context, False
        )
        for share in np.unique(shares)
    ]


def link_layers(
    strokes: Strokes,
    shade: Floats,
    *,
    little: npt.NDArray[np.bool_],
    shares: Floats,
    ground: Ground,
    widths: Widths,
) -> list[StrokeLayer]:
    """Layers of the links.

    Parameters
    ----------
    strokes
        On the page; their owners are positions in the arrays that follow.
    shade
        float64[n], place on the ramp of each link; not read where `little`.
    little
        bool[n], links with too little data.
    shares
        float64[n], width of each link's class as a share of a motorway's.
    """
    mine_little, mine_share = little[strokes.owner], shares[strokes.owner]
    mine_shade = shade[strokes.owner]
    layers = [
        StrokeLayer(strokes.lines[mine_little & (mine_share == share)], widths.little(share), None,
              ground.little)
        for share in np.unique(mine_share[mine_little])
    ]  # fmt: skip
    for share in np.unique(mine_share[~mine_little]):
        members = np.flatnonzero(~mine_little & (mine_share == share))
        members = members[np.argsort(-mine_shade[members], kind="stable")]
        width_px = widths.measured(share)
        if ground.casing is not None and share >= CASED_FROM:
            wide = width_px * (1 + 2 * CASING_SHARE)
            layers.append(StrokeLayer(strokes.lines[members], wide, None, ground.casing, False))
        layers.append(StrokeLayer(strokes.lines[members], width_px, mine_shade[members], None))
    return layers
