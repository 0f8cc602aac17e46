"""gzip taken off, and caps."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import ObjectError
from mapreduce.objects.body import BytesBody
from mapreduce.objects.gunzip import inflated, read_all

if TYPE_CHECKING:
    from collections.abc import Callable

CAP = 1 << 20


class Dribble(BytesBody):
    """A body that comes a byte or two at a time."""

    def read(self, n: int = -1, /) -> bytes:
        return super().read(2 if n < 0 else min(n, 2))


def stream(stored: bytes, key: str = "k", cap: int | None = CAP, n: int = 7) -> bytes:
    with inflated(BytesBody(stored), key, cap) as body:
        return b"".join(iter(lambda: body.read(n), b""))


@settings(max_examples=150)
@given(parts=st.lists(st.binary(max_size=3000), max_size=4), n=st.integers(1, 5000))
def test_members_come_back_as_one_content(parts: list[bytes], n: int) -> None:
    stored, content = b"".join(map(gzip.compress, parts)), b"".join(parts)
    assert stream(stored, n=n) == content
    assert inflated(BytesBody(stored), "k", CAP).read() == content
    assert read_all(BytesBody(stored), "k", CAP) == content
    assert read_all(Dribble(stored), "k", CAP) == content


@settings(max_examples=100)
@given(content=st.binary(max_size=2000), n=st.integers(1, 500))
def test_plain_content_passes_untouched(content: bytes, n: int) -> None:
    if content.startswith(b"\x1f\x8b\x08"):
        content = b"-" + content
    assert stream(content, n=n) == content
    assert read_all(Dribble(content), "k", CAP) == content


@settings(max_examples=200)
@given(content=st.binary(min_size=1, max_size=400), data=st.data())
def test_damaged_gzip_is_unreadable_or_right_never_a_crash(
    content: bytes, data: st.DataObject
) -> None:
    stored = bytearray(gzip.compress(content, mtime=0))
    place = data.draw(st.integers(10, len(stored) - 1))  # behind the header: content or check
    stored[place] ^= data.draw(st.integers(1, 255))
    try:
        outcome = read_all(BytesBody(bytes(stored)), "k", CAP)
    except ObjectError as error:
        outcome = f"{error.reason}: {error.place[:9]}".encode()
    assert outcome in {content, b"unreadable: gzip of k"}


@pytest.mark.parametrize("cut", [1, 5, 12, -9, -1])
def test_cut_gzip_is_unreadable(cut: int) -> None:
    stored = gzip.compress(b"a long enough content " * 50)[:cut]
    with pytest.raises(ObjectError, match=r"gzip of k\.gz") as caught:
        read_all(BytesBody(stored), "k.gz", CAP)
    assert caught.value.reason == "unreadable"


def test_a_name_that_lies_is_unreadable() -> None:
    with pytest.raises(ObjectError, match=r"gzip of trip.json.gz is damaged"):
        read_all(BytesBody(b'{"data": []}'), "trip.json.gz", CAP)


def test_gzip_is_known_by_its_first_bytes_whatever_its_name() -> None:
    assert read_all(BytesBody(gzip.compress(b"x")), "trip.json", CAP) == b"x"


def test_an_empty_object_is_empty_even_if_it_is_called_gz() -> None:
    assert read_all(BytesBody(b""), "k.gz", CAP) == b""


def test_zeros_that_pad_a_member_are_no_content() -> None:
    stored = gzip.compress(b"a") + bytes(1000) + gzip.compress(b"b") + bytes(200_000)
    assert read_all(BytesBody(stored), "k", CAP) == b"ab"
    with pytest.raises(ObjectError, match="damaged"):
        read_all(BytesBody(gzip.compress(b"a") + b"rubbish"), "k", CAP)


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_the_cap_lets_exactly_its_bytes_through(pack: Callable[[bytes], bytes]) -> None:
    stored = pack(b"x" * 1000)
    assert len(read_all(BytesBody(stored), "k", 1000)) == 1000
    assert len(stream(stored, cap=1000)) == 1000
    with pytest.raises(ObjectError, match="more than 999 bytes"):
        read_all(BytesBody(stored), "k", 999)
    with pytest.raises(ObjectError, match="more than 999 bytes") as caught:
        stream(stored, cap=999)
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize("members", [1, 1024], ids=["one member", "1,024 members"])
def test_a_bomb_costs_its_cap_at_most(members: int) -> None:
    stored = gzip.compress(bytes((256 << 20) if members == 1 else (1 << 20)), 1) * members
    assert len(stored) < 5_000_000
    tracemalloc.start()
    try:
        with pytest.raises(ObjectError, match="too_large"):
            read_all(BytesBody(stored), "k", 6 << 20)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 24 << 20


def test_a_bomb_is_streamed_in_bounded_memory() -> None:
    stored = gzip.compress(bytes(1 << 20)) * 256
    tracemalloc.start()
    try:
        with inflated(BytesBody(stored), "k") as body:
            total = sum(map(len, iter(lambda: body.read(1 << 16), b"")))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 256 << 20
    assert peak_bytes < 2 << 20


def test_many_empty_members_take_no_time_to_speak_of() -> None:
    stored = gzip.compress(b"") * 100_000
    assert read_all(BytesBody(stored + gzip.compress(b"end")), "k", 4 << 20) == b"end"
