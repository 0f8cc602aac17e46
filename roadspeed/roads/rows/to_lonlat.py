"""Coordinates of any reference system -> EPSG:4326, longitude first.

Rule: what a source says of its coordinates is believed unless the user says otherwise; a source
that says nothing is taken for longitude and latitude only if every coordinate could be one.
Whatever cannot be projected (it comes out infinite, or beyond the world) becomes None and is
counted. PROJ's network stays off. How sources say it is `crs`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely

from mapreduce.errors import UsageError
from roadspeed.roads.rows.crs import REMEDY, WGS84, is_lonlat, transformer

if TYPE_CHECKING:
    from roadspeed.roads.rows.align import RoadRows
    from roadspeed.roads.rows.answer import BBox, Objects

SLICE = 65_536
LIMITS = np.array([180.0, 90.0, 180.0, 90.0])
SLACK_DEGREES = 180.0  # east of the date line some count on


@dataclass(slots=True)
class Strays:
    """Tallies coordinates that are no longitude and latitude where they must be."""

    where: str
    inside: int = 0
    outside: int = 0
    unsaid: int = 0
    """Those outside of whose reference system nothing is known."""
    example: str = ""

    def check(self, *, every: bool) -> None:
        """Refuse them if nothing is inside; with `every`, also if one is of no known system."""
        if self.outside and (not self.inside or (every and self.unsaid)):
            raise UsageError(
                f"{self.where}: expected longitude and latitude, got coordinates such as "
                f"{self.example}. {REMEDY}"
            )

    def see(self, geometry: Objects, beyond: Any, crs: Any) -> None:
        """Tally a batch: `beyond` marks those outside."""
        outside = int(np.count_nonzero(beyond))
        if outside and not self.example:
            x, y = shapely.get_coordinates(geometry[int(np.argmax(beyond))])[0]
            said = "no known reference system" if crs is None else f"{crs.name}, as the source says"
            self.example = f"{x:.6g} {y:.6g} in {said}"
        self.outside += outside
        self.unsaid += outside if crs is None else 0
        self.inside += int(np.count_nonzero(~shapely.is_missing(geometry))) - outside


def to_lonlat(geometry: Objects, crs: Any, strays: Strays) -> Objects:
    """Return geometries in EPSG:4326, longitude first; None where a projection has no answer.

    Parameters
    ----------
    geometry
        object[n], shapely geometries or None.
    crs
        A `pyproj.CRS`, or None if the source does not say.
    strays
        Is told of those that are no longitude and latitude where they must be: they are None.
    """
    if crs is not None and not is_lonlat(crs.to_wkt()):
        parts = [
            _projected(geometry[at : at + SLICE], crs.to_wkt(), strays.where)
            for at in range(0, len(geometry), SLICE)
        ]
        geometry = np.concatenate([np.empty(0, dtype=object), *parts])
    bounds = shapely.bounds(geometry)
    with np.errstate(invalid="ignore"):
        lost = np.isinf(bounds).any(axis=1)
        slack = 0.0 if crs is None else SLACK_DEGREES
        beyond = np.abs(bounds) > LIMITS + np.array([slack, 0.0, slack, 0.0])
        outside = beyond.any(axis=1) & ~lost
    strays.see(geometry[~lost], outside[~lost], crs)
    if lost.any() or outside.any():
        geometry = geometry.copy()
        geometry[lost | outside] = None
    return geometry


def projected(rows: RoadRows, known: dict[int, Any], strays: Strays) -> RoadRows:
    """Project each row from its own SRID."""
    geometry = by_srid(rows.geometry, known, strays)
    before = np.count_nonzero(~shapely.is_missing(rows.geometry))
    lost = int(before - np.count_nonzero(~shapely.is_missing(geometry)))
    return replace(rows, geometry=geometry, unreadable=rows.unreadable + lost)


def by_srid(geometry: Objects, known: dict[int, Any], strays: Strays) -> Objects:
    """Project each geometry from the system of its own SRID; None for one that is not known."""
    result = geometry.copy()
    srids = shapely.get_srid(geometry)  # -1 of what is missing
    for srid in np.unique(srids[~shapely.is_missing(geometry)]).tolist():
        own = srids == srid
        plain = geometry[own] if srid == 0 else shapely.set_srid(geometry[own], 0)
        crs = known.get(srid)
        if srid > 0 and crs is None:
            result[own] = None
        else:
            result[own] = to_lonlat(plain, crs, strays)
    return result


def box_in(bbox: BBox, crs: Any) -> BBox:
    """Return a box given in degrees as one that covers it in `crs` (None: degrees)."""
    if crs is None or is_lonlat(crs.to_wkt()):
        return bbox
    backwards = pyproj.Transformer.from_crs(WGS84, crs, always_xy=True)
    west, south, east, north = backwards.transform_bounds(*bbox, densify_pts=21)
    return float(west), float(south), float(east), float(north)


def _projected(geometry: Objects, wkt: str, where: str) -> Objects:
    coordinates = shapely.get_coordinates(geometry)
    try:
        lon, lat = transformer(wkt).transform(coordinates[:, 0], coordinates[:, 1])
    except pyproj.exceptions.ProjError as error:
        raise UsageError(f"{where}: cannot project to EPSG:4326 ({error}). {REMEDY}") from error
    return np.asarray(
        shapely.set_coordinates(geometry.copy(), np.column_stack((lon, lat))), dtype=object
    )
