"""The piece of the earth a map shows, and where on the page each coordinate falls.

The projection is a transverse Mercator about the map's own centre on the conformal sphere:
conformal everywhere, true to scale at the centre, within 1 part in 1,000 over 200 km. North is
up at the centre. It never guesses a coordinate system: what comes in is WGS 84, longitude first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

EQUATOR_M = 6_378_137.0  # WGS 84, semi-major axis
ECCENTRICITY = 0.081_819_190_842_622  # WGS 84, first eccentricity
INCH_M = 0.0254
LEAST_EXTENT_M = 400.0
MARGIN_SHARE = 0.035  # left free around what is shown when no box was asked for
ASPECTS = (0.5, 1.4)  # height over width of the map when none was asked for
WIDEST_DEGREES = 40.0


@dataclass(frozen=True, slots=True)
class Projection:
    """Transverse Mercator about one point, metres east and north of it."""

    lon: float
    lat: float

    def metres(self, lonlat: npt.ArrayLike) -> Floats:
        """Project WGS 84 degrees to metres from the centre.

        Parameters
        ----------
        lonlat
            float64[m, 2], degrees, longitude first.

        Returns
        -------
        numpy.ndarray
            float64[m, 2], metres east and north.

        Notes
        -----
        Snyder, *Map Projections: A Working Manual* (USGS Professional Paper 1395, 1987): the
        conformal latitude by eq. 3-1, the spherical transverse Mercator by eqs. 8-1 and 8-3. The
        sphere's radius makes the scale at the centre exactly one: N(φ₀)·cos φ₀ / cos χ₀.
        """
        degrees = np.asarray(lonlat, dtype=np.float64)
        away = np.radians((degrees[:, 0] - self.lon + 180.0) % 360.0 - 180.0)
        chi = conformal_latitude(np.radians(degrees[:, 1]))
        phi0 = np.radians(self.lat)
        chi0 = conformal_latitude(phi0)
        normal_m = EQUATOR_M / np.sqrt(1.0 - (ECCENTRICITY * np.sin(phi0)) ** 2)
        radius_m = normal_m * np.cos(phi0) / np.cos(chi0)
        b = np.cos(chi) * np.sin(away)
        x = radius_m * np.arctanh(np.clip(b, -0.999999, 0.999999))
        y = radius_m * (np.arctan2(np.sin(chi), np.cos(chi) * np.cos(away)) - chi0)
        return np.column_stack([x, y])


def conformal_latitude(phi: npt.ArrayLike) -> Floats:
    """Conformal latitude χ of geodetic latitude φ, both in radians (Snyder 1987, eq. 3-1)."""
    sine = np.sin(np.asarray(phi, dtype=np.float64))
    chi: Floats = np.arctan(
        np.sinh(np.arctanh(sine) - ECCENTRICITY * np.arctanh(ECCENTRICITY * sine))
    )
    return chi


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
        """Return the N of the paper scale 1:N when printed at `dpi` pixels an inch."""
        return self.metres_per_px * dpi / INCH_M


def frame_of_bounds(
    bounds: tuple[float, float, float, float], width_px: int, *, height_px: int | None, exact: bool
) -> Frame:
    """Frame that holds a box of longitudes and latitudes.

    Parameters
    ----------
    bounds
        West, south, east, north in WGS 84 degrees.
    width_px, height_px
        Size of the map in pixels; without a height it follows from the box.
    exact
        True for a box that was asked for; False adds a margin, keeps the shape of the page
        within reason and shows 400 m at least.

    Raises
    ------
    UsageError
        If the box is empty, not in degrees, or too wide for a local map.
    """
    west, south, east, north = checked_bounds(bounds, exact=exact)
    projection = Projection((west + east) / 2, (south + north) / 2)
    along = np.linspace(0.0, 1.0, 33)
    lons, lats = west + along * (east - west), south + along * (north - south)
    edge = np.concatenate(
        [
            np.column_stack(np.broadcast_arrays(*pair))
            for pair in ((lons, south), (lons, north), (west, lats), (east, lats))
        ]
    )
    metres = projection.metres(edge)
    low, high = metres.min(axis=0), metres.max(axis=0)
    middle, size = (low + high) / 2, high - low
    if not exact:
        size = np.maximum(size * (1 + 2 * MARGIN_SHARE), LEAST_EXTENT_M)
    aspect = size[1] / size[0]
    if height_px is None:
        height_px = max(1, round(width_px * float(np.clip(aspect, *ASPECTS))))
    metres_per_px = float(max(size[0] / width_px, size[1] / height_px))
    half = metres_per_px * np.array([width_px, height_px]) / 2
    return Frame(
        projection, float(middle[0] - half[0]), float(middle[1] - half[1]), metres_per_px,
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
    if abs(lon) > 180 or abs(lat) > 89 or not np.isfinite(lon + lat):  # noqa: PLR2004 - degrees
        raise UsageError(f"centre: expected LON,LAT in degrees, got {lon:g},{lat:g}")
    if scale < 1:
        raise UsageError(f"scale: expected N of 1:N, such as 25000, got {scale}")
    height_px = height_px or max(1, round(0.75 * width_px))
    metres_per_px = scale * INCH_M / dpi
    half_width, half_height = metres_per_px * width_px / 2, metres_per_px * height_px / 2
    return Frame(
        Projection(lon, lat), -half_width, -half_height, metres_per_px, width_px, height_px
    )


def checked_bounds(
    bounds: tuple[float, float, float, float], *, exact: bool
) -> tuple[float, float, float, float]:
    """Return bounds as floats; raise UsageError if no local map can show them."""
    west, south, east, north = (float(v) for v in bounds)
    said = f"{west:g},{south:g},{east:g},{north:g}"
    inside = -180 <= west <= east <= 180 and -90 <= south <= north <= 90  # noqa: PLR2004 - degrees
    if not inside or (exact and (west == east or south == north)):
        raise UsageError(
            f"box: expected WEST,SOUTH,EAST,NORTH in degrees of WGS 84 (EPSG:4326), got {said}; "
            "convert geometry of another coordinate system first"
        )
    if max(east - west, north - south) > WIDEST_DEGREES:
        raise UsageError(
            f"box: {said} is wider than {WIDEST_DEGREES:g} degrees and a picture is a local map; "
            "choose a part of it by --bbox WEST,SOUTH,EAST,NORTH"
        )
    return west, south, east, north
