"""Geometry -> courses: the vertices of each road's lines, as they are drawn. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from roadspeed.measures.courses import Courses
from roadspeed.roads.rows.align import LINE, RING

if TYPE_CHECKING:
    from roadspeed.roads.rows.answer import Ids, Objects


def courses_of(ids: Ids, geometry: Objects) -> Courses:
    """Take the lines of roads.

    Parameters
    ----------
    ids
        int64[n] or text (`S`)[n], strictly ascending.
    geometry
        object[n], shapely geometries (EPSG:4326) or None. Of a collection its lines are taken;
        areas and points have none.
    """
    place = np.arange(len(ids))
    for _ in range(2):  # collections of collections
        geometry, parent = shapely.get_parts(geometry, return_index=True)
        place = place[parent]
    linear = np.isin(shapely.get_type_id(geometry), (LINE, RING))
    coordinates, line = shapely.get_coordinates(geometry[linear], return_index=True)
    lon, lat = coordinates.T
    return Courses.of(ids[place[linear][line]], line, lon, lat)
