"""The pure part of the join: rows in any order -> one geometry an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from roadspeed import roads
from roadspeed.roads.rows.align import RoadRows, align

if TYPE_CHECKING:
    from roadspeed.roads.rows.answer import JoinedRoads

A = "LINESTRING (0 0, 1 1)"
A_BACKWARDS = "LINESTRING (1 1, 0 0)"
B = "LINESTRING (5 5, 6 6, 7 5)"


def rows(*given_rows: tuple[int, str | None, str | None]) -> RoadRows:
    positions = np.array([row[0] for row in given_rows], dtype=np.int64)
    texts = np.array([row[1] for row in given_rows], dtype=object)
    classes = np.array([row[2] for row in given_rows], dtype=object)
    return RoadRows(positions, np.asarray(shapely.from_wkt(texts), dtype=object), classes)


def bytes_of(joined: JoinedRoads) -> list[Any]:
    return [*shapely.to_wkb(joined.geometry).tolist(), *joined.road_class.tolist()]


def test_an_id_without_a_row_keeps_its_place() -> None:
    joined = align(3, [rows((0, A, "primary"), (2, B, None))])
    assert [g and g.wkt for g in joined.geometry] == [A, None, B]
    assert joined.road_class.tolist() == ["primary", None, None]
    assert (joined.joined, joined.missing, joined.merged, joined.folded) == (2, 1, 0, 0)


def test_no_rows_and_no_ids_are_fine() -> None:
    assert align(2, []).missing == 2
    assert align(0, []).geometry.shape == (0,)


def test_null_and_empty_geometries_count_as_missing() -> None:
    joined = align(2, [rows((0, None, "a"), (1, "LINESTRING EMPTY", "b"))])
    assert (joined.joined, joined.missing) == (0, 2)
    assert joined.geometry.tolist() == [None, None]


def test_identical_rows_fold_and_a_line_drawn_backwards_is_the_same_shape() -> None:
    joined = align(1, [rows((0, A_BACKWARDS, "b"), (0, A, "a"), (0, A, None))])
    assert joined.geometry[0].wkt == A
    assert joined.road_class[0] == "a"
    assert (joined.merged, joined.folded) == (0, 2)


def test_a_single_row_keeps_its_direction() -> None:
    assert align(1, [rows((0, A_BACKWARDS, None))]).geometry[0].wkt == A_BACKWARDS


def test_differing_rows_become_one_multilinestring() -> None:
    joined = align(1, [rows((0, B, None)), rows((0, A, None), (0, B, None))])
    assert joined.geometry[0].geom_type == "MultiLineString"
    assert {line.wkt for line in joined.geometry[0].geoms} == {A, B}
    assert (joined.joined, joined.merged, joined.folded) == (1, 1, 1)


def test_pieces_that_rows_share_are_kept_once() -> None:
    both = "MULTILINESTRING ((0 0, 1 1), (5 5, 6 6, 7 5))"
    joined = align(1, [rows((0, both, None), (0, A_BACKWARDS, None))])
    assert len(joined.geometry[0].geoms) == 2
    assert joined.merged == 1


def test_areas_and_collections_give_their_lines_and_points_none() -> None:
    area = "GEOMETRYCOLLECTION (POLYGON ((0 0, 1 0, 1 1, 0 0)), POINT (9 9))"
    joined = align(2, [rows((1, area, None), (1, A, None), (0, "POINT (1 2)", None))])
    assert joined.geometry[1].geom_type == "MultiLineString"
    assert len(joined.geometry[1].geoms) == 2
    assert joined.geometry[0].wkt == "POINT (1 2)"


def test_two_points_of_one_id_are_no_line() -> None:
    forth = align(1, [rows((0, "POINT (1 2)", None), (0, "POINT (0 2)", None))])
    back = align(1, [rows((0, "POINT (0 2)", None), (0, "POINT (1 2)", None))])
    assert forth.geometry[0].equals(back.geometry[0])
    assert forth.geometry[0].geom_type == "Point"


def test_height_and_measure_are_dropped() -> None:
    joined = align(1, [rows((0, "LINESTRING ZM (0 0 5 6, 1 1 7 8)", None), (0, A, None))])
    assert joined.geometry[0].wkt == A
    assert joined.folded == 1


points = st.tuples(st.integers(0, 2), st.integers(0, 2))
lines = st.lists(points, min_size=2, max_size=3, unique=True).map(
    lambda line: "LINESTRING (" + ", ".join(f"{x} {y}" for x, y in line) + ")"
)
shapes = st.one_of(st.none(), lines, st.just("LINESTRING EMPTY"), st.just("POINT (1 1)"))
many = st.lists(
    st.tuples(st.integers(0, 4), shapes, st.sampled_from([None, "a", "b"])), max_size=14
)


@settings(max_examples=150)
@given(st.data(), many)
def test_neither_order_nor_division_of_rows_matters(data: st.DataObject, table: Any) -> None:
    whole = align(5, [rows(*table)])
    shuffled = data.draw(st.permutations(table))
    cut = data.draw(st.integers(0, len(table)))
    other = align(5, [rows(*shuffled[:cut]), rows(*shuffled[cut:])])
    assert bytes_of(other) == bytes_of(whole)
    assert (other.joined, other.missing) == (whole.joined, whole.missing)
    assert (other.merged, other.folded) == (whole.merged, whole.folded)


@settings(max_examples=100)
@given(many)
def test_every_line_of_an_id_is_in_its_geometry_and_no_other(table: Any) -> None:
    joined = align(5, [rows(*table)])
    for place in range(5):
        wanted = {
            shapely.normalize(shapely.from_wkt(text)).wkt
            for at, text, _ in table
            if at == place and text and text not in ("LINESTRING EMPTY", "POINT (1 1)")
        }
        shape = joined.geometry[place]
        lines = shapely.get_parts(shape) if shape is not None else []
        got = {shapely.normalize(g).wkt for g in lines if g.geom_type == "LineString"}
        assert got == wanted or not wanted


def test_ids_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="strictly ascending"):
        roads.join(np.array([3, 3], dtype=np.int64), "x.geojson")
    with pytest.raises(ValueError, match="int64"):
        roads.join(np.array([1.0, 2.0]), "x.geojson")
