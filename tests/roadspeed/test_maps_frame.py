from __future__ import annotations

import numpy as np
import pyproj
import pytest

from mapreduce.errors import UsageError
from roadspeed.maps.frame import Projection, frame_of_bounds, frame_of_scale

BELFAST = (-5.93, 54.6)
CURITIBA = (-49.27, -25.43)


@pytest.mark.parametrize("centre", [BELFAST, CURITIBA, (0.0, 0.0), (179.9, 70.0)])
def test_distances_are_those_of_the_ellipsoid_whatever_the_bearing(
    centre: tuple[float, float],
) -> None:
    geod = pyproj.Geod(ellps="WGS84")
    bearings = np.arange(0.0, 360.0, 15.0)
    count = len(bearings)
    lon, lat, _ = geod.fwd(
        np.full(count, centre[0]), np.full(count, centre[1]), bearings, np.full(count, 20_000.0)
    )
    metres = Projection(*centre).metres(np.column_stack([lon, lat]))
    assert np.allclose(np.hypot(*metres.T), 20_000.0, rtol=2e-4)
    assert np.allclose(np.degrees(np.arctan2(*metres.T)) % 360, bearings, atol=0.2)


def test_north_is_up_and_east_is_right() -> None:
    east, north = Projection(*BELFAST).metres([(-5.92, 54.6), (-5.93, 54.61)])
    assert east[0] > 600
    assert abs(east[1]) < 1
    assert north[1] > 1100
    assert abs(north[0]) < 1


def test_a_map_at_1_to_25000_has_that_many_metres_a_pixel_at_its_dpi() -> None:
    frame = frame_of_scale(CURITIBA, 25_000, 254.0, 1000, 500)
    assert frame.metres_per_px == pytest.approx(25_000 * 0.0254 / 254)
    assert frame.denominator(254.0) == pytest.approx(25_000)
    assert np.allclose(frame.pixels([CURITIBA]), [[500, 250]])


def test_a_box_fills_the_frame_without_distortion() -> None:
    frame = frame_of_bounds((-6.0, 54.5, -5.8, 54.6), 800, height_px=None, exact=True)
    corners = frame.pixels([(-6.0, 54.5), (-5.8, 54.6)])
    assert corners[0] == pytest.approx([0, 0], abs=4)
    assert corners[1] == pytest.approx([800, frame.height_px], abs=4)
    # There a tenth of a degree is 11.13 km up, two tenths are 12.96 km across.
    assert frame.height_px / frame.width_px == pytest.approx(11.13 / 12.96, abs=0.01)


def test_a_box_of_another_shape_than_the_page_is_shown_whole() -> None:
    frame = frame_of_bounds((-6.0, 54.6, -5.0, 54.7), 500, height_px=500, exact=True)
    corners = frame.pixels([(-6.0, 54.6), (-5.0, 54.7)])
    assert ((corners >= 0) & (corners <= 500)).all()


def test_a_single_point_still_gets_some_ground_around_it() -> None:
    frame = frame_of_bounds((*BELFAST, *BELFAST), 400, height_px=None, exact=False)
    assert frame.metres_per_px * frame.width_px >= 400


@pytest.mark.parametrize(
    "box",
    [
        (1.0, 1.0, 1.0, 2.0),
        (2.0, 1.0, 1.0, 2.0),
        (333_000.0, 370_000.0, 340_000.0, 375_000.0),
        (float("nan"), 0.0, 1.0, 1.0),
        (-170.0, -80.0, 170.0, 80.0),
    ],
)
def test_a_box_that_no_local_map_can_show_is_refused(
    box: tuple[float, float, float, float],
) -> None:
    with pytest.raises(UsageError, match="box: "):
        frame_of_bounds(box, 800, height_px=None, exact=True)


@pytest.mark.parametrize(("centre", "scale"), [((200.0, 0.0), 25_000), (BELFAST, 0)])
def test_a_centre_or_scale_that_cannot_be_meant_is_refused(
    centre: tuple[float, float], scale: int
) -> None:
    with pytest.raises(UsageError, match="expected"):
        frame_of_scale(centre, scale, 300.0, 800, None)
