"""The town itself: made from a seed, it writes down its roads and tells any of its trips.

Trip number k is a function of the seed and k alone: however many are made, in whatever order
and by however many processes, its bytes are the same. It writes no trips; `writing` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import ujson

from mapreduce.atomic_file import whole
from mapreduce.errors import UsageError
from roadspeed.town.drives import drive
from roadspeed.town.errands import plan_errand
from roadspeed.town.fixes import LinkWords, document
from roadspeed.town.landscape import to_wgs84
from roadspeed.town.network import FUNCTIONAL_CLASS, Network, build_network
from roadspeed.town.routes import Routes
from roadspeed.town.traffic import Tracks, lay_tracks

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_SEED = 7
LARGEST_SCALE = 60.0


@dataclass(frozen=True, slots=True)
class Town:
    """A generated town: its net, where people go in it, and what driving there is like."""

    seed: int
    scale: float
    net: Network
    routes: Routes
    tracks: Tracks
    words: LinkWords

    @classmethod
    def generate(cls, seed: int = DEFAULT_SEED, scale: float = 1.0) -> Town:
        """Make a town of about `scale` times four thousand links.

        Parameters
        ----------
        seed
            Same seed and scale, same town.
        scale
            Area, and so number of links, relative to the default; 0.5 to 60.

        Raises
        ------
        UsageError
            If the seed is negative or the scale out of range.
        """
        if seed < 0:
            raise UsageError(f"expected a seed of 0 or more, got {seed}")
        if not 0.5 <= scale <= LARGEST_SCALE:  # noqa: PLR2004 - smaller has no suburbs
            raise UsageError(f"expected a scale from 0.5 to {LARGEST_SCALE:g}, got {scale:g}")
        rng = np.random.Generator(np.random.PCG64(seed))
        net, _ = build_network(rng, math.sqrt(scale))
        routes = Routes.over(net, rng)
        return cls(seed, scale, net, routes, lay_tracks(net, rng), LinkWords(net))

    def trip(self, number: int) -> dict[str, list[dict[str, Any]]]:
        """Tell trip `number` (from 1) as a trip document: `{"data": [fix, …]}`.

        Raises
        ------
        UsageError
            If the number is below 1.
        """
        if number < 1:
            raise UsageError(f"trips are numbered from 1, got {number}")
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, number])))
        errand = plan_errand(self.routes, rng)
        return document(drive(self.tracks, errand, rng), errand, self.words, rng)

    def roads(self) -> dict[str, Any]:
        """Return the roads as a GeoJSON FeatureCollection, longitude and latitude in WGS 84."""
        net = self.net
        degrees = np.round(to_wgs84(net.xy), 6).tolist()
        return {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {
                        "link_id": int(net.link_id[k]),
                        "name": net.name[k],
                        "highway": net.highway[k],
                        "functional_class": FUNCTIONAL_CLASS[net.highway[k]],
                        "maxspeed": int(net.limit_kmh[k]),
                    },
                    "geometry": {
                        "type": "LineString",
                        "coordinates": degrees[net.first[k] : net.first[k + 1]],
                    },
                }
                for k in range(len(net.link_id))
            ],
        }

    def write_roads(self, path: Path) -> None:
        """Write `roads()` to `path`, whole or not at all."""
        with whole(path) as part:
            text = ujson.dumps(self.roads(), escape_forward_slashes=False)
            part.write_text(text, encoding="utf-8")
