"""Which piece of the globe a map takes: across the date line, about a pole, without strays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from PIL import Image

from mapreduce.errors import UsageError
from roadspeed.maps.draw import Drawn, draw
from roadspeed.maps.extent import bounds_of, boxes_of, cap_of, strays_of, window_of
from roadspeed.maps.legend import strip_height_px
from roadspeed.maps.on_page import cut_at
from roadspeed.maps.picture import Picture
from roadspeed.maps.strokes import strokes_of

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = Picture(width_px=600)


def lines(*ends: tuple[float, float, float, float]) -> Any:
    made = np.empty(len(ends), dtype=object)
    made[:] = [shapely.LineString([end[:2], end[2:]]) for end in ends]
    return made


def town(lon: float = -5.93, lat: float = 54.6, count: int = 30) -> Any:
    rng = np.random.default_rng(3)
    start = rng.uniform((lon, lat), (lon + 0.1, lat + 0.05), (count, 2))
    return lines(*(tuple(s) + tuple(s + 0.01) for s in start))


def drawn(path: Path, geometry: Any, picture: Picture = PICTURE) -> tuple[Drawn, Any]:
    """Draw links of one speed; return with it where the map, without its legend, is lit."""
    n = len(geometry)
    ones = np.full(n, 100, dtype=np.int64)
    done = draw(
        path, picture, link_geometry=geometry, speed=np.full(n, 50.0), fixes=ones, trips=ones
    )
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.int64)
    edge = round(0.03 * picture.width_px)
    pixels = pixels[edge : pixels.shape[0] - strip_height_px(picture.width_px) - edge]
    return done, np.abs(pixels - pixels[0, 0]).sum(axis=2) > 60


FIJI = lines(
    (179.9, -16.8, 179.95, -16.81),
    (179.95, -16.81, 179.999, -16.82),
    (-179.999, -16.82, -179.95, -16.83),
    (-179.95, -16.83, -179.9, -16.8),
    (179.99, -16.85, -179.99, -16.85),
)


def test_the_date_line_lies_in_the_middle_of_fiji(tmp_path: Path) -> None:
    west, _, east, _ = bounds_of(boxes_of(FIJI))
    assert (west, east) == pytest.approx((179.9, 180.1))
    done, lit = drawn(tmp_path / "map.png", FIJI)
    assert (done.drawn, done.outside, done.strays) == (5, 0, ())
    assert done.scale_denominator < 1_000_000
    assert lit.any(axis=0).mean() > 0.8
    assert lit.any(axis=1).sum() > 20
    longest_row = max(lit.sum(axis=1))
    assert longest_row < 0.3 * lit.shape[1]  # the line across 180 is as short as it is


def test_longitudes_beyond_180_are_the_same_ground() -> None:
    east = lines((179.9, -16.8, 179.95, -16.81), (180.05, -16.8, 180.1, -16.8))
    assert bounds_of(boxes_of(east))[::2] == pytest.approx((179.9, 180.1))


@pytest.mark.parametrize(
    ("west", "east", "window"),
    [
        ([-5.0, 10.0], [-4.0, 11.0], (-5.0, 11.0)),
        ([170.0, -175.0], [171.0, -170.0], (170.0, 190.0)),
        ([179.0, -180.0], [181.5, -179.0], (179.0, 181.5)),
        ([-180.0, -60.0, 60.0], [-60.0, 60.0, 180.0], (-180.0, 180.0)),
        ([3.0], [3.0], (3.0, 3.0)),
        ([-170.0, 0.0, 100.0], [-160.0, 10.0, 175.0], (0.0, 200.0)),
    ],
)
def test_a_window_begins_behind_the_widest_gap(
    west: list[float], east: list[float], window: tuple[float, float]
) -> None:
    assert window_of(np.array(west), np.array(east)) == pytest.approx(window)


def test_a_cap_is_little_larger_than_the_least_circle() -> None:
    rng = np.random.default_rng(5)
    points = np.column_stack([rng.uniform(-180, 180, 500), rng.uniform(60, 90, 500)])
    lon, lat, radius = cap_of(points)
    assert lat > 87
    assert 29 < radius < 33
    assert -180 <= lon <= 180
    assert cap_of(np.array([(0.0, 0.0), (120.0, 0.0), (240.0, 0.0)]))[2] >= 90


NULL = lines((0.0, 0.0, 0.001, 0.0))
FAR = lines((140.0, 35.0, 140.01, 35.0), (-70.0, -35.0, -70.0, -35.1))


@pytest.mark.parametrize(
    ("far", "among"), [(NULL, 30), (NULL, 2), (FAR, 30), (np.concatenate([NULL, FAR]), 30)]
)
def test_a_few_links_far_from_all_others_do_not_shrink_the_map(
    tmp_path: Path, far: Any, among: int
) -> None:
    geometry = np.concatenate([town(count=among), far])
    alone, _ = drawn(tmp_path / "alone.png", geometry[:among])
    done, lit = drawn(tmp_path / "map.png", geometry)
    assert done.strays == tuple(range(among, len(geometry)))
    assert (done.drawn, done.outside) == (among, len(far))
    assert done.scale_denominator == pytest.approx(alone.scale_denominator)
    assert lit.any(axis=0).mean() > 0.2


def test_a_box_that_is_asked_for_leaves_no_strays(tmp_path: Path) -> None:
    geometry = np.concatenate([town(), FAR])
    done, _ = drawn(
        tmp_path / "map.png", geometry, replace(PICTURE, bbox=(-6.0, 54.0, 141.0, 55.0))
    )
    assert done.strays == ()
    assert done.drawn == 30


@pytest.mark.parametrize(
    "geometry",
    [
        np.concatenate([town(), town(lon=-3.2, lat=55.9)]),  # two towns
        np.concatenate([town(), town(lon=140.0, lat=35.0, count=6)]),  # too many to be stray
        np.concatenate([town(), lines((-5.0, 54.6, -4.99, 54.6))]),  # far, and yet not very
        np.concatenate([town(lon=0.0, lat=0.0), NULL]),  # roads at 0,0
        lines((-5.93, 54.6, -5.92, 54.61), (100.0, 10.0, 100.1, 10.1)),
        NULL,
    ],
    ids=["two towns", "a far town", "the next village", "a town at 0,0", "two links", "0,0 alone"],
)
def test_what_may_well_belong_to_a_map_stays_in_it(geometry: Any) -> None:
    strokes = strokes_of(geometry)
    assert not strays_of(strokes, boxes_of(strokes.lines)).any()


def test_a_line_to_0_0_is_drawn_as_far_as_the_frame_goes(tmp_path: Path) -> None:
    geometry = np.concatenate([town(), lines((-5.9, 54.63, 0.0, 0.0))])
    done, _ = drawn(tmp_path / "map.png", geometry)
    assert (done.drawn, done.strays) == (31, ())
    assert done.scale_denominator < 1_000_000


def test_a_line_is_cut_at_the_seam_of_the_world() -> None:
    lonlat = np.array([(170.0, 0.0), (-170.0, 10.0), (-160.0, 10.0), (5.0, 1.0), (6.0, 2.0)])
    index = np.array([0, 0, 0, 1, 1])
    cut, numbers, parents = cut_at(lonlat, index, 180.0)
    assert numbers.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert parents.tolist() == [0, 0, 1]
    assert cut[1:3] == pytest.approx(np.array([(180.0, 5.0), (-180.0, 5.0)]))


def test_no_line_runs_across_a_map_of_the_world(tmp_path: Path) -> None:
    lon = np.arange(-180.0, 180.0)  # all around, so that some line lies across any seam
    lat = np.random.default_rng(9).uniform(-60, 70, 360)
    ends = zip(lon, lat, (lon + 1.5 + 180) % 360 - 180, lat + 1, strict=True)
    done, lit = drawn(tmp_path / "map.png", lines(*ends))
    assert (done.drawn, done.outside) == (360, 0)
    runs = np.diff(np.flatnonzero(np.diff(np.pad(lit, ((0, 0), (1, 1))).astype(int).ravel()))[::1])
    assert runs[::2].max() < 0.1 * lit.shape[1]


@pytest.mark.parametrize(
    "end",
    [(0.0, 0.0), (1e-6, 0.0), (0.0, 1e-6), (1e-6, 1e-6)],
    ids=["a point", "due east", "due north", "aslant"],
)
def test_a_link_too_short_for_a_pixel_is_still_to_be_seen(
    tmp_path: Path, end: tuple[float, float]
) -> None:
    geometry = lines((-5.9, 54.6, -5.9 + end[0], 54.6 + end[1]), (-6.4, 54.4, -5.4, 54.4))
    _, lit = drawn(tmp_path / "map.png", geometry)
    assert lit[: lit.shape[0] // 2].any()


def test_points_and_polygons_are_told_as_such(tmp_path: Path) -> None:
    points = np.array([shapely.Point(1, 2), None, shapely.box(0, 0, 1, 1)], dtype=object)
    with pytest.raises(UsageError, match="needs lines, but the roads are points and polygons"):
        drawn(tmp_path / "map.png", points)
