from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from PIL import Image

from mapreduce.errors import UsageError
from roadspeed.maps import typeface
from roadspeed.maps.draw import Drawn, draw
from roadspeed.maps.legend import strip_height_px
from roadspeed.maps.links import checked_context, checked_links
from roadspeed.maps.page import compose
from roadspeed.maps.picture import Picture
from roadspeed.maps.scene import scene_of
from roadspeed.maps.typeface import Typeface, named, typeface_for

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

LON, LAT = -5.93, 54.6
# Parallel roads from west to east, one above the other, the last on top.
SMALL = Picture(width_px=800, bbox=(LON, LAT, LON + 0.02, LAT + 0.01))


def roads(count: int) -> Any:
    lats = LAT + 0.01 * (np.arange(count) + 0.5) / count
    return np.array(
        [shapely.LineString([(LON + 0.001, lat), (LON + 0.019, lat)]) for lat in lats], dtype=object
    )


def columns(speed: list[float], fixes: list[int] | None = None, **more: Any) -> dict[str, Any]:
    """Arguments of `draw` for parallel roads of these speeds."""
    count = len(speed)
    return {
        "link_geometry": roads(count),
        "speed": np.array(speed, dtype=np.float64),
        "fixes": np.array(fixes or [100] * count, dtype=np.int64),
        "trips": np.ones(count, dtype=np.int64),
        "road_class": np.array(["primary"] * count, dtype=object),
        **more,
    }


def image_of(path: Path, picture: Picture, arguments: dict[str, Any]) -> tuple[Any, Drawn]:
    drawn = draw(path, picture, **arguments)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"), dtype=np.int64), drawn


