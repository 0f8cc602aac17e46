"""Links of OpenStreetMap as GeoParquet, which `--roads` and GIS programs read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from mapreduce.atomic_file import whole
from roadspeed.osm.osm_roads import TAGS

if TYPE_CHECKING:
    from pathlib import Path

    from roadspeed.osm.osm_roads import OsmRoads

ATTRIBUTION: Final = "© OpenStreetMap contributors, ODbL"
_GEO: Final = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["LineString"]}},
}


def write_roads(path: Path, roads: OsmRoads) -> None:
    """Write `link_id`, `way_id`, some tags, and `geometry`.

    The tags are `highway`, `name`, `maxspeed` and `oneway`, null where a way has none. `oneway` is
    OpenStreetMap's: `yes`, or `-1` where traffic runs against the line.
    """
    columns: dict[str, Any] = {"link_id": roads.link, "way_id": roads.way}
    for place, tag in enumerate(TAGS):
        words = [tags[place] or None for tags in roads.tags]
        columns[tag] = pa.array(words, pa.string()).take(pa.array(roads.row))
    columns["geometry"] = pa.array(shapely.to_wkb(lines_of(roads)), pa.binary())
    table = pa.table(columns).replace_schema_metadata(
        {"geo": json.dumps(_GEO), "attribution": ATTRIBUTION}
    )
    with whole(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def lines_of(roads: OsmRoads) -> Any:
    """Give the links' lines: object[n] of shapely LineStrings."""
    places = np.repeat(np.arange(len(roads)), np.diff(roads.starts))
    return shapely.linestrings(np.column_stack([roads.lon, roads.lat]), indices=places)
