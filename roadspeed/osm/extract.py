"""Reading an OpenStreetMap extract (`.osm.pbf`, `.osm.xml`, `.osm`): the only file with osmium."""

from __future__ import annotations

import importlib
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.osm.osm_roads import DRIVABLE, TAGS, Ways

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = 10_000  # ways between two reports


def read_ways(path: str | Path, on_ways: Callable[[int], None] = lambda _: None) -> Ways:
    """Read the drivable ways of an extract, with the places of their nodes.

    Parameters
    ----------
    path
        The extract. Memory follows its nodes: about 16 bytes for each.
    on_ways
        Called now and then with how many drivable ways were read.

    Raises
    ------
    UsageError
        There is no such file, it is no extract, or osmium is not installed.
    """
    osmium = _osmium()
    if not Path(path).is_file():
        raise UsageError(f"no file {path}: expected an OpenStreetMap extract, such as city.osm.pbf")
    found = _Found()
    try:
        processor = osmium.FileProcessor(str(path)).with_locations()
        for way in processor.with_filter(osmium.filter.EntityFilter(osmium.osm.WAY)):
            if way.tags.get("highway") in DRIVABLE and way.tags.get("area") != "yes":
                found.take(way)
                if len(found.way) % EVERY == 0:
                    on_ways(len(found.way))
    except (RuntimeError, ValueError, osmium.InvalidLocationError) as error:
        raise UsageError(
            f"{path}: expected an OpenStreetMap extract (.osm.pbf or .osm); {error}"
        ) from None
    on_ways(len(found.way))
    return found.ways()


class _Found:
    """Ways as they come."""

    def __init__(self) -> None:
        self.way = array("q")
        self.starts = array("q", [0])
        self.node = array("q")
        self.lon = array("d")
        self.lat = array("d")
        self.tags: list[tuple[str, ...]] = []
        self.incomplete = 0

    def take(self, way: Any) -> None:
        """Take a way; nodes that the extract was cut off from are left out."""
        nodes = [node for node in way.nodes if node.location.valid()]
        if len({node.ref for node in nodes}) < 2:  # noqa: PLR2004 - a line has two ends
            self.incomplete += 1
            return
        self.way.append(way.id)
        for node in nodes:
            self.node.append(node.ref)
            self.lon.append(node.lon)
            self.lat.append(node.lat)
        self.starts.append(len(self.node))
        self.tags.append(tuple(way.tags.get(tag, "") for tag in TAGS))

    def ways(self) -> Ways:
        """Give them as arrays."""
        return Ways(
            way=np.array(self.way, dtype=np.int64),
            starts=np.array(self.starts, dtype=np.int64),
            node=np.array(self.node, dtype=np.int64),
            lon=np.array(self.lon, dtype=np.float64),
            lat=np.array(self.lat, dtype=np.float64),
            tags=self.tags,
            incomplete=self.incomplete,
        )


def _osmium() -> Any:
    try:
        return importlib.import_module("osmium")
    except ImportError as error:
        raise UsageError(
            f"reading OpenStreetMap needs osmium, and it cannot be loaded ({error}); install it:"
            " pip install 'roadspeed[match]'"
        ) from None
