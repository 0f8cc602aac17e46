"""The piece of the earth a map shows, and where on the page each coordinate falls.

A frame is a projection and a window onto its plane; which projection follows from how much of the
globe is shown, and north is up at its centre. It never guesses a coordinate system: what comes in
is WGS 84, longitude first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.maps.extent import Bounds, bounds_of, cap_of
from roadspeed.maps.projection import (
    LOCAL_LATITUDE,
    LOCAL_RADIUS,
    Projection,
    projection_about,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

INCH_M = 0.0254
DEGREE_M = 111_200.0  # of arc
LEAST_EXTENT_M = 400.0
MARGIN_SHARE = 0.035  # left free around what is shown when no box was asked for
ASPECTS = (0.5, 1.4)  # height over width of the map when none was asked for
HALF_TURN, QUARTER_TURN = 180.0, 90.0
POLAR_LATITUDE = 45.0  # roads all around the globe that keep above it lie about a pole
SMALLEST_SCALE = 2_000_000_000  # 1:N, at which the world is a dot


@dataclass(frozen=True, slots=True)
class Frame:
    """A window onto the earth, in pixels; its lower left corner is (0, 0)."""

    projection: Projection
    west_m: float
    south_m: float
    metres_per_px: float
    width_px: int
    height_px: int

    def pixels(self, lonlat: npt.ArrayLike) -> Floats:
        """Pixels right of and above the lower left corner: float64[m, 2] of float64[m, 2]."""
        return (self.projection.metres(lonlat) - (self.west_m, self.south_m)) / self.metres_per_px

    def denominator(self, dpi: float) -> float:
        """Return the N of the paper scale 1:N when printed at `dpi` pixels an inch.

        It holds where the projection is true to scale: at the centre, or along the equator.
        """
        return self.ground_m_per_px * dpi / INCH_M

    @property
    def ground_m_per_px(self) -> float:
        """Metres of ground eastwards that a pixel shows where the projection is true to scale."""
        return self.metres_per_px / self.projection.stretch


def frame_of_box(bounds: Bounds, width_px: int, *, height_px: int | None) -> Frame:
    """Frame that holds a box that was asked for, and as little else as the page's shape allows.

    Parameters
    ----------
    bounds
        West, south, east, north in WGS 84 degrees; a box across the date line has its west above
        its east, or an east above 180.
    width_px, height_px
        Size of the map in pixels; without a height it follows from the box.

    Raises
    ------
    UsageError
        If the box is empty or not in degrees.
    """
    bounds = checked_box(bounds)
    if local(bounds):
        return _around(_about(bounds), _edge(bounds), width_px, height_px, exact=True)
    west, south, east, north = bounds
    lons, lats = np.meshgrid(np.linspace(west, east, 65), np.linspace(south, north, 65))
    grid = np.column_stack([lons.ravel(), lats.ravel()])
    return _around(_wide(bounds, grid), grid, width_px, height_px, exact=True)


def frame_of_boxes(boxes: Floats, width_px: int, *, height_px: int | None) -> Frame:
    """Frame that holds the boxes of all lines with a margin, 400 m at least.

    Parameters
    ----------
    boxes
        float64[k, 4], as `extent.boxes_of` gives them.
    width_px, height_px
        Size of the map in pixels; without a height it follows from the boxes.

    Raises
    ------
    UsageError
        If they are not in degrees.
    """
    bounds = bounds_of(boxes)
    if not -QUARTER_TURN <= bounds[1] <= bounds[3] <= QUARTER_TURN:
        raise _no_degrees(bounds)
    if local(bounds):
        return _around(_about(bounds), _edge(bounds), width_px, height_px, exact=False)
    corners = boxes[:, [0, 1, 0, 3, 2, 1, 2, 3]].reshape(-1, 2)
    return _around(_wide(bounds, corners), corners, width_px, height_px, exact=False)


def local(bounds: Bounds) -> bool:
    """Say whether a transverse Mercator about the box's middle shows it well."""
    west, south, east, north = bounds
    wide = max(east - west, north - south) > 2 * LOCAL_RADIUS
    return not wide and max(-south, north) <= LOCAL_LATITUDE


def _about(bounds: Bounds) -> Projection:
    west, south, east, north = bounds
    return projection_about((west + east) / 2, (south + north) / 2, 0.0)


def _wide(bounds: Bounds, points: Floats) -> Projection:
    """Return the projection of a wide map; around a pole it is centred there."""
    west, south, east, north = bounds
    lon, lat, radius = cap_of(points)
    if east - west > HALF_TURN:
        full = east - west >= 2 * HALF_TURN
        lon, radius = 0.0 if full else (west + east) / 2, HALF_TURN
        if max(south, -north) >= POLAR_LATITUDE:
            lat = QUARTER_TURN if south > 0 else -QUARTER_TURN
            radius = QUARTER_TURN - max(south, -north)
    return projection_about(lon, lat, max(radius, LOCAL_RADIUS + 1.0))


