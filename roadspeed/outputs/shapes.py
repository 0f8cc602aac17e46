"""Geometries made ready for a file: plane, there or None, in one of the usual encodings.

Heights and measures are dropped, and an empty geometry counts as a missing one. No geometry is
simplified, repaired or cut; only text is rounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

if TYPE_CHECKING:
    from roadspeed.outputs.link_table import Floats, Objects

WKT_DECIMALS: Final = 7
"""Decimals of a degree in text: about a centimetre, below what a GPS receiver or a map knows."""


def present(geometry: Objects) -> Objects:
    """Give the geometries, with None where one is missing or empty: object[n]."""
    there = geometry.copy()
    there[shapely.is_empty(there)] = None
    return there


def count_present(geometry: Objects) -> int:
    """Give how many geometries are neither missing nor empty."""
    return int((~shapely.is_missing(present(geometry))).sum())


def as_wkt(geometry: Objects) -> list[str]:
    """Give each geometry as WKT, its coordinates rounded to `WKT_DECIMALS`; "" for a missing one.

    Rounding comes before formatting: what the text says is then the shortest form of one number,
    also near the meridian of Greenwich, where GEOS changes to exponents and counts other digits.
    """
    rounded = shapely.transform(
        present(geometry),
        lambda xy: np.round(xy, WKT_DECIMALS) + 0.0,  # + 0.0 makes zero of minus zero
    )
    text = shapely.to_wkt(rounded, rounding_precision=WKT_DECIMALS, output_dimension=2)
    return ["" if t is None else t for t in text.tolist()]


def as_wkb(geometry: Objects) -> list[bytes | None]:
    """Give each geometry as little-endian ISO WKB, None for a missing one."""
    wkb: list[bytes | None] = shapely.to_wkb(
        present(geometry), byte_order=1, output_dimension=2
    ).tolist()
    return wkb


def as_multilines(geometry: Objects) -> Objects:
    """Give every line as a MULTILINESTRING, so that a layer can name one type: object[n]."""
    there = present(geometry)
    parts, rows = shapely.get_parts(there, return_index=True)
    rows_present = np.flatnonzero(~shapely.is_missing(there))
    there[rows_present] = shapely.multilinestrings(
        parts, indices=np.searchsorted(rows_present, rows)
    )
    return there


def are_lines(geometry: Objects) -> bool:
    """Say whether every geometry that is there is a line or several lines."""
    lines = (shapely.GeometryType.LINESTRING, shapely.GeometryType.MULTILINESTRING)
    kinds = shapely.get_type_id(present(geometry))
    return bool(np.isin(kinds, (shapely.GeometryType.MISSING, *lines)).all())


def type_names(geometry: Objects) -> list[str]:
    """Give the distinct types, in the words of GeoParquet, sorted."""
    kinds = np.unique(shapely.get_type_id(present(geometry)))
    return sorted({_NAMES[k] for k in kinds.tolist() if k >= 0})


def bounds(geometry: Objects) -> Floats:
    """Give xmin, ymin, xmax, ymax of each geometry, float64[n, 4], NaN for a missing one."""
    box: Floats = shapely.bounds(geometry)
    return box


_NAMES: Final = (
    "Point",
    "LineString",
    "LineString",  # a ring: as WKB it is a line
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
    "GeometryCollection",
)  # by shapely's type ids
