"""Small and large tables of links for the tests of the writers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely

from roadspeed.outputs import LinkTable

HOSTILE_CLASS = 'a;"b"\n=c'


def small(*, geometry: bool = True, sample: str | None = None) -> LinkTable:
    """Five links: a line, several lines, none, an empty one, one with heights."""
    shapes = [
        "LINESTRING (-49.3 -25.4, -49.31 -25.412345678)",
        "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3.5))",
        None,
        "LINESTRING EMPTY",
        "LINESTRING ZM (0.00001234 51.5 7 9, -0.00000001 51.6 8 9)",
    ]
    nan = np.nan
    return LinkTable(
        unit="km/h",
        link=np.array([-7, 1, 2, 4_000_000_000, 2**62], dtype=np.int64),
        fixes=np.array([3, 1, 9, 60, 2], dtype=np.int64),
        trips=np.array([1, 1, 2, 7, 2], dtype=np.int64),
        mean=np.array([0.1, 50.0, 1 / 3, 88.25, 130.5]),
        std=np.array([1.5, nan, 0.0, 2.0, 0.25]),
        ci95=np.array([3.7, nan, 0.0, 0.5, 2.2]),
        min=np.array([0.0, 50.0, 1 / 3, 80.0, 130.25]),
        max=np.array([0.3, 50.0, 1 / 3, 90.0, 130.75]),
        geometry=shapely.from_wkt(np.array(shapes, dtype=object)) if geometry else None,
        road_class=np.array(["residential", None, 3, HOSTILE_CLASS, "primary_link"], dtype=object),
        sample=sample,
    )


def large(rows: int = 20_000) -> LinkTable:
    """Many links of ten points each, the same whenever it is called."""
    rng = np.random.default_rng(5)
    steps = np.cumsum(rng.normal(0, 1e-4, (rows, 10, 2)), axis=1)
    mean = rng.uniform(1, 130, rows)
    counts = rng.integers(2, 500, rows)
    return LinkTable(
        unit="km/h",
        link=np.sort(rng.choice(10**9, rows, replace=False)).astype(np.int64),
        fixes=counts,
        trips=np.minimum(counts, 9),
        mean=mean,
        std=mean / 4,
        ci95=mean / 9,
        min=mean / 2,
        max=mean * 2,
        geometry=shapely.linestrings(rng.uniform([-8, 54], [-5, 55], (rows, 1, 2)) + steps),
    )


def of_points(table: LinkTable) -> LinkTable:
    """Give the table with a point for every geometry."""
    points = shapely.points(np.arange(len(table)), np.arange(len(table)))
    return replace(table, geometry=points)


def nothing() -> LinkTable:
    """Give a table of no links that yet has a geometry column."""
    ints, floats = np.zeros(0, dtype=np.int64), np.zeros(0)
    none = np.zeros(0, dtype=object)
    return LinkTable("km/h", ints, ints, ints, floats, floats, floats, floats, floats, none)
