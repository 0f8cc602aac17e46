"""Geometry by link id: the contract between whoever computed something per link and a road map.

Rule: rows are paired by *key*, never by position. `join` takes strictly ascending link ids and
answers arrays aligned to them, whatever the order, gaps and duplicates of the source; every id
without a geometry keeps its place as `None` and is counted. Sources are files or PostGIS, told
apart by the string. Coordinates that leave this room are EPSG:4326, longitude first.
Nothing here computes a speed, draws, or writes to a source. Heavy packages load when used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.roads.remote import here
from roadspeed.roads.rows.answer import JoinedRoads, Named, RoadsError

if TYPE_CHECKING:
    from roadspeed.measures.courses import Courses
    from roadspeed.roads.rows.answer import BBox, Ids, Objects, OnRows

__all__ = [
    "JoinedRoads",
    "Named",
    "RoadsError",
    "check",
    "context",
    "courses",
    "ids",
    "join",
    "unjoined",
]

UNNAMED = Named()
SCHEMES = ("postgresql://", "postgres://")


def join(
    ids: Ids,
    roads: str,
    named: Named = UNNAMED,
    *,
    on_progress: OnRows | None = None,
) -> JoinedRoads:
    """Find the geometry of each id in a file or a PostGIS database.

    Parameters
    ----------
    ids
        int64[n], or with `named.text_ids` bytes of text (`S`)[n]; strictly ascending.
    roads
        A path, `s3://bucket/key`, `https://host/file`, or
        `postgresql://[user@]host[:port]/db[?table=&id=&geom=&class=&crs=]`.
    named
        Table and columns that the user named; the rest is guessed.
    on_progress
        Called now and then with (rows so far, rows in all or None).

    Raises
    ------
    UsageError
        No such file, table or column; more than one could be meant; no id is an integer;
        coordinates of no known system; a password in the address.
    RoadsError
        The server cannot be reached, or fails twice.
    ValueError
        `ids` is not one-dimensional, of that type, and strictly ascending.
    """
    from roadspeed.roads.rows import align  # noqa: PLC0415 - shapely loads when used

    roads = here(roads)
    _check_ids(ids, "S" if named.text_ids else "i")
    return align.align(len(ids), _source(roads).matching(ids, roads, named, on_progress))


def check(roads: str, named: Named = UNNAMED) -> None:
    """Find out what can be known before any id is: whether `join` could find roads at all.

    The columns are looked for, and rows are read until there is one with an id and a line.
    Parameters are those of `join`, and so are its errors.
    """
    roads = here(roads)
    _source(roads).check(roads, named)


def unjoined(ids: Ids, roads: str, named: Named = UNNAMED) -> str:
    """Say why `join` found a road for none of the ids, and which option would.

    Parameters are those of `join`, and so are its errors.
    """
    roads = here(roads)
    return str(_source(roads).unjoined(ids, roads, named))


def context(
    roads: str,
    bbox: BBox | None = None,
    named: Named = UNNAMED,
    *,
    limit: int | None = None,
    on_progress: OnRows | None = None,
) -> tuple[Objects, Objects]:
    """Return all roads that touch a box, to be drawn faintly beneath a map.

    Parameters
    ----------
    roads, named, on_progress
        As for `join`; a column of ids is not looked for.
    bbox
        West, south, east, north in degrees; None: everywhere.
    limit
        At most so many roads, the first that come.

    Returns
    -------
    geometry : object[m]
        Shapely geometries (EPSG:4326), none missing or empty.
    road_class : object[m]
        Text or None.

    Raises
    ------
    UsageError, RoadsError
        As for `join`.
    """
    roads, named = here(roads), replace(named, id_column=None)
    geometry, road_class = [], []
    left = limit
    for rows in _source(roads).within(bbox, roads, named, left, on_progress):
        geometry.append(rows.geometry[:left])
        road_class.append(rows.road_class[:left])
        if left is not None:
            left -= len(geometry[-1])
            if left <= 0:
                break
    empty = np.empty(0, dtype=object)
    return np.concatenate([empty, *geometry]), np.concatenate([empty, *road_class])


def ids(roads: str, named: Named = UNNAMED) -> Ids:
    """Return the ids of all roads, each once, ascending; parameters and errors as for `join`."""
    roads = here(roads)
    return np.unique(_source(roads).ids(roads, named))


def courses(roads: str, named: Named = UNNAMED, *, on_progress: OnRows | None = None) -> Courses:
    """Return the courses of all roads, as `join` gives their geometry.

    A road of several lines keeps them all, each as it is drawn; an area or a point has no course,
    and is left out.

    Parameters and errors are those of `join`.
    """
    from roadspeed.roads.rows.lines import courses_of  # noqa: PLC0415 - shapely loads when used

    roads = here(roads)
    every = ids(roads, named)
    return courses_of(every, join(every, roads, named, on_progress=on_progress).geometry)


def _source(roads: str) -> Any:
    if not roads.strip():
        raise UsageError("expected a roads file or postgresql://host/db, got an empty text")
    if roads.lower().startswith(SCHEMES):
        try:
            from roadspeed.roads.postgis import read as server  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise UsageError(
                f"psycopg2 is needed to read roads from PostGIS, and cannot be loaded ({error});"
                " install it: pip install 'roadspeed[postgis]'"
            ) from error
        return server
    from roadspeed.roads.files import read as files  # noqa: PLC0415 - GDAL loads when used

    return files


def _check_ids(ids: Ids, kind: str) -> None:
    if ids.ndim != 1 or ids.dtype.kind != kind or (kind == "i" and ids.dtype != np.int64):
        expected = "int64" if kind == "i" else "bytes of text"
        raise ValueError(f"expected ids as {expected}[n], got {ids.dtype}{list(ids.shape)}")
    falling = np.flatnonzero(ids[1:] <= ids[:-1])
    if falling.size:
        at = int(falling[0])
        raise ValueError(
            f"expected strictly ascending ids, got {ids[at]} before {ids[at + 1]} at {at}: "
            "sort them and keep each once (numpy.unique)"
        )
