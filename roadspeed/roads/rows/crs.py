"""What a source, or a user, says of its coordinates -> a `pyproj.CRS` that can be projected.

Rule: every form found in files is read: PROJJSON (an object, or its text), WKT of both versions
and ESRI's, `EPSG:27700`, a number, a pair of authority and code, a URN. Nothing said is None.
GDAL's "Undefined" systems say nothing. What cannot be read, or cannot be projected to longitude
and latitude (a local grid, heights, earth-centred), is refused with the option that overrules it.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import pyproj

from mapreduce.errors import UsageError

WGS84 = pyproj.CRS.from_epsg(4326)
UNDEFINED = ("undefined", "unknown engineering")
REMEDY = "Say what the coordinates are in, for example --roads-crs EPSG:27700"
SHOWN = 80  # letters of what cannot be read
PAIR = 2  # authority and code
GOOGLE = 900913  # numbers that stood for Web Mercator before it had one
WEB_MERCATOR = 3857


def crs_named(text: str) -> pyproj.CRS:
    """Return the CRS a user named (`EPSG:27700`, a WKT, a PROJ text)."""
    try:
        return usable(_read(text.strip()))
    except (pyproj.exceptions.CRSError, ValueError) as error:
        raise UsageError(
            f"--roads-crs: expected a coordinate reference system such as EPSG:27700, "
            f"got {text[:SHOWN]!r} ({error})"
        ) from error


def crs_said(said: Any, where: str) -> pyproj.CRS | None:
    """Return the CRS that a source says its coordinates are in, None if it says nothing.

    Raises
    ------
    UsageError
        It cannot be understood, or has no longitude and latitude.
    """
    if said is None or said in ("", {}, [], 0, -1):
        return None
    try:
        crs = _read(said)
        return None if crs.name.lower().startswith(UNDEFINED) else usable(crs)
    except (pyproj.exceptions.CRSError, ValueError, TypeError, KeyError) as error:
        shown = said if isinstance(said, str) else json.dumps(said, default=str)
        raise UsageError(
            f"{where}: cannot use the reference system that the source names, "
            f"{shown[:SHOWN]!r} ({str(error)[:200]}). {REMEDY}"
        ) from error


@functools.lru_cache(maxsize=64)
def crs_of_srid(srid: int) -> pyproj.CRS | None:
    """Return the CRS that EPSG, or else ESRI, gives a number to; None if neither does."""
    if srid == GOOGLE:
        srid = WEB_MERCATOR
    for authority in ("EPSG", "ESRI"):
        try:
            return usable(pyproj.CRS.from_authority(authority, srid))
        except (pyproj.exceptions.CRSError, ValueError):
            continue
    return None


def usable(crs: pyproj.CRS) -> pyproj.CRS:
    """Return a CRS that can be projected to longitude and latitude; `ValueError` if not."""
    if crs.is_geocentric or crs.is_vertical:
        raise ValueError(f"{crs.name} has no longitude and latitude, nor x and y on a map")
    try:
        transformer(crs.to_wkt())
    except pyproj.exceptions.ProjError as error:
        raise ValueError(
            f"there is no transformation from {crs.name} to longitude and latitude"
        ) from error
    return crs


def _read(said: Any) -> pyproj.CRS:
    if isinstance(said, dict):
        return pyproj.CRS.from_json_dict(said)
    if isinstance(said, (list, tuple)):
        if len(said) == PAIR:
            return pyproj.CRS.from_authority(str(said[0]), str(said[1]))
        raise ValueError("expected an object or a text, got a list")
    if isinstance(said, str) and said.isascii() and said.isdecimal() and len(said) < 10:  # noqa: PLR2004
        said = int(said)
    return pyproj.CRS.from_user_input(said)


@functools.lru_cache(maxsize=16)
def transformer(wkt: str) -> Any:
    """Return what projects from a system to EPSG:4326; `ProjError` if nothing does."""
    return pyproj.Transformer.from_crs(pyproj.CRS.from_wkt(wkt), WGS84, always_xy=True)


@functools.lru_cache(maxsize=16)
def is_lonlat(wkt: str) -> bool:
    """Say whether a system is EPSG:4326 but for the order of its axes."""
    return bool(pyproj.CRS.from_wkt(wkt).equals(WGS84, ignore_axis_order=True))
