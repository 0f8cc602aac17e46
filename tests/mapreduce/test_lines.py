"""Byte ranges of any split read every line exactly once, in bounded memory."""

from __future__ import annotations

import io
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st

from mapreduce.formats import line_blocks
from mapreduce.limits import LINE_CAP_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

CAP = 7


def _read(content: bytes, cuts: list[int], step: int, block: int) -> tuple[list[bytes], int]:
    """Read all ranges between the cuts; give the lines and how many were too long."""
    found: list[bytes] = []
    too_long = 0
    edges = [0, *sorted(cuts), len(content)]
    for start, stop in pairwise(edges):
        if start == stop:
            continue
        source = io.BytesIO(content)
        source.seek(line_blocks.first_byte(start))

        def read(n: int, source: io.BytesIO = source) -> bytes:
            return source.read(min(n, step))

        for part, count in line_blocks.blocks(read, start, stop, block_bytes=block, cap_bytes=CAP):
            found += part.removesuffix(b"\n").split(b"\n") if part else []
            too_long += count
    return found, too_long


def _expected(content: bytes) -> tuple[list[bytes], int]:
    whole = content.removeprefix(line_blocks.BOM).split(b"\n")
    if not whole[-1]:
        whole.pop()
    return [x for x in whole if len(x) <= CAP], sum(len(x) > CAP for x in whole)


contents = st.lists(
    st.sampled_from([b"", b"a", b"bb", b"1234567", b"12345678", b"x" * 20, b"\r", line_blocks.BOM]),
    max_size=8,
).flatmap(lambda parts: st.sampled_from([b"\n".join(parts), b"\n".join(parts) + b"\n"]))


@given(
    content=contents,
    mark=st.booleans(),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    step=st.integers(1, 30),
    block=st.integers(1, 30),
)
@example(content=b"a\nb\n", mark=True, cuts=[4], step=30, block=30)
@example(content=b"x" * 20 + b"\na\n", mark=False, cuts=[], step=30, block=30)
def test_ranges_of_any_split_read_every_line_once(
    content: bytes, mark: bool, cuts: list[int], step: int, block: int
) -> None:
    content = (line_blocks.BOM if mark else b"") + content
    cuts = [c for c in cuts if c <= len(content)]
    expected, too_long = _expected(content)
    found, counted = _read(content, cuts, step, block)
    # A block that is one empty line and one that is nothing look alike: compare what is in them.
    assert [x for x in found if x] == [x for x in expected if x]
    assert counted == too_long


def test_a_line_is_too_long_wherever_the_reads_happen_to_end() -> None:
    content = b"a\n" + b"y" * (CAP + 1) + b"\nb\n"
    for block in range(1, len(content) + 2):
        found, counted = _read(content, [], 100, block)
        assert (found, counted) == ([b"a", b"b"], 1)


def test_over_long_lines_are_counted_where_they_stand() -> None:
    content = b"a\n" + b"y" * 99 + b"\nb\n" + b"z" * 99
    got = list(line_blocks.blocks(io.BytesIO(content).read, block_bytes=1000, cap_bytes=CAP))
    assert got == [(b"a\n", 0), (b"b\n", 1), (b"", 1)]


def _endless(line: bytes, total: int) -> Callable[[int], bytes]:
    left = total

    def read(n: int) -> bytes:
        nonlocal left
        n = min(n, left)
        left -= n
        return (line * (n // len(line) + 1))[:n]

    return read


def test_a_large_stream_takes_the_memory_of_a_few_blocks() -> None:
    tracemalloc.start()
    try:
        total = sum(len(b) for b, _ in line_blocks.blocks(_endless(b'{"a":1}\n', 256 << 20)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 256 << 20
    assert peak < 6 * line_blocks.BLOCK_BYTES


def test_a_stream_without_any_line_end_takes_the_memory_of_one_line_at_most() -> None:
    tracemalloc.start()
    try:
        got = list(line_blocks.blocks(_endless(b"x" * 64, 128 << 20)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == [(b"", 1)]
    assert peak < 3 * LINE_CAP_BYTES