def _edge(bounds: Bounds) -> Floats:
    west, south, east, north = bounds
    along = np.linspace(0.0, 1.0, 33)
    lons, lats = west + along * (east - west), south + along * (north - south)
    return np.concatenate(
        [
            np.column_stack(np.broadcast_arrays(*pair))
            for pair in ((lons, south), (lons, north), (west, lats), (east, lats))
        ]
    )


def _around(
    projection: Projection, points: Floats, width_px: int, height_px: int | None, *, exact: bool
) -> Frame:
    """Frame around points in degrees; unless they are `exact`, with a margin."""
    if projection.seam is not None:  # of two points on the seam one belongs to either end
        middle = (points[:, 0].min() + points[:, 0].max()) / 2
        points = np.column_stack([middle + (points[:, 0] - middle) * (1 - 1e-9), points[:, 1]])
    metres = projection.metres(points)
    low, high = np.nanmin(metres, axis=0), np.nanmax(metres, axis=0)
    middle_m, size = (low + high) / 2, high - low
    if not exact:
        size = np.maximum(size * (1 + 2 * MARGIN_SHARE), LEAST_EXTENT_M)
    aspect = size[1] / size[0]
    if height_px is None:
        height_px = max(1, round(width_px * float(np.clip(aspect, *ASPECTS))))
    metres_per_px = float(max(size[0] / width_px, size[1] / height_px))
    half = metres_per_px * np.array([width_px, height_px]) / 2
    return Frame(
        projection, float(middle_m[0] - half[0]), float(middle_m[1] - half[1]), metres_per_px,
        width_px, height_px,
    )  # fmt: skip


def frame_of_scale(
    centre: tuple[float, float], scale: int, dpi: float, width_px: int, height_px: int | None
) -> Frame:
    """Frame about a point at a paper scale.

    Parameters
    ----------
    centre
        Longitude and latitude, WGS 84 degrees.
    scale
        N of 1:N on paper.
    dpi
        Pixels an inch of that paper.
    width_px, height_px
        Size of the map in pixels; without a height three quarters of the width.

    Raises
    ------
    UsageError
        If the centre is not in degrees or the scale not positive.
    """
    lon, lat = (float(v) for v in centre)
    if not (abs(lon) <= HALF_TURN and abs(lat) <= QUARTER_TURN):
        raise UsageError(f"centre: expected LON,LAT in degrees, got {lon:g},{lat:g}")
    if not 1 <= scale <= SMALLEST_SCALE:
        raise UsageError(f"scale: expected N of 1:N, such as 25000, got {scale}")
    height_px = height_px or max(1, round(0.75 * width_px))
    ground_m_per_px = scale * INCH_M / dpi
    radius = ground_m_per_px * float(np.hypot(width_px, height_px)) / 2 / DEGREE_M
    projection = projection_about(lon, lat, radius)
    metres_per_px = ground_m_per_px * projection.stretch
    x, y = np.round(projection.metres([(lon, lat)])[0], 3) + 0.0
    half_width, half_height = metres_per_px * width_px / 2, metres_per_px * height_px / 2
    return Frame(
        projection, float(x - half_width), float(y - half_height), metres_per_px,
        width_px, height_px,
    )  # fmt: skip


def checked_box(bounds: Bounds) -> Bounds:
    """Return a box with its east above its west; raise UsageError if it is none in degrees."""
    west, south, east, north = (float(v) for v in bounds)
    across = -HALF_TURN <= east < west <= HALF_TURN and west - east > HALF_TURN
    if across:
        east += 2 * HALF_TURN
    inside = -HALF_TURN <= west < east <= west + 2 * HALF_TURN and east <= 2 * HALF_TURN
    if not (inside and -QUARTER_TURN <= south < north <= QUARTER_TURN):
        raise _no_degrees(bounds)
    return west, south, east, north


def halves(bounds: Bounds) -> tuple[Bounds, ...]:
    """Return a box as one or two whose longitudes are in -180..180, west below east."""
    west, south, east, north = checked_box(bounds)
    if east <= HALF_TURN:
        return ((west, south, east, north),)
    return (west, south, HALF_TURN, north), (-HALF_TURN, south, east - 2 * HALF_TURN, north)


def _no_degrees(bounds: Bounds) -> UsageError:
    said = ",".join(f"{float(v):g}" for v in bounds)
    return UsageError(
        f"box: expected WEST,SOUTH,EAST,NORTH in degrees of WGS 84 (EPSG:4326), got {said}; "
        "across the date line WEST is above EAST; convert geometry of another coordinate system"
        " first"
    )
