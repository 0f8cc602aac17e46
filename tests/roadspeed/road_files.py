"""Sixty and more files of the same few roads, as other tools write them: each a small function.

Rule: every file is made here and now by the tool that its row names, from one town given in
longitude and latitude, so the truth is known without reading the file. Where a tool cannot be had
(geopandas of 2020, QGIS, osmnx, ESRI's), what it writes is written by hand, and the row says
"as … writes it".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pandas as pd
import shapely

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

IDS = np.array([7001, 7002, 7003, 7004], dtype=np.int64)
CLASSES = ["primary", "residential", None, "trunk"]
LINES = [
    "LINESTRING (-5.93 54.60, -5.92 54.61)",
    "LINESTRING (-5.91 54.60, -5.90 54.61, -5.89 54.60)",
    "LINESTRING (-5.95 54.58, -5.94 54.59)",
    "MULTILINESTRING ((-5.97 54.60, -5.96 54.61), (-5.99 54.60, -5.98 54.61))",
]
POINTS = ["POINT (-5.9 54.6)"] * 4
AREAS = ["POLYGON ((-5.9 54.6, -5.8 54.6, -5.8 54.7, -5.9 54.6))"] * 4
# Where each row may be told in other words: the same roads, as arcs of half a kilometre.
ARC = "CIRCULARSTRING (-5.905 54.6, -5.9 54.605, -5.895 54.6)"
ARCS = [
    LINES[0],
    ARC,
    f"COMPOUNDCURVE ({ARC}, (-5.895 54.6, -5.88 54.6))",
    f"MULTICURVE ((-5.93 54.6, -5.92 54.61), {ARC})",
]


@dataclass(frozen=True, slots=True)
class Written:
    """A file: how it is made, how it is named to the program, and what must come of it.

    `roads` is the truth (id -> WKT in degrees), or None where `refused` says the sentence. `read`
    is another program's reading of the same file, where one can read it.
    """

    name: str
    file: str
    write: Callable[[Path], Any]
    roads: dict[int, str] | None = None
    refused: str = ""
    read: Callable[[Path], geopandas.GeoDataFrame] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    classes: Sequence[str | None] | None = None


def town(
    ids: Any = IDS, crs: Any = 4326, lines: Sequence[str | None] | None = None, **more: Any
) -> geopandas.GeoDataFrame:
    """The roads as geopandas has them."""
    shapes = shapely.from_wkt(np.array(LINES if lines is None else lines, dtype=object))
    columns = {"link_id": ids, "highway": CLASSES, **more}
    return geopandas.GeoDataFrame(columns, geometry=list(shapes), crs=4326).to_crs(crs)


def table(crs: Any = 4326, shape: str = "wkt", ids: Any = IDS) -> pd.DataFrame:
    """The roads with their geometry as plain cells: `wkt`, `wkb`, `hex`, `ewkb` or `ewkt`."""
    frame = town(ids, crs)
    plain = pd.DataFrame(frame.drop(columns="geometry"))
    srid = frame.crs.to_epsg() or 0
    shapes = frame.geometry
    if shape == "ewkb":
        marked = shapely.set_srid(shapes.to_numpy(), srid)
        plain["geom"] = shapely.to_wkb(marked, hex=True, include_srid=True)
    elif shape == "ewkt":
        plain["geom"] = [f"SRID={srid};{text}" for text in shapes.to_wkt()]
    else:
        plain["geom"] = shapes.to_wkt() if shape == "wkt" else shapes.to_wkb(hex=shape == "hex")
    return plain


def arcs() -> dict[int, str]:
    """The truth of `ARCS`: a half circle of many points."""
    turn = np.linspace(np.pi, 0.0, 200)
    bow = ", ".join(
        f"{x:.9f} {y:.9f}"
        for x, y in zip(-5.9 + 0.005 * np.cos(turn), 54.6 + 0.005 * np.sin(turn), strict=True)
    )
    texts = [
        LINES[0],
        f"LINESTRING ({bow})",
        f"LINESTRING ({bow}, -5.88 54.6)",
        f"MULTILINESTRING ((-5.93 54.6, -5.92 54.61), ({bow}))",
    ]
    return dict(zip(IDS.tolist(), texts, strict=True))


def all_roads(*without: int) -> dict[int, str]:
    """The truth: every road, but for some that a file holds in a way no road can be known by."""
    return {id_: line for id_, line in zip(IDS.tolist(), LINES, strict=True) if id_ not in without}
