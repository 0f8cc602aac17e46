from __future__ import annotations

import numpy as np
import pyproj
import pytest

from mapreduce.errors import UsageError
from roadspeed.maps.frame import frame_of_box, frame_of_boxes, frame_of_scale
from roadspeed.maps.projection import EqualArea, EqualEarth, TransverseMercator

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
    metres = TransverseMercator(*centre).metres(np.column_stack([lon, lat]))
    assert np.allclose(np.hypot(*metres.T), 20_000.0, rtol=2e-4)
    assert np.allclose(np.degrees(np.arctan2(*metres.T)) % 360, bearings, atol=0.2)


def test_north_is_up_and_east_is_right() -> None:
    east, north = TransverseMercator(*BELFAST).metres([(-5.92, 54.6), (-5.93, 54.61)])
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
    frame = frame_of_box((-6.0, 54.5, -5.8, 54.6), 800, height_px=None)
    corners = frame.pixels([(-6.0, 54.5), (-5.8, 54.6)])
    assert corners[0] == pytest.approx([0, 0], abs=4)
    assert corners[1] == pytest.approx([800, frame.height_px], abs=4)
    # There a tenth of a degree is 11.13 km up, two tenths are 12.96 km across.
    assert frame.height_px / frame.width_px == pytest.approx(11.13 / 12.96, abs=0.01)


def test_a_box_of_another_shape_than_the_page_is_shown_whole() -> None:
    frame = frame_of_box((-6.0, 54.6, -5.0, 54.7), 500, height_px=500)
    corners = frame.pixels([(-6.0, 54.6), (-5.0, 54.7)])
    assert ((corners >= -1e-6) & (corners <= 500 + 1e-6)).all()  # a pixel's millionth


def test_a_single_point_still_gets_some_ground_around_it() -> None:
    frame = frame_of_boxes(np.array([(*BELFAST, *BELFAST)]), 400, height_px=None)
    assert frame.metres_per_px * frame.width_px >= 400


@pytest.mark.parametrize(
    "box",
    [
        (1.0, 1.0, 1.0, 2.0),
        (2.0, 1.0, 1.0, 2.0),
        (333_000.0, 370_000.0, 340_000.0, 375_000.0),
        (float("nan"), 0.0, 1.0, 1.0),
        (-170.0, -80.0, 170.0, 91.0),
        (10.0, 0.0, 400.0, 80.0),
    ],
)
def test_a_box_that_is_none_in_degrees_is_refused(
    box: tuple[float, float, float, float],
) -> None:
    with pytest.raises(UsageError, match="box: "):
        frame_of_box(box, 800, height_px=None)


@pytest.mark.parametrize(
    ("centre", "scale"),
    [((200.0, 0.0), 25_000), (BELFAST, 0), (BELFAST, 10**10), ((0.0, float("nan")), 25_000)],
)
def test_a_centre_or_scale_that_cannot_be_meant_is_refused(
    centre: tuple[float, float], scale: int
) -> None:
    with pytest.raises(UsageError, match="expected"):
        frame_of_scale(centre, scale, 300.0, 800, None)


@pytest.mark.parametrize("box", [(177.0, -19.0, -178.0, -16.0), (177.0, -19.0, 182.0, -16.0)])
def test_a_box_across_the_date_line_is_five_degrees_wide(
    box: tuple[float, float, float, float],
) -> None:
    frame = frame_of_box(box, 800, height_px=None)
    corners = frame.pixels([(177.0, -19.0), (-178.0, -16.0), (182.0, -16.0)])
    assert corners[0] == pytest.approx([0, 0], abs=8)
    assert corners[1] == pytest.approx([800, frame.height_px], abs=8)
    assert np.allclose(corners[1], corners[2])


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((-11.0, 35.0, 29.0, 70.0), TransverseMercator),
        ((-11.0, 35.0, 40.0, 70.0), EqualArea),
        ((20.0, 41.0, -170.0, 81.0), EqualArea),
        ((10.0, 78.0, 30.0, 88.0), EqualArea),
        ((-180.0, 60.0, 180.0, 90.0), EqualArea),
        ((-180.0, -60.0, 180.0, 80.0), EqualEarth),
    ],
)
def test_a_wide_box_takes_another_projection_and_is_shown_whole(
    box: tuple[float, float, float, float], kind: type
) -> None:
    frame = frame_of_box(box, 800, height_px=None)
    assert isinstance(frame.projection, kind)
    west, south, east, north = box
    east += 360 if east < west else 0
    inner = np.array([(lon, lat) for lon in np.linspace(west + 1e-6, east - 1e-6, 19)
                      for lat in np.linspace(south, north, 19)])  # fmt: skip
    pixels = frame.pixels(inner)
    assert ((pixels > -8) & (pixels < (808, frame.height_px + 8))).all()


def test_a_wide_map_keeps_areas_and_its_scale_holds_where_it_says() -> None:
    geod = pyproj.Geod(ellps="WGS84")
    for projection, lon, lat in (
        (EqualArea(100.0, 62.0), 100.0, 62.0),
        (EqualArea(0.0, 90.0), 0.0, 90.0),
        (EqualEarth(30.0), 30.0, 0.0),
    ):
        away = geod.fwd(lon, lat, 90.0, 10_000.0)[:2]
        here, there = projection.metres([(lon, lat), away])
        assert np.hypot(*(there - here)) == pytest.approx(10_000.0 * projection.stretch, rel=2e-3)
        cell = np.array([(lon + 20, 40), (lon + 21, 40), (lon + 21, 41), (lon + 20, 41)], float)
        x, y = projection.metres(cell).T
        area = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
        assert area == pytest.approx(abs(geod.polygon_area_perimeter(*cell.T)[0]), rel=5e-3)


def test_what_lies_on_the_other_side_of_the_earth_has_no_place_on_a_local_map() -> None:
    metres = TransverseMercator(-78.0, 0.0).metres([(100.0, 0.01), (37.0, -0.01), (-78.0, 0.0)])
    assert np.isnan(metres[:2]).all()
    assert np.allclose(metres[2], 0.0)


def test_a_small_scale_shows_much_of_the_globe_and_keeps_its_number() -> None:
    for scale, kind in ((20_000_000, TransverseMercator), (90_000_000, EqualArea)):
        frame = frame_of_scale(BELFAST, scale, 300.0, 800, 600)
        assert isinstance(frame.projection, kind)
        assert np.allclose(frame.pixels([BELFAST]), [[400, 300]])
    world = frame_of_scale(BELFAST, 600_000_000, 300.0, 800, 600)
    assert isinstance(world.projection, EqualEarth)
    assert world.denominator(300.0) == pytest.approx(600_000_000)
    assert np.allclose(world.pixels([BELFAST]), [[400, 300]])
