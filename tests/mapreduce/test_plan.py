"""Splits cover the manifest exactly: every byte of every object once, whatever the sizes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce import plan
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.objects import Entry
from mapreduce.plan import TO_THE_END, Cover, Piece, Planner, Split

sizes = st.lists(st.one_of(st.integers(0, 10), st.integers(0, 1 << 20)), max_size=30)


def _entries(sizes: list[int], suffix: str = "") -> list[Entry]:
    return [Entry(f"k{i:05}{suffix}", size, f"e{i}") for i, size in enumerate(sizes)]


@given(
    sizes=sizes,
    split_bytes=st.one_of(st.none(), st.integers(1, 1 << 21)),
    divisible=st.booleans(),
    gzipped=st.booleans(),
)
def test_splits_cover_every_byte_once(
    sizes: list[int], split_bytes: int | None, divisible: bool, gzipped: bool
) -> None:
    planner = Planner(split_bytes=split_bytes, divisible=divisible)
    entries = _entries(sizes, ".gz" if gzipped else "")
    splits = list(planner.splits_of(entries))
    cover = Cover()
    for split in splits:
        cover.add(split)
    cover.close(len(entries))
    assert [s.number for s in splits] == list(range(len(splits)))
    assert (planner.objects, planner.object_bytes) == (len(sizes), sum(sizes))
    assert sum(s.read_bytes for s in splits) == sum(sizes)
    pieces = [p for s in splits for p in s.pieces]
    assert {(p.ordinal, p.key, p.etag) for p in pieces} == {
        (i, e.key, e.etag) for i, e in enumerate(entries)
    }
    if gzipped or not divisible:
        assert all(p.whole for p in pieces)
    assert all(len(s.pieces) == 1 for s in splits if not s.pieces[0].whole)


def test_what_was_packed_comes_before_an_object_that_is_divided() -> None:
    splits = Planner(split_bytes=1 << 17, divisible=True).splits_of(_entries([1, 1 << 20, 1]))
    assert [s.pieces[0].ordinal for s in splits] == [0, *[1] * 8, 2]


def test_a_cover_that_ends_within_an_object_is_broken() -> None:
    cover = Cover()
    cover.add(Split(0, (Piece(0, "a", 9, "e"),)))
    cover.add(Split(1, (Piece(1, "b", 30, "e", 0, 10),)))
    with pytest.raises(MapReduceError, match="1 objects listed, splits cover 1"):
        cover.close(1)


def test_small_files_are_packed_by_their_open_cost() -> None:
    splits = list(Planner(split_bytes=10 * plan.OPEN_COST_BYTES).splits_of(_entries([1] * 95)))
    assert [len(s.pieces) for s in splits] == [9] * 10 + [5]
    many = list(Planner(split_bytes=1 << 40).splits_of(_entries([0] * 2500)))
    assert [len(s.pieces) for s in many] == [1024, 1024, 452]


def test_splits_begin_small_and_grow() -> None:
    splits = list(Planner().splits_of(_entries([1 << 20] * 1500)))
    assert len(splits[0].pieces) == 1
    full = [s.read_bytes for s in splits[:-1]]
    assert full == sorted(full)
    assert max(s.read_bytes for s in splits) <= plan.SPLIT_BYTES


def test_one_object_a_split_and_all_in_one() -> None:
    assert len(list(Planner(split_bytes=1).splits_of(_entries([5] * 7)))) == 7
    assert len(list(Planner(split_bytes=1 << 40).splits_of(_entries([5] * 7)))) == 1


def test_a_range_is_never_a_crumb() -> None:
    splits = list(Planner(split_bytes=1, divisible=True).splits_of(_entries([1 << 20])))
    assert {s.read_bytes for s in splits} == {plan.MIN_RANGE_BYTES}


def test_a_split_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="1 byte or more"):
        Planner(split_bytes=0)


def _piece(ordinal: int, start: int = 0, stop: int = TO_THE_END) -> Piece:
    return Piece(ordinal, f"k{ordinal}", 10, "e", start, stop)


@pytest.mark.parametrize(
    "pieces",
    [
        [_piece(0), _piece(0), _piece(1)],
        [_piece(1)],
        [_piece(0), _piece(2)],
        [_piece(0, 0, 5), _piece(1)],
        [_piece(0, 0, 5), _piece(0, 6, 10), _piece(1)],
        [_piece(0, 0, 5), _piece(0, 4, 10), _piece(1)],
        [_piece(0)],
        [_piece(0), _piece(1, 0, 9)],
        [_piece(0), _piece(1), _piece(2)],
    ],
)
def test_a_plan_with_a_gap_or_an_overlap_is_noticed(pieces: list[Piece]) -> None:
    cover = Cover()

    def take() -> None:
        for number, piece in enumerate(pieces):
            cover.add(Split(number, (piece,)))
        cover.close(2)

    with pytest.raises(MapReduceError, match="the plan is broken"):
        take()


def test_a_split_survives_its_bytes() -> None:
    split = Split(3, (_piece(0), _piece(1, 4, 9)))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(split), type=Split) == split
