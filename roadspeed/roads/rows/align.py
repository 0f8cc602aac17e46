"""Rows of (id, geometry, class) in any order -> arrays aligned to the ids. Pure.

Rule: the answer depends on the *set* of rows, never on their order. Rows of one id whose
geometries are the same shape (equal WKB after normalising, so a line drawn backwards is the
same) fold into one; differing ones become a MULTILINESTRING of their distinct lines, sorted by
that WKB, so equal input means equal bytes. A missing or empty geometry is no geometry. Single rows
keep their vertices as they are in the source: direction may carry meaning.
It reads no file, speaks to no server, and never reprojects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from roadspeed.roads.rows.answer import JoinedRoads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from roadspeed.roads.rows.answer import BBox, Objects

LINE = shapely.GeometryType.LINESTRING
RING = shapely.GeometryType.LINEARRING
POLYGON = shapely.GeometryType.POLYGON


@dataclass(frozen=True, slots=True)
class RoadRows:
    """Some rows of a source.

    Attributes
    ----------
    positions
        int64[k], where each row's id stands among the wanted ids.
    geometry, road_class
        object[k]: shapely geometry (EPSG:4326) or None; text or None.
    unreadable
        Rows seen on the way here whose id or geometry could not be read.
    """

    positions: NDArray[np.int64]
    geometry: Objects
    road_class: Objects
    unreadable: int = 0


def align(count: int, batches: Iterable[RoadRows]) -> JoinedRoads:
    """Pair rows with the ids they belong to.

    Parameters
    ----------
    count
        How many ids there are; positions lie in [0, count).
    batches
        Rows in any order and any division.

    Returns
    -------
    Joined
        Aligned to the ids: the same for the same set of rows.
    """
    positions, geometry, road_class, unreadable = _usable(batches)
    order = np.argsort(positions, kind="stable")
    positions, geometry, road_class = positions[order], geometry[order], road_class[order]
    starts = np.flatnonzero(np.diff(positions, prepend=-1))
    lengths = np.diff(starts, append=len(positions))

    shapes = np.full(count, None, dtype=object)
    classes = np.full(count, None, dtype=object)
    single = starts[lengths == 1]
    shapes[positions[single]] = geometry[single]
    classes[positions[single]] = road_class[single]

    merged = folded = 0
    repeated = np.repeat(lengths > 1, lengths)
    if repeated.any():
        where, groups = np.unique(positions[repeated], return_inverse=True)
        shapes[where], merged, folded = _one_each(groups, geometry[repeated])
        classes[where] = _smallest_text(groups, road_class[repeated], len(where))
    return JoinedRoads(
        geometry=shapes,
        road_class=classes,
        joined=len(starts),
        missing=count - len(starts),
        merged=merged,
        folded=folded,
        unreadable=unreadable,
    )


def _usable(batches: Iterable[RoadRows]) -> tuple[NDArray[np.int64], Objects, Objects, int]:
    """Concatenate what has a geometry; flatten it to two dimensions."""
    positions = [np.empty(0, dtype=np.int64)]
    geometry = [np.empty(0, dtype=object)]
    road_class = [np.empty(0, dtype=object)]
    unreadable = 0
    for rows in batches:
        unreadable += rows.unreadable
        kept = ~(shapely.is_missing(rows.geometry) | shapely.is_empty(rows.geometry))
        positions.append(rows.positions[kept])
        geometry.append(flat(rows.geometry[kept]))
        road_class.append(rows.road_class[kept])
    return (
        np.concatenate(positions),
        np.concatenate(geometry),
        np.concatenate(road_class),
        unreadable,
    )


def flat(geometry: Objects) -> Objects:
    """Drop Z and M where there are any."""
    if (shapely.get_coordinate_dimension(geometry) > 2).any():  # noqa: PLR2004 - x and y
        return np.asarray(shapely.force_2d(geometry), dtype=object)
    return geometry


def touching(rows: RoadRows, bbox: BBox | None) -> RoadRows:
    """Return the rows that have a geometry whose box touches a box (EPSG:4326)."""
    kept = ~(shapely.is_missing(rows.geometry) | shapely.is_empty(rows.geometry))
    if bbox is not None:
        west, south, east, north = shapely.bounds(rows.geometry).T
        with np.errstate(invalid="ignore"):
            kept &= (west <= bbox[2]) & (east >= bbox[0]) & (south <= bbox[3]) & (north >= bbox[1])
    geometry = flat(rows.geometry[kept])
    return RoadRows(rows.positions[kept], geometry, rows.road_class[kept], rows.unreadable)


def _one_each(groups: NDArray[np.int64], geometry: Objects) -> tuple[Objects, int, int]:
    """Fold or merge each group (dense numbers from 0, ascending) to one geometry.

    Returns the geometry of each group, how many groups were merged, how many rows folded away.
    """
    kept = _distinct(groups, geometry)
    folded = len(groups) - len(kept)
    groups, geometry = groups[kept], geometry[kept]
    sizes = np.bincount(groups)
    first = np.cumsum(sizes) - sizes
    shapes = geometry[first]
    differing = np.flatnonzero(sizes > 1)
    if differing.size:
        of_differing = sizes[groups] > 1
        dense = np.searchsorted(differing, groups[of_differing])
        lines, owners = _lines(geometry[of_differing], dense)
        kept = _distinct(owners, lines)
        lines, owners = lines[kept], owners[kept]
        having, dense = np.unique(owners, return_inverse=True)
        shapes[differing[having]] = shapely.multilinestrings(lines, indices=dense)
    return shapes, int(differing.size), folded


def _distinct(groups: NDArray[np.int64], geometry: Objects) -> NDArray[np.int64]:
    """Return the indices of each group's distinct shapes, by group and normalised WKB.

    Of equal shapes the one with the smallest WKB stands for all.
    """
    shape = _ranks(shapely.to_wkb(shapely.normalize(geometry)))
    exact = _ranks(shapely.to_wkb(geometry))
    order = np.lexsort((exact, shape, groups))
    new = np.diff(shape[order], prepend=-1) != 0
    new |= np.diff(groups[order], prepend=-1) != 0
    return np.asarray(order[new], dtype=np.int64)


def _lines(geometry: Objects, groups: NDArray[np.int64]) -> tuple[Objects, NDArray[np.int64]]:
    """Take geometries apart into their lines (of an area, its outline); points have none."""
    for _ in range(2):  # collections of collections
        geometry, parents = shapely.get_parts(geometry, return_index=True)
        groups = groups[parents]
    kinds = shapely.get_type_id(geometry)
    area = kinds == POLYGON
    if area.any():
        geometry = geometry.copy()
        geometry[area] = shapely.boundary(geometry[area])
        geometry, parents = shapely.get_parts(geometry, return_index=True)
        groups = groups[parents]
        kinds = shapely.get_type_id(geometry)
    linear = (kinds == LINE) | (kinds == RING)
    return geometry[linear], groups[linear]


def _smallest_text(groups: NDArray[np.int64], texts: Objects, count: int) -> Objects:
    """Return each group's smallest text, None where it has none."""
    smallest = np.full(count, None, dtype=object)
    for group, text in zip(groups.tolist(), texts.tolist(), strict=True):
        if text is not None and (smallest[group] is None or text < smallest[group]):
            smallest[group] = text
    return smallest


def _ranks(bodies: Objects) -> NDArray[np.int64]:
    """Return the rank of each bytes object among all."""
    return np.unique(bodies, return_inverse=True)[1].astype(np.int64, copy=False)
