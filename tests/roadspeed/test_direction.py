"""Directions are those of a plain loop, and those that the drives of the demo town took."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import UsageError
from roadspeed import roads
from roadspeed.measures import segments
from roadspeed.measures.courses import Courses
from roadspeed.measures.direction import (
    BACKWARD,
    FORWARD,
    UNKNOWN,
    directions,
    from_sign,
    held,
)
from roadspeed.measures.direction_words import from_words, parse_direction_values
from roadspeed.measures.headings import LEAST_M, headings
from roadspeed.roads.rows.lines import courses_of
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.direction_figures import Fixes
from tests.roadspeed.towns import default_town

if TYPE_CHECKING:
    from roadspeed.town import Town

Lines = dict[int, list[list[tuple[float, float]]]]
UNIT: Final = 1e-7
MM: Final = 6_371_008.8 * 1000 * math.pi / 180
RISING: Final = {
    4: [[(0.0, 50.0), (0.001, 50.0), (0.002, 50.0)]],
    7: [[(0.0, 50.0), (0.0, 50.001)]],
}


def courses(lines: Lines) -> Courses:
    rows = [
        (link, number, lon, lat)
        for link, parts in lines.items()
        for number, part in enumerate(parts)
        for lon, lat in part
    ]
    link, line, lon, lat = (np.array(column) for column in zip(*rows, strict=True))
    return Courses.of(link, line, lon, lat)


def found(lines: Lines, *fixes: tuple[float, ...]) -> list[int]:
    """Give the directions of fixes: link, heading and, if they have one, longitude and latitude."""
    columns = [np.array(column, dtype=np.float64) for column in zip(*fixes, strict=True)]
    link, heading, *place = columns
    lat, lon = (place[1], place[0]) if place else (None, None)
    got: list[int] = directions(courses(lines), link.astype(np.int64), heading, lat, lon).tolist()
    return got


def short_way(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def angle(one: float, other: float) -> int:
    return round(abs(short_way(one - other)) * 1e6)


def verdict(apart: int) -> int:
    if apart < 60_000_000:
        return FORWARD
    return BACKWARD if apart > 120_000_000 else UNKNOWN


def plain(lines: Lines, link: int, heading: float, place: tuple[float, float] | None) -> int:
    """Find a direction by a loop over the segments."""
    parts = [
        ((lon, lat), (short_way(to_lon - lon), to_lat - lat))
        for part in lines.get(link, [])
        for (lon, lat), (to_lon, to_lat) in pairwise(part)
        if (lon, lat) != (to_lon, to_lat)
    ]
    if not parts or math.isnan(heading):
        return UNKNOWN
    flat = [
        (east * math.cos(math.radians(lat + north / 2)), north) for (_, lat), (east, north) in parts
    ]
    bearings = [math.degrees(math.atan2(*vector)) % 360 for vector in flat]
    if place is None:
        chord = math.degrees(math.atan2(*map(sum, zip(*flat, strict=True)))) % 360
        if max(angle(bearing, chord) for bearing in bearings) > 60_000_000:
            return UNKNOWN
        return verdict(angle(heading, chord))
    scale = math.cos(math.radians(place[1]))
    off = []
    for (lon, lat), (east, north) in parts:
        x, y, dx = short_way(lon - place[0]) * scale, lat - place[1], east * scale
        along = min(max(-(x * dx + y * north) / (dx * dx + north * north), 0.0), 1.0)
        off.append(round(math.hypot(x + along * dx, y + along * north) * MM))
    return verdict(angle(heading, bearings[off.index(min(off))]))


places = st.tuples(st.integers(-40, 40), st.integers(-40, 40))
lines = st.dictionaries(
    st.integers(-3, 3),
    st.lists(st.lists(places, min_size=2, max_size=6), min_size=1, max_size=3),
    max_size=4,
    min_size=1,
)
fixes = st.lists(
    st.tuples(
        st.integers(-4, 4),
        st.one_of(st.sampled_from([0.0, 45.0, 60.0, 120.0, 180.0, 359.9, math.nan]),
                  st.floats(-360.0, 720.0)),
        places,
        st.booleans(),
    ),
    max_size=20,
)  # fmt: skip


@given(lines, fixes, st.sampled_from([(0.0, 50.0), (179.9999, -17.0), (20.0, 78.0)]), st.booleans())
def test_they_are_those_of_a_plain_loop(
    drawn: Any, given_: Any, centre: tuple[float, float], many: bool
) -> None:
    def at(place: tuple[int, int]) -> tuple[float, float]:
        lon = round(short_way(centre[0] + place[0] * 1e-5), 7)
        return lon, round(centre[1] + place[1] * 1e-5, 7)

    drawn = {link: [[at(p) for p in part] for part in parts] for link, parts in drawn.items()}
    link = np.array([fix[0] for fix in given_], dtype=np.int64)
    heading = np.array([fix[1] for fix in given_], dtype=np.float64)
    there = [at(fix[2]) if fix[3] else None for fix in given_]
    lon, lat = (np.array([np.nan if p is None else p[i] for p in there]) for i in (0, 1))
    with patch.object(segments, "PAIRS", segments.PAIRS if many else 2):
        got = directions(courses(drawn), link, heading, lat, lon)
    known = [
        plain(drawn, a, b, c)
        for a, b, c in zip(link.tolist(), heading.tolist(), there, strict=True)
    ]
    assert got.tolist() == known
    assert got.dtype == np.int64
    whole = [plain(drawn, a, b, None) for a, b in zip(link.tolist(), heading.tolist(), strict=True)]
    assert directions(courses(drawn), link, heading).tolist() == whole


def test_along_is_forward_against_is_backward_and_across_is_neither() -> None:
    assert found(RISING, (4, 90), (4, 270), (4, 149), (4, 160), (4, 211), (4, 0)) == [
        1, 2, 1, 0, 2, 0,
    ]  # fmt: skip
    assert found(RISING, (7, 0), (7, 360), (7, -180), (7, 60), (7, 59.9)) == [1, 1, 2, 0, 1]
    assert found(RISING, (4, math.nan), (5, 90), (8, 90), (-1, 90)) == [0, 0, 0, 0]


def test_no_fixes_and_no_roads_are_no_matter() -> None:
    nothing = np.zeros(0)
    assert directions(courses(RISING), nothing.astype(np.int64), nothing).tolist() == []
    none = courses_of(np.zeros(0, np.int64), np.zeros(0, object))
    assert directions(none, np.array([4]), np.array([90.0])).tolist() == [0]


def test_degrees_of_longitude_are_short_in_the_north() -> None:
    diagonal = {1: [[(20.0, 78.0), (20.01, 78.002)]]}  # 231 m east and 222 m north
    assert found(diagonal, (1, 46.1 - 59.5), (1, 46.1 - 60.5), (1, 46.1 + 59.5)) == [1, 0, 1]


def test_a_road_round_a_corner_is_judged_where_the_fix_is() -> None:
    u = {1: [[(0.0, 50.0), (0.001, 50.0), (0.001, 50.001), (0.0, 50.001)]]}
    assert found(u, (1, 90), (1, 270), (1, 0)) == [0, 0, 0]
    assert found(u, (1, 90, 0.0005, 50.0), (1, 90, 0.0005, 50.001)) == [1, 2]
    assert found(u, (1, 0, 0.00101, 50.0005), (1, 90, 0.00101, 50.0005)) == [1, 0]


def test_a_ring_has_a_direction_only_where_the_fix_is() -> None:
    ring = {1: [[(0.0, 50.0), (0.001, 50.0), (0.001, 50.001), (0.0, 50.001), (0.0, 50.0)]]}
    assert found(ring, (1, 0), (1, 90), (1, 180)) == [0, 0, 0]
    assert found(ring, (1, 0, 0.001, 50.0005), (1, 0, 0.0, 50.0005)) == [1, 2]


def test_a_road_across_the_date_line_goes_the_short_way() -> None:
    line = {1: [[(179.999, 0.0), (-179.999, 0.0)]]}
    assert found(line, (1, 90), (1, 270)) == [1, 2]
    turn = {1: [[(179.999, 0.0), (-179.999, 0.0), (-179.999, 0.002)]]}
    assert found(turn, (1, 90, 180.0, 0.0), (1, 90, -180.0, 0.0), (1, 0, -179.999, 0.001)) == [
        1, 1, 1,
    ]  # fmt: skip


def test_the_lines_of_a_road_run_each_as_it_is_drawn() -> None:
    dual = {1: [[(0.0, 50.0), (0.01, 50.0)], [(0.01, 50.001), (0.0, 50.001)]]}
    assert found(dual, (1, 90), (1, 270)) == [0, 0]
    assert found(dual, (1, 90, 0.005, 50.0), (1, 270, 0.005, 50.001)) == [1, 1]
    # Between the end of one line and the beginning of the next there is no road.
    assert found(dual, (1, 0, 0.01, 50.0005), (1, 90, 0.01, 50.0001)) == [0, 1]


def test_a_point_drawn_twice_has_no_course() -> None:
    again = {1: [[(0.0, 50.0), (0.0, 50.0), (0.001, 50.0)]], 2: [[(0.0, 50.0), (0.0, 50.0)]]}
    assert found(again, (1, 90, 0.0, 50.0), (1, 0, 0.0, 50.0), (2, 0, 0.0, 50.0)) == [1, 0, 0]
    assert found(again, (2, 0), (1, 90)) == [0, 1]


def test_ids_may_be_text() -> None:
    at = np.array([0.0, 0.001])
    named = Courses.of(np.array([b"b", b"b"]), np.zeros(2, np.int64), at, at)
    link, heading = np.array([b"a", b"b", b"bb", b"c"]), np.full(4, 45.0)
    assert directions(named, link, heading).tolist() == [0, 1, 0, 0]
    with pytest.raises(ValueError, match="expected links as"):
        directions(named, np.arange(4), heading)


def test_a_sign_is_a_direction() -> None:
    assert from_sign(np.array([-7, 7, 0])).tolist() == [BACKWARD, FORWARD, UNKNOWN]


def test_values_of_a_field_are_directions() -> None:
    usual = parse_direction_values("")
    values = np.array([b"F", b"t", b" Forward", b"BACKWARD", b"1", b"-1", b"with", b"against"])
    assert from_words(values, usual).tolist() == [1, 2, 1, 2, 1, 2, 1, 2]
    assert from_words(np.array([b"B", b"", b"\xff", b"2"]), usual).tolist() == [0, 0, 0, 0]
    assert from_words(np.zeros(0, "S4"), usual).tolist() == []
    own = parse_direction_values("A=forward, a=b=BACKWARD,c=unknown")
    assert from_words(np.array([b"a", b"A=B", b"c", b"F"]), own).tolist() == [1, 2, 0, 0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("F", "got 'F'"),
        ("F=forward,T=behind", "got 'T=behind'"),
        ("=forward", "got '=forward'"),
        ("F=forward,", "got ''"),
        ("F=forward,f=backward", "'f' twice"),
        ("F=unknown", "means forward or backward"),
    ],
)
def test_values_that_mean_nothing_are_refused(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_direction_values(text)


def test_a_heading_is_the_course_from_the_fix_before_to_the_fix_after() -> None:
    lat = np.array([50.0, 50.0001, 50.0001, 50.0, 50.0])
    lon = np.array([0.0, 0.0, 0.0002, 0.0002, 0.0002])
    east, north = 0.0002 * math.cos(math.radians(50.0001)), 0.0001
    known = [
        0.0,
        math.degrees(math.atan2(east, north)),
        180 - math.degrees(math.atan2(east, north)),
    ]
    got = headings(None, lat, lon)
    np.testing.assert_allclose(got[:4], [*known, 180.0], atol=1e-9)
    assert math.isnan(got[4])
    assert LEAST_M > 0
    trips = headings(np.array([1, 1, 2, 2, 2]), lat, lon)
    np.testing.assert_allclose(trips[:4], [0.0, 0.0, 180.0, 180.0], atol=1e-9)
    gap = headings(None, lat, lon, np.array([False, False, True, False, False]))
    np.testing.assert_array_equal(gap, trips)


def test_headings_cross_the_date_line_and_need_positions() -> None:
    lon = np.array([179.9999, -179.9999, np.nan, 0.0])
    got = headings(None, np.zeros(4), lon)
    np.testing.assert_allclose(got[:2], 90.0)
    assert np.isnan(got[2:]).all()
    assert headings(None, np.zeros(0), np.zeros(0)).tolist() == []
    assert np.isnan(headings(None, np.zeros(1), np.zeros(1))).all()


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(1, 2), st.booleans()),
        max_size=30,
    )
)
def test_a_fix_that_has_no_direction_takes_that_of_its_stay(rows: Any) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    direction, trip, link, apart = table.T
    stays: list[list[int]] = []
    for at, (_, *place, gap) in enumerate(rows):
        if at and place == list(rows[at - 1][1:3]) and not gap:
            stays[-1].append(at)
        else:
            stays.append([at])
    known = direction.tolist()
    for stay in stays:
        said = [known[at] for at in stay if known[at]]
        last = said[0] if said else UNKNOWN
        for at in stay:
            last = known[at] = direction[at] or last
    assert held(direction, trip, link, apart.astype(np.bool_)).tolist() == known


@pytest.fixture(scope="module")
def town() -> Town:
    return default_town()


@pytest.fixture(scope="module")
def driven(town: Town) -> dict[str, Any]:
    """Fixes of forty drives that move and are on a road."""
    rows = [
        (number, fix["lat"], fix["long"], fix["angle"], int(match["linkID"]), match["dirTravel"],
         fix["absVelocity"])
        for number in range(1, 41)
        for fix in town.trip(number)["data"]
        if (match := fix["dbResponse"]) and match["linkID"].isdigit()
        and fix["absVelocity"] is not None
    ]  # fmt: skip
    names = ("trip", "lat", "lon", "angle", "link", "said", "speed")
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))


@pytest.fixture(scope="module")
def town_courses(town: Town) -> Courses:
    net = town.net
    degrees = [np.array(road["geometry"]["coordinates"]) for road in town.roads()["features"]]
    lon, lat = np.concatenate(degrees).T
    lengths = [len(line) for line in degrees]
    return Courses.of(
        np.repeat(net.link_id, lengths), np.repeat(np.arange(len(lengths)), lengths), lon, lat
    )


def test_the_town_says_which_way_its_drives_went(town: Town, driven: dict[str, Any]) -> None:
    one_way = dict(zip(town.net.link_id.tolist(), town.net.one_way.tolist(), strict=True))
    on_one_way = np.array([one_way[link] for link in driven["link"].tolist()])
    assert 0.01 < on_one_way.mean() < 0.2
    assert (driven["said"][on_one_way] == "F").all()
    assert 0.4 < (driven["said"] == "T").mean() < 0.6


@pytest.mark.parametrize("source", ["angle", "movement"])
def test_directions_are_those_that_the_towns_drives_took(
    source: str, driven: dict[str, Any], town_courses: Courses
) -> None:
    trip, link, lat, lon = (driven[name] for name in ("trip", "link", "lat", "lon"))
    heading = driven["angle"] if source == "angle" else headings(trip, lat, lon)
    true = from_words(driven["said"].astype("S1"), parse_direction_values(""))
    got = directions(town_courses, link, heading, lat, lon)
    moving = driven["speed"] >= 15.0
    assert ((got != true) & (got != UNKNOWN))[moving].mean() < 0.001
    assert (got == UNKNOWN)[moving].mean() < 0.01
    # Whoever stands has no heading that says anything; nearly all of them are in a stay that has.
    slow = np.where(driven["speed"] < 5.0, np.nan, heading)
    stayed = held(directions(town_courses, link, slow, lat, lon), trip, link)
    assert (stayed == UNKNOWN).mean() < 0.03
    assert ((stayed != true) & (stayed != UNKNOWN))[moving].mean() < 0.001


@needs_curitiba
def test_real_drives_went_the_way_that_they_say() -> None:
    fixes = Fixes.of(
        (json.loads(path.read_bytes())["data"] for path in sorted(CURITIBA.glob("trips/*.json"))),
        "matchDirection",
    )
    moved = headings(fixes.trip, fixes.lat, fixes.lon)
    made = roads.courses(str(CURITIBA / "roads.geojson"))
    got = directions(made, fixes.link, moved, fixes.lat, fixes.lon)
    known = (fixes.said != UNKNOWN) & (got != UNKNOWN)
    assert known.sum() > 9_000
    assert (got == fixes.said)[known].mean() > 0.999
    assert (held(got, fixes.trip, fixes.link) == UNKNOWN).mean() < 0.02
