from __future__ import annotations

import numpy as np
import pytest

from mapreduce.errors import UsageError
from roadspeed.maps.colour import GROUNDS, count_scale, ramp, speed_scale
from roadspeed.road_class import widths_of


def test_limits_are_round_and_one_wild_link_does_not_flatten_the_rest() -> None:
    speeds = np.concatenate([np.linspace(11.0, 96.0, 999), [399.0]])
    scale = speed_scale(speeds)
    assert (scale.low, scale.high) == (10.0, 100.0)
    assert scale.ticks == (10.0, 40.0, 60.0, 80.0, 100.0)
    assert np.allclose(scale.place([10.0, 55.0, 399.0]), [0.0, 0.5, 1.0])


def test_equal_speeds_get_a_scale_around_them() -> None:
    scale = speed_scale(np.full(50, 50.0))
    assert scale.low < 50.0 < scale.high
    assert speed_scale([0.0]).low == 0.0


def test_ticks_rise_from_limit_to_limit_without_crowding() -> None:
    for low, high in [(0.0, 80.0), (7.3, 11.1), (0.01, 0.02), (30.0, 131.0), (3.0, 5_000.0)]:
        ticks = np.array(speed_scale(np.linspace(low, high, 100)).ticks)
        assert (np.diff(ticks) > 0.09 * (ticks[-1] - ticks[0])).all()
        assert 3 <= len(ticks) <= 8


def test_counts_span_a_decade_at_least_and_place_by_logarithm() -> None:
    scale = count_scale(np.ones(10))
    assert (scale.low, scale.high, scale.log) == (1.0, 10.0, True)
    wide = count_scale(np.geomspace(1, 90_000, 1000))
    assert wide.high <= 100_000
    assert np.allclose(count_scale([1], (1, 100)).place([1, 10, 100]), [0.0, 0.5, 1.0])


def test_ticks_of_counts_leave_room_for_the_labels_at_the_ends() -> None:
    for high in (10.0, 50.0, 200.0, 1e5, 2e9):
        scale = count_scale([1], (1.0, high))
        assert (scale.ticks[0], scale.ticks[-1]) == (1.0, high)
        inner = scale.place(scale.ticks[1:-1])
        assert ((inner > 0.14) & (inner < 0.86)).all()


def test_fixed_limits_are_kept_and_nonsense_is_refused() -> None:
    assert speed_scale([], (0.0, 120.0)).high == 120.0
    for limits in [(5.0, 5.0), (9.0, 1.0), (0.0, float("inf"))]:
        with pytest.raises(UsageError, match="LOW < HIGH"):
            speed_scale([1.0], limits)
    with pytest.raises(UsageError, match="at least 1"):
        count_scale([1], (0.0, 10.0))


def luminance(colour: str | None) -> float:
    assert colour is not None
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@pytest.mark.parametrize("name", ["dark", "light"])
def test_words_can_be_read_on_their_ground_and_context_recedes(name: str) -> None:
    ground = GROUNDS[name]
    paper = luminance(ground.paper)
    assert contrast(luminance(ground.ink), paper) > 12
    assert contrast(luminance(ground.faint_ink), paper) > 4.5
    little, context = (
        contrast(luminance(ground.little), paper),
        contrast(luminance(ground.context), paper),
    )
    assert little > 2.0 > context > 1.1


def test_words_without_a_ground_can_be_read_on_white_and_on_black() -> None:
    ink = luminance(GROUNDS["none"].ink)
    assert contrast(ink, 1.0) > 4.4
    assert contrast(ink, 0.0) > 4.4


@pytest.mark.parametrize("name", ["dark", "light", "none"])
def test_the_ramp_goes_from_purple_to_yellow(name: str) -> None:
    colours = ramp(name)
    slow, fast = colours[0], colours[-1]
    assert slow[2] > slow[0] > slow[1]
    assert min(fast[0], fast[1]) > 0.8
    assert fast[2] < 0.4


def test_widths_fall_with_class_in_both_vocabularies() -> None:
    osm = ["motorway", "trunk", "primary", "secondary", "tertiary", "residential", "service"]
    here: list[object] = [1, "2", 3.0, "4.0", "5"]
    for names in (osm, here):
        widths = widths_of(np.array(names, dtype=object), len(names))
        assert (np.diff(widths) < 0).all()
    ramp_width, unknown, none = widths_of(
        np.array(["motorway_link", "escape", None], dtype=object), 3
    )
    assert 0.28 < unknown == none < ramp_width < 1.0
    assert widths_of(None, 2).tolist() == [unknown, unknown]


@pytest.mark.parametrize(
    "values", [[50.0, 51.0], [50.0, 50.0], [0.001, 0.003], [0.0, 0.0], [110.0]]
)
def test_speeds_that_are_about_equal_look_about_equal(values: list[float]) -> None:
    scale = speed_scale(np.array(values))
    places = scale.place(values)
    assert np.ptp(places) < 0.15
    assert scale.high - scale.low >= 0.1 * max(values)
    assert scale.low >= 0
