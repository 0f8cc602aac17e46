"""From WGS 84 degrees to metres on a plane, by the projection that suits what is shown.

A town or a small country gets a transverse Mercator about its own centre: conformal, true to
scale there, within 1 part in 1,000 over 200 km. Half a continent or the ground about a pole gets
Lambert's azimuthal equal-area, the whole world Equal Earth. A point that a projection cannot show
without tearing the map becomes NaN. Nothing here knows pixels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

EQUATOR_M = 6_378_137.0  # WGS 84, semi-major axis
ECCENTRICITY = 0.081_819_190_842_622  # WGS 84, first eccentricity
LOCAL_RADIUS = 20.0  # degrees from the centre, up to which a transverse Mercator serves
LOCAL_LATITUDE = 85.0  # beyond it a meridian of one's own makes no sense
WIDE_RADIUS = 75.0  # up to which an azimuthal map still looks like the ground
FARTHEST_COSINE = -0.9  # of the angle to the centre: beyond, an azimuthal map smears points out


class Projection(Protocol):
    """What a frame needs of a projection.

    `stretch` is how many metres of the plane a metre eastwards makes at the place that
    `true_at` names, for the scale bar; `seam` is the longitude where a map of the world is cut.
    """

    @property
    def stretch(self) -> float:
        """Metres of the plane."""

    @property
    def true_at(self) -> str:
        """In words; empty where the whole map is as good as true to scale."""

    @property
    def seam(self) -> float | None:
        """Degrees of longitude, or None."""

    def metres(self, lonlat: npt.ArrayLike) -> Floats:
        """Project WGS 84 degrees, float64[m, 2], longitude first, to metres east and north."""


@dataclass(frozen=True, slots=True)
class TransverseMercator:
    """About one point, in metres from it, for what lies within some 20 degrees.

    Notes
    -----
    Snyder, *Map Projections: A Working Manual* (USGS Professional Paper 1395, 1987): the
    conformal latitude by eq. 3-1, the spherical transverse Mercator by eqs. 8-1 and 8-3. The
    sphere's radius makes the scale at the centre exactly one: N(φ₀)·cos φ₀ / cos χ₀.
    """

    lon: float
    lat: float
    stretch: float = 1.0
    true_at: str = ""
    seam: float | None = None

    def metres(self, lonlat: npt.ArrayLike) -> Floats:
        """Project; NaN for the half of the earth that lies on the other side."""
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
        metres = np.column_stack([x, y])
        metres[_cosine(chi, away, chi0) <= 0.0] = np.nan
        return metres


@dataclass(frozen=True, slots=True)
class EqualArea:
    """Lambert's azimuthal equal-area about one point (Snyder 1987, chapter 24), by PROJ."""

    lon: float
    lat: float
    stretch: float = 1.0
    true_at: str = "at the centre"
    seam: float | None = None

    def metres(self, lonlat: npt.ArrayLike) -> Floats:
        """Project; NaN for what lies about the antipode, where one point becomes a circle."""
        degrees = np.asarray(lonlat, dtype=np.float64)
        metres = _by_proj(degrees, proj="laea", lon_0=self.lon, lat_0=self.lat)
        away, lat = np.radians(degrees[:, 0] - self.lon), np.radians(degrees[:, 1])
        metres[_cosine(lat, away, np.radians(self.lat)) < FARTHEST_COSINE] = np.nan
        return metres


@dataclass(frozen=True, slots=True)
class EqualEarth:
    """The whole world about one meridian, equal-area, by PROJ.

    Notes
    -----
    Šavrič, Patterson and Jenny, *The Equal Earth map projection* (International Journal of
    Geographical Information Science, 2019). Along the equator a metre becomes 2√3 / (3 A₁).
    """

    lon: float
    stretch: float = 2 * 3**0.5 / (3 * 1.340264)
    true_at: str = "along the equator"

    @property
    def seam(self) -> float | None:
        """The meridian on the other side."""
        return self.lon + 180.0

    def metres(self, lonlat: npt.ArrayLike) -> Floats:
        """Project; every place has its point."""
        degrees = np.asarray(lonlat, dtype=np.float64)
        return _by_proj(degrees, proj="eqearth", lon_0=self.lon)


def projection_about(lon: float, lat: float, radius: float) -> Projection:
    """Return the projection for what lies within `radius` degrees of arc of a point."""
    lon = (lon + 180.0) % 360.0 - 180.0
    if radius <= LOCAL_RADIUS and abs(lat) <= LOCAL_LATITUDE:
        return TransverseMercator(lon, lat)
    return EqualArea(lon, lat) if radius <= WIDE_RADIUS else EqualEarth(lon)


def conformal_latitude(phi: npt.ArrayLike) -> Floats:
    """Conformal latitude χ of geodetic latitude φ, both in radians (Snyder 1987, eq. 3-1)."""
    sine = np.sin(np.asarray(phi, dtype=np.float64))
    chi: Floats = np.arctan(
        np.sinh(np.arctanh(sine) - ECCENTRICITY * np.arctanh(ECCENTRICITY * sine))
    )
    return chi


def _cosine(lat: Floats, away: Floats, lat0: npt.ArrayLike) -> Floats:
    """Cosine of the angle to a centre: radians in, from longitudes away and both latitudes."""
    found: Floats = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(away)
    return found


def _by_proj(degrees: Floats, **named: Any) -> Floats:
    x, y = _proj(tuple(named.items()))(degrees[:, 0], degrees[:, 1])
    metres = np.column_stack([x, y])
    metres[~np.isfinite(metres).all(axis=1)] = np.nan
    return metres


@functools.lru_cache(maxsize=16)
def _proj(named: tuple[tuple[str, Any], ...]) -> Any:
    import pyproj  # noqa: PLC0415 - heavy: only for wide maps

    return pyproj.Proj(ellps="WGS84", **dict(named))
