"""Coordinates of any reference system -> EPSG:4326, longitude first.

Rule: what a source says of its coordinates is believed unless the user says otherwise; a source
that says nothing is taken for longitude and latitude only if every coordinate could be one.
Whatever cannot be projected (it comes out infinite) becomes None. PROJ's network stays off.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from roadspeed.roads import BBox, Objects
    from roadspeed.roads.merging import Rows

WGS84 = pyproj.CRS.from_epsg(4326)
SLICE = 65_536
LIMITS = np.array([180.0, 90.0, 180.0, 90.0])
SLACK_DEGREES = 180.0  # east of the date line some count on
REMEDY = "Say what the coordinates are in, for example --roads-crs EPSG:27700"


def crs_named(text: str) -> pyproj.CRS:
    """Return the CRS a user named (`EPSG:27700`, a WKT, a PROJ text)."""
    try:
        return pyproj.CRS.from_user_input(int(text) if text.isdecimal() else text)
    except pyproj.exceptions.CRSError as error:
        raise UsageError(
            f"--roads-crs: expected a coordinate reference system such as EPSG:27700, "
            f"got {text!r} ({error})"
        ) from error


def to_lonlat(geometry: Objects, crs: Any, where: str) -> Objects:
    """Return geometries in EPSG:4326, longitude first; None where a projection has no answer.

    Parameters
    ----------
    geometry
        object[n], shapely geometries or None.
    crs
        A `pyproj.CRS`, or None if the source does not say.
    where
        The source's name, for messages.

    Raises
    ------
    UsageError
        Coordinates that are no longitude and latitude where they must be.
    """
    if crs is not None and not _is_lonlat(crs.to_wkt()):
        parts = [
            _projected(geometry[at : at + SLICE], crs.to_wkt(), where)
            for at in range(0, len(geometry), SLICE)
        ]
        geometry = np.concatenate([np.empty(0, dtype=object), *parts])
        said = f"{crs.name} as the source says"
    else:
        said = "no known reference system" if crs is None else f"{crs.name} as the source says"
    bounds = shapely.bounds(geometry)
    with np.errstate(invalid="ignore"):
        lost = np.isinf(bounds).any(axis=1)
        slack = 0.0 if crs is None else SLACK_DEGREES
        beyond = np.abs(bounds) > LIMITS + np.array([slack, 0.0, slack, 0.0])
        outside = np.flatnonzero(beyond.any(axis=1) & ~lost)
    if outside.size:
        point = shapely.get_coordinates(geometry[outside[0]])[0]
        raise UsageError(
            f"{where}: expected longitude and latitude, got coordinates such as "
            f"{point[0]:.6g} {point[1]:.6g} in {said}. {REMEDY}"
        )
    if lost.any():
        geometry = geometry.copy()
        geometry[lost] = None
    return geometry


def projected(rows: Rows, known: dict[int, Any], where: str) -> Rows:
    """Project each row from its own SRID."""
    geometry = rows.geometry.copy()
    srids = shapely.get_srid(geometry)
    for srid in np.unique(srids[srids >= 0]).tolist():
        own = srids == srid
        plain = geometry[own] if srid == 0 else shapely.set_srid(geometry[own], 0)
        geometry[own] = to_lonlat(plain, known[srid], where)
    before = np.count_nonzero(~shapely.is_missing(rows.geometry))
    lost = int(before - np.count_nonzero(~shapely.is_missing(geometry)))
    return replace(rows, geometry=geometry, unreadable=rows.unreadable + lost)


def box_in(bbox: BBox, crs: Any) -> BBox:
    """Return a box given in degrees as one that covers it in `crs` (None: degrees)."""
    if crs is None or _is_lonlat(crs.to_wkt()):
        return bbox
    backwards = pyproj.Transformer.from_crs(WGS84, crs, always_xy=True)
    west, south, east, north = backwards.transform_bounds(*bbox, densify_pts=21)
    return float(west), float(south), float(east), float(north)


def _projected(geometry: Objects, wkt: str, where: str) -> Objects:
    coordinates = shapely.get_coordinates(geometry)
    try:
        lon, lat = _transformer(wkt).transform(coordinates[:, 0], coordinates[:, 1])
    except pyproj.exceptions.ProjError as error:
        raise UsageError(f"{where}: cannot project to EPSG:4326 ({error}). {REMEDY}") from error
    return np.asarray(
        shapely.set_coordinates(geometry.copy(), np.column_stack((lon, lat))), dtype=object
    )


@functools.lru_cache(maxsize=16)
def _transformer(wkt: str) -> Any:
    return pyproj.Transformer.from_crs(pyproj.CRS.from_wkt(wkt), WGS84, always_xy=True)


@functools.lru_cache(maxsize=16)
def _is_lonlat(wkt: str) -> bool:
    return bool(pyproj.CRS.from_wkt(wkt).equals(WGS84, ignore_axis_order=True))
