"""The list of the objects that a run covered: written in any order, read in one."""

from __future__ import annotations

import io
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.ledger import Ledger, Quarantined
from mapreduce.runs import object_list
from mapreduce.runs.object_list import Covered, Head, ListError, head_in, objects_in, write_list

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ADDRESSES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OBJECTS = st.lists(
    st.builds(Covered, ADDRESSES, st.text("0123456789abcdef", max_size=8), st.integers(0, 2**40),
              st.sampled_from(["", "gone", "not_json"])),
    unique_by=lambda one: one.address, max_size=30,
)  # fmt: skip


def head_of(objects: Sequence[Covered]) -> Head:
    bad = [Quarantined(n, o.address, o.etag, o.reason, "") for n, o in enumerate(objects)]
    return Head('{"job": "x"}', "base/", len(objects), 3, Ledger(quarantined=bad), {"zone": b"TZ"})


def written(path: Path, objects: Sequence[Covered]) -> bytes:
    with path.open("wb") as file:
        write_list(file, head_of(objects), lambda: objects)
    return path.read_bytes()


@given(OBJECTS, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_bytes_and_is_read_in_that_of_addresses(
    tmp_path_factory: pytest.TempPathFactory, objects: list[Covered], chance: random.Random
) -> None:
    path = tmp_path_factory.mktemp("list") / "o"
    shuffled = chance.sample(objects, len(objects))
    raw = written(path, shuffled)
    head = head_in(path)
    assert list(objects_in(path)) == sorted(objects, key=lambda one: one.address)
    assert head == head_of(shuffled)
    with path.open("wb") as file:
        write_list(file, head, lambda: sorted(objects, key=lambda one: one.address))
    assert path.read_bytes() == raw


def test_damage_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "o"
    objects = [Covered(f"a/{n:05}", f"{n:x}", n) for n in range(40)]
    raw = written(path, objects)
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(ListError, match=r"damaged|version"):
            list(objects_in(path))
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(ListError, match=r"damaged|version"):
            list(objects_in(path))
    path.write_bytes(raw + b"x")
    with pytest.raises(ListError, match="damaged"):
        list(objects_in(path))


def test_another_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "o"
    path.write_bytes(written(path, []).replace(b"objects 1\n", b"objects 2\n"))
    with pytest.raises(ListError, match="has version 2 of its format, and this program reads"):
        head_in(path)
    with pytest.raises(ListError, match="cannot be read"):
        head_in(tmp_path / "none")


def test_an_object_twice_or_missing_is_never_written(tmp_path: Path) -> None:
    one = Covered("a", "e", 1)
    with (tmp_path / "o").open("wb") as file, pytest.raises(ListError, match="listed twice"):
        write_list(file, head_of([one, one]), lambda: [one, one])
    with (tmp_path / "o").open("wb") as file, pytest.raises(ListError, match="1 objects are noted"):
        write_list(file, head_of([one, one]), lambda: [one])


def test_a_block_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "o"
    written(path, [Covered("a" * 100_000, "e", 1)])
    monkeypatch.setattr(object_list, "MAX_BLOCK_BYTES", 1000)
    with pytest.raises(ListError, match="too large"):
        list(objects_in(path))


@pytest.mark.parametrize("ordered", [True, False])
def test_memory_does_not_grow_with_the_number_of_objects(ordered: bool, tmp_path: Path) -> None:
    def objects(count: int) -> Iterator[Covered]:
        for n in range(count):
            key = n if ordered else n * 7919 % count
            yield Covered(f"s3://bucket/trips/{key:08}.json", f"{n * 0x9E3779B97F4A7C15:032x}", n)

    peaks = []
    for count in (5_003, 50_021):
        head = Head("{}", "", count, 0, Ledger())
        tracemalloc.start()
        with (tmp_path / "o").open("wb") as file:
            write_list(file, head, partial(objects, count))
        assert sum(1 for _ in objects_in(tmp_path / "o")) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 1_000_000


def test_it_is_written_where_a_file_stands() -> None:
    file = io.BytesIO()
    write_list(file, head_of([]), list)
    assert file.getvalue().startswith(object_list.MAGIC)