def column_of(pixels: Any) -> Any:
    """Return the pixels of a cut through the middle of the map, from the lowest road up."""
    edge = round(0.03 * pixels.shape[1])
    height = pixels.shape[0] - strip_height_px(pixels.shape[1]) - edge
    return pixels[edge:height, pixels.shape[1] // 2][::-1]


def at_roads(pixels: Any, count: int) -> Any:
    """Return the colour in the middle of each road: int64[count, 4]."""
    cut = column_of(pixels)
    return np.array([cut[round((i + 0.5) / count * len(cut))] for i in range(count)])


def figure_of(picture: Picture, arguments: dict[str, Any]) -> Figure:
    links = checked_links(
        arguments["link_geometry"], arguments["speed"], arguments["fixes"], arguments["trips"],
        arguments["road_class"],
    )  # fmt: skip
    context = checked_context(arguments.get("context_geometry"), None)
    return compose(picture, links, scene_of(picture, links, context))


def texts_of(picture: Picture, arguments: dict[str, Any]) -> list[str]:
    figure = figure_of(picture, arguments)
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("background", ["dark", "light", "none"])
def test_slow_is_purple_and_fast_is_yellow_on_every_ground(tmp_path: Path, background: Any) -> None:
    picture = replace(SMALL, background=background)
    pixels, _ = image_of(tmp_path / "map.png", picture, columns([5.0, 50.0, 110.0]))
    slow, _, fast = at_roads(pixels, 3)
    assert slow[2] > slow[0] > slow[1]
    assert min(fast[0], fast[1]) > 200
    assert fast[2] < 120


@pytest.mark.parametrize("background", ["dark", "light", "none"])
def test_little_data_is_grey_and_thin_whatever_was_measured(
    tmp_path: Path, background: Any
) -> None:
    arguments = columns([5.0, 110.0, float("nan"), 60.0], [4, 4, 100, 5])
    pixels, drawn = image_of(tmp_path / "map.png", replace(SMALL, background=background), arguments)
    *little, enough = at_roads(pixels, 4)
    for colour in little:
        assert np.ptp(colour[:3]) < 16
    assert np.ptp(enough[:3]) > 80
    assert (drawn.drawn, drawn.little) == (4, 3)


def test_major_roads_are_wider_and_little_data_is_thinner(tmp_path: Path) -> None:
    arguments = columns([60.0] * 4, [100, 100, 100, 1])
    arguments["road_class"] = np.array(["service", "secondary", "motorway", "motorway"])
    picture = replace(SMALL, width_px=2000)  # so that widths differ by whole pixels
    cut = column_of(image_of(tmp_path / "map.png", picture, arguments)[0])
    lit = np.abs(cut - cut[0]).sum(axis=1) > 60
    service, secondary, motorway, little = (int(part.sum()) for part in np.array_split(lit, 4))
    assert 0 < service < secondary < motorway
    assert 0 < little < motorway


def test_a_slow_road_lies_above_a_fast_one_and_a_major_above_a_minor(tmp_path: Path) -> None:
    arguments = columns([10.0, 100.0])
    arguments["link_geometry"][:] = roads(1)[0]
    slow_above = at_roads(image_of(tmp_path / "a.png", SMALL, arguments)[0], 1)[0]
    assert slow_above[2] > slow_above[0]
    arguments["road_class"] = np.array(["service", "motorway"])
    major_above = at_roads(image_of(tmp_path / "b.png", SMALL, arguments)[0], 1)[0]
    assert major_above[0] > major_above[2]


def test_no_background_is_transparent_and_the_others_are_not(tmp_path: Path) -> None:
    for background, alpha in (("none", 0), ("dark", 255), ("light", 255)):
        picture = replace(SMALL, background=background)  # type: ignore[arg-type] # from a loop
        pixels, _ = image_of(tmp_path / "map.png", picture, columns([50.0]))
        assert pixels[0, 0, 3] == alpha
    assert column_of(pixels)[5, :3].min() > 230


def test_context_lies_faintly_beneath(tmp_path: Path) -> None:
    arguments = columns([50.0, 90.0], context_geometry=roads(3), context_class=None)
    cut = column_of(image_of(tmp_path / "map.png", SMALL, arguments)[0])[:, :3]
    middle = cut[len(cut) // 2 - 4 : len(cut) // 2 + 4]  # where only context lies
    brightest = middle[middle.sum(axis=1).argmax()]
    assert np.ptp(brightest) < 16
    assert 20 < brightest.sum() - cut[0].sum() < 150
    assert "no data" in texts_of(SMALL, arguments)


def test_the_legend_tells_unit_counts_threshold_scale_and_credits() -> None:
    picture = replace(
        SMALL, unit="mph", title="Belfast", note="sample of 1 %", total_trips=7, min_fixes=30,
        attribution="© OpenStreetMap contributors", limits=(10.0, 70.0),
    )  # fmt: skip
    said = texts_of(picture, columns([5.0, 50.0, 60.0, 90.0], [29, 400, 1000, 500]))
    assert "Mean speed, mph" in said
    assert "4 road links · 1,929 GPS fixes · 7 trips" in said
    assert "little data: fewer than 30 fixes (1 link)" in said
    assert {"Belfast", "sample of 1 %", "© OpenStreetMap contributors", "200 m"} <= set(said)
    assert {"10", "≥ 70"} <= set(said)
    assert any(text.startswith("1 : ") and "300 dpi" in text for text in said)


def test_a_coverage_map_colours_what_was_counted_by_logarithm(tmp_path: Path) -> None:
    picture = replace(SMALL, measure="fixes")
    arguments = columns([float("nan")] * 3, [1, 100, 10_000])
    few, _, many = at_roads(image_of(tmp_path / "map.png", picture, arguments)[0], 3)
    assert few[2] > few[0]
    assert many[0] > 200 > many[2]
    assert "GPS fixes on a link, logarithmic" in texts_of(picture, arguments)


def test_dollars_and_long_titles_stay_words_within_their_room() -> None:
    said = texts_of(replace(SMALL, title="A $1_000 $road\n" + "very " * 200), columns([50.0]))
    first = next(at for at, text in enumerate(said) if text.startswith("A $1_000 $road very"))
    assert said[first].endswith("very")
    assert said[first + 1].startswith("very ")
    assert said[first + 1].endswith("…")


@pytest.mark.parametrize("words", ["W" * 99, "Wagga Wagga " * 6, "il " * 99, "M" * 24])
def test_words_never_reach_their_neighbours(words: str) -> None:
    picture = replace(SMALL, width_px=1600, title=words, note=words, attribution=words)
    figure = figure_of(picture, columns([50.0, 70.0]))
    (sheet,) = [axes for axes in figure.axes if axes.texts]
    boxes = [text.get_window_extent() for text in sheet.texts if text.get_text()]
    for at, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[at + 1 :])
    titles = [box for box in boxes if box.y0 > 8.2 * 1600 / 92 and box.x0 < 800 / 2]
    assert max(box.x1 for box in titles) < (3 + 37 + 1) * 1600 / 92


@pytest.mark.parametrize("width", [400, 2400])
def test_numbers_below_the_colour_bar_never_overlap(width: int) -> None:
    counts = [1, 7, 10**3, 10**5, 10**8]
    for measure, arguments in (
        ("fixes", columns([50.0] * 5, counts)),
        ("trips", columns([50.0] * 5, trips=np.array(counts))),
        ("speed", columns([0.0, 2999.0])),
        ("speed", columns([47.123456, 47.2])),
    ):
        picture = replace(SMALL, width_px=width, measure=measure)  # type: ignore[arg-type] # a loop
        (sheet,) = [axes for axes in figure_of(picture, arguments).axes if axes.texts]
        boxes = [text.get_window_extent() for text in sheet.texts if text.get_text()]
        for at, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[at + 1 :])


def test_characters_that_no_font_has_are_left_out_and_told(tmp_path: Path) -> None:
    odd = "\U000f1234"  # for private use: no font has it by accident
    picture = replace(SMALL, title=f"Aa{odd} é \x07b", note=odd)
    arguments = columns([50.0])
    _, drawn = image_of(tmp_path / "map.png", picture, arguments)
    assert drawn.unset == f"\x07{odd}"
    assert named(drawn.unset) == "U+0007 U+F1234"
    assert "Aa é b" in texts_of(picture, arguments)
    assert typeface_for("Curitiba, São Paulo · ©") == Typeface()


