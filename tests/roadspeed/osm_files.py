"""Extracts of OpenStreetMap, written by osmium from roads that a test has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import osmium

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def write_extract(path: Path, roads: Iterable[Mapping[str, Any]], *, without: int = 0) -> None:
    """Write GeoJSON features as ways, whose ids are the features' link ids.

    Points of equal coordinates are one node; of these the first `without` are left out, as if the
    extract had been cut.
    """
    nodes: dict[tuple[float, float], int] = {}
    ways = []
    for road in roads:
        line = [tuple(point) for point in road["geometry"]["coordinates"]]
        about = dict(road["properties"])
        number = int(about.pop("link_id"))
        refs = [nodes.setdefault(point, len(nodes) + 1) for point in line]
        ways.append((number, refs, {k: str(v) for k, v in about.items() if v is not None}))
    path.unlink(missing_ok=True)
    writer = osmium.SimpleWriter(str(path))
    node, way = osmium.osm.mutable.Node, osmium.osm.mutable.Way
    for point, ref in nodes.items():
        if ref > without:
            writer.add_node(node(id=ref, version=1, location=point))
    for number, refs, tags in sorted(ways):
        writer.add_way(way(id=number, version=1, nodes=refs, tags=tags))
    writer.close()


def road(number: int, *line: tuple[float, float], **tags: str) -> dict[str, Any]:
    """Make a feature."""
    return {
        "properties": {"link_id": number, "highway": "residential", **tags},
        "geometry": {"coordinates": line},
    }
