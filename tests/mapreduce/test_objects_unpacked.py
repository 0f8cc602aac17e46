"""Compression taken off, and caps."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import ObjectError
from mapreduce.objects.body import BytesBody
from mapreduce.objects.compression import COMPRESSIONS, compression_of
from mapreduce.objects.unpacked import read_all, unpacked
from mapreduce.plan import PACKED_ENDINGS

if TYPE_CHECKING:
    from collections.abc import Callable

CAP = 1 << 20
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
EACH = pytest.mark.parametrize("name", PACKERS)


class Dribble(BytesBody):
    """A body that comes a byte or two at a time."""

    def read(self, n: int = -1, /) -> bytes:
        return super().read(2 if n < 0 else min(n, 2))


def stream(stored: bytes, key: str = "k", cap: int | None = CAP, n: int = 7) -> bytes:
    with unpacked(BytesBody(stored), key, cap) as body:
        return b"".join(iter(lambda: body.read(n), b""))


@EACH
@settings(max_examples=80)
@given(parts=st.lists(st.binary(max_size=3000), max_size=4), n=st.integers(1, 5000))
def test_members_come_back_as_one_content(name: str, parts: list[bytes], n: int) -> None:
    stored, content = b"".join(map(PACKERS[name], parts)), b"".join(parts)
    assert stream(stored, n=n) == content
    assert unpacked(BytesBody(stored), "k", CAP).read() == content
    assert read_all(BytesBody(stored), "k", CAP) == content
    assert read_all(Dribble(stored), "k", CAP) == content


@settings(max_examples=100)
@given(content=st.binary(max_size=2000), n=st.integers(1, 500))
def test_plain_content_passes_untouched(content: bytes, n: int) -> None:
    if compression_of(content):
        content = b"-" + content
    assert stream(content, n=n) == content
    assert read_all(Dribble(content), "k", CAP) == content


PACKED: dict[str, Callable[[bytes], bytes]] = {
    **PACKERS,
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "zstd": lambda content: zstd.compress(
        content, options={zstd.CompressionParameter.checksum_flag: 1}
    ),
}


@EACH
@settings(max_examples=150)
@given(content=st.binary(min_size=1, max_size=400), data=st.data())
def test_damaged_content_is_unreadable_or_right_never_a_crash(
    name: str, content: bytes, data: st.DataObject
) -> None:
    stored = bytearray(PACKED[name](content))
    place = data.draw(st.integers(10, len(stored) - 1))  # behind the header: content or check
    stored[place] ^= data.draw(st.integers(1, 255))
    try:
        outcome = read_all(BytesBody(bytes(stored)), "k", CAP)
    except ObjectError as error:
        outcome = f"{error.reason}: {error.place.partition(' of k')[0]}".encode()
    assert outcome in {content, f"unreadable: {name}".encode()}


@EACH
@pytest.mark.parametrize("cut", [1, 5, 12, -9, -1])
def test_cut_content_is_unreadable(name: str, cut: int) -> None:
    ending = {"gzip": "gz", "zstd": "zst", "bzip2": "bz2"}.get(name, name)
    stored = PACKERS[name](b"a long enough content " * 50)[:cut]
    with pytest.raises(ObjectError, match=rf"{name} of k\.{ending}") as caught:
        read_all(BytesBody(stored), f"k.{ending}", CAP)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("ending", PACKED_ENDINGS)
def test_a_name_that_lies_is_unreadable(ending: str) -> None:
    with pytest.raises(ObjectError, match=rf"trip.json{ending}: according to its name"):
        read_all(BytesBody(b'{"data": []}'), f"trip.json{ending}", CAP)


def test_the_endings_that_are_not_divided_are_those_that_are_unpacked() -> None:
    assert set(PACKED_ENDINGS) == {known.ending for known in COMPRESSIONS}


@EACH
def test_compression_is_known_by_its_first_bytes_whatever_its_name(name: str) -> None:
    assert read_all(BytesBody(PACKERS[name](b"x")), "trip.json", CAP) == b"x"
    assert read_all(BytesBody(PACKERS[name](b"")), "trip.json", CAP) == b""


def test_the_frames_that_a_parallel_zstd_writes_are_read() -> None:
    skipped = b"\x50\x2a\x4d\x18\4\0\0\0\1\2\3\4"
    stored = skipped + zstd.compress(b"one ") + skipped + zstd.compress(b"two") + skipped
    assert read_all(BytesBody(stored), "trip.json", CAP) == b"one two"


def test_what_asks_for_too_much_memory_is_unreadable() -> None:
    windows: dict[int, int] = {zstd.CompressionParameter.window_log: 28}
    packer = zstd.ZstdCompressor(options=windows)  # as a stream: its length is not known ahead
    stored = packer.compress(random.Random(1).randbytes(1 << 20)) + packer.flush()
    with pytest.raises(ObjectError, match="too much memory"):
        read_all(BytesBody(stored), "k", 4 << 20)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 512 << 20}]
    with pytest.raises(ObjectError, match=r"(?i)memory usage limit"):
        read_all(BytesBody(lzma.compress(b"x", filters=filters)), "k", CAP)


def test_where_nothing_reads_zstd_the_run_stops_and_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['backports.zstd'] = sys.modules['compression.zstd'] = None\n"
        "from mapreduce.objects.body import BytesBody\n"
        "from mapreduce.objects.unpacked import read_all\n"
        f"read_all(BytesBody({zstd.compress(b'x')!r}), 'k', 100)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "JobError: an object is compressed with zstd" in done.stderr
    assert "pip install backports.zstd" in done.stderr


def test_an_empty_object_is_empty_even_if_it_is_called_gz() -> None:
    assert read_all(BytesBody(b""), "k.gz", CAP) == b""


@EACH
def test_zeros_that_pad_a_member_are_no_content(name: str) -> None:
    pack = PACKERS[name]
    stored = pack(b"a") + bytes(1000) + pack(b"b") + bytes(200_000)
    assert read_all(BytesBody(stored), "k", CAP) == b"ab"
    with pytest.raises(ObjectError, match="damaged"):
        read_all(BytesBody(pack(b"a") + b"rubbish"), "k", CAP)


@pytest.mark.parametrize("pack", [*PACKERS.values(), bytes], ids=[*PACKERS, "plain"])
def test_the_cap_lets_exactly_its_bytes_through(pack: Callable[[bytes], bytes]) -> None:
    stored = pack(b"x" * 1000)
    assert len(read_all(BytesBody(stored), "k", 1000)) == 1000
    assert len(stream(stored, cap=1000)) == 1000
    with pytest.raises(ObjectError, match="more than 999 bytes"):
        read_all(BytesBody(stored), "k", 999)
    with pytest.raises(ObjectError, match="more than 999 bytes") as caught:
        stream(stored, cap=999)
    assert caught.value.reason == "too_large"


@EACH
@pytest.mark.parametrize("members", [1, 256], ids=["one member", "256 members"])
def test_a_bomb_costs_its_cap_at_most(name: str, members: int) -> None:
    stored = PACKERS[name](bytes((256 << 20) // members)) * members
    assert len(stored) < 5_000_000
    tracemalloc.start()
    try:
        with pytest.raises(ObjectError, match="too_large"):
            read_all(BytesBody(stored), "k", 6 << 20)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 24 << 20


@EACH
def test_a_bomb_is_streamed_in_bounded_memory(name: str) -> None:
    stored = PACKERS[name](bytes(1 << 20)) * 256
    tracemalloc.start()
    try:
        with unpacked(BytesBody(stored), "k") as body:
            total = sum(map(len, iter(lambda: body.read(1 << 16), b"")))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 256 << 20
    assert peak_bytes < (12 if name == "xz" else 2) << 20  # xz has a dictionary of 8 MiB


def test_many_empty_members_take_no_time_to_speak_of() -> None:
    stored = gzip.compress(b"") * 100_000
    assert read_all(BytesBody(stored + gzip.compress(b"end")), "k", 4 << 20) == b"end"