def test_another_installed_font_sets_what_the_first_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeface, "FONT", "cmtt10")  # comes with matplotlib, and has no é
    typeface_for.cache_clear()
    found = typeface_for("Café Ж")
    typeface_for.cache_clear()
    assert found.families[0] == "cmtt10"
    assert len(found.families) == 2
    assert found.missing == ""


def test_the_file_has_the_size_and_resolution_asked_for(tmp_path: Path) -> None:
    picture = replace(SMALL, width_px=1001, height_px=777, dpi=150.0, bbox=None)
    draw(tmp_path / "map.png", picture, **columns([50.0]))
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (1001, 777)
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_a_paper_scale_is_met_on_the_page(tmp_path: Path) -> None:
    picture = replace(
        SMALL, bbox=None, centre=(LON + 0.01, LAT + 0.005), scale=20_000, dpi=200.0, width_px=1000
    )
    pixels, drawn = image_of(tmp_path / "map.png", picture, columns([50.0]))
    assert drawn.scale_denominator == pytest.approx(20_000)
    edge = 30
    upper = pixels[: edge + 705, edge:-edge]
    lit = np.flatnonzero((np.abs(upper - upper[0, 0]).sum(axis=2) > 100).any(axis=0))
    ground_m = 0.018 * 64_573.0  # a degree of longitude at 54.605 N is 64.57 km
    expected_px = ground_m / 20_000 / 0.0254 * 200.0
    assert lit[-1] - lit[0] == pytest.approx(expected_px, abs=16)  # round ends add a width


def test_links_outside_or_without_a_line_are_counted_and_the_account_balances(
    tmp_path: Path,
) -> None:
    arguments = columns([50.0] * 6)
    geometry = arguments["link_geometry"]
    geometry[1] = None
    geometry[2] = shapely.Point(LON, LAT)
    geometry[3] = shapely.LineString([(0.0, 50.0), (0.1, 50.0)])
    geometry[4] = shapely.MultiLineString([[(LON, LAT), (LON + 0.01, LAT)]] * 2)
    with np.errstate(invalid="ignore"):
        geometry[5] = shapely.LineString([(LON, LAT), (float("nan"), LAT), (LON, LAT + 0.01)])
    drawn = draw(tmp_path / "map.png", SMALL, **arguments)
    assert (drawn.drawn, drawn.outside, drawn.without_geometry) == (2, 1, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        columns([50.0]),
        columns([50.0, 50.0, 50.0]),
        columns([0.0]),
        columns([5.0, 70.0], [1, 2]),
        columns([float("nan")] * 2),
    ],
    ids=["one link", "equal speeds", "standstill", "little data only", "no speed at all"],
)
def test_a_poor_input_still_makes_a_clear_picture(
    tmp_path: Path, arguments: dict[str, Any]
) -> None:
    drawn = draw(tmp_path / "map.png", replace(SMALL, bbox=None), **arguments)
    assert drawn.drawn == len(arguments["speed"])
    said = texts_of(replace(SMALL, bbox=None), arguments)
    assert ("no link has enough data" in said) == (drawn.little == drawn.drawn)


@pytest.mark.parametrize(
    ("picture", "arguments", "message"),
    [
        (SMALL, columns([]), "not one of 0 links"),
        (SMALL, columns([5.0], link_geometry=None), "--roads"),
        (
            SMALL,
            columns([5.0], link_geometry=np.array([None], dtype=object)),
            "not one of 1 links has a geometry",
        ),
        (replace(SMALL, bbox=(10.0, 10.0, 10.1, 10.1)), columns([5.0]), "the links lie within"),
        (SMALL, columns([5.0], fixes=[1, 2]), "speed 1, fixes 2"),
        (replace(SMALL, measure="noise"), columns([5.0]), "measure: expected one of speed"),  # type: ignore[arg-type] # wrong on purpose
        (replace(SMALL, background="pink"), columns([5.0]), "dark, light, none"),  # type: ignore[arg-type] # wrong on purpose
        (replace(SMALL, width_px=50), columns([5.0]), "400 to 20000 pixels, got 50"),
        (replace(SMALL, height_px=500, width_px=4000), columns([5.0]), "room for a map"),
        (replace(SMALL, scale=25_000), columns([5.0]), "centre and scale: expected both"),
        (replace(SMALL, centre=(LON, LAT), scale=25_000), columns([5.0]), "one of them"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_the_old_picture_stays(
    tmp_path: Path, picture: Picture, arguments: dict[str, Any], message: str
) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(b"the picture before")
    with pytest.raises(UsageError, match=message):
        draw(path, picture, **arguments)
    assert path.read_bytes() == b"the picture before"
    assert [child.name for child in tmp_path.iterdir()] == ["map.png"]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    arguments = columns([5.0, 40.0, 90.0], context_geometry=roads(7), context_class=None)
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, SMALL, **arguments)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_importing_the_room_loads_no_heavy_package() -> None:
    code = (
        "import sys, roadspeed.maps.picture; "
        "print([m for m in ('matplotlib', 'pyproj', 'shapely', 'PIL', 'pandas') "
        "if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
