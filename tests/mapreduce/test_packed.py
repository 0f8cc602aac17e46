"""A partial as bytes: pack and unpack are inverse; damaged or foreign bytes are refused."""

from __future__ import annotations

import hashlib
import tracemalloc
import zlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import PartialError
from mapreduce.tables import encoding, partial
from mapreduce.tables.encoding import HEAD, MAGIC, VERSION
from mapreduce.tables.partial import Partial
from tests.mapreduce.test_partial import SCHEMAS, partials

TABLE = mr.Table(key=("a", mr.Key("b", width=2)), n=mr.Sum, w=mr.WideSum)


def _some() -> Partial:
    rows = TABLE.fold([1, 1, 2], [b"x", b"yz", b""], n=1, w=[5, -6, 7])
    return Partial((partial.combine(TABLE, [rows], [0]),))


def _with_crc(header: bytes, body: bytes, raw_size: int | None = None, flags: int = 0) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(header))
    raw_size = len(body) if raw_size is None else raw_size
    return HEAD.pack(MAGIC, VERSION, flags, len(header), raw_size, len(body), crc) + header + body


def _parts(whole: bytes) -> tuple[bytes, bytes]:
    size = HEAD.unpack(whole[: HEAD.size])[3]
    return whole[HEAD.size : HEAD.size + size], whole[HEAD.size + size :]


@given(partials, st.booleans())
def test_unpack_is_the_inverse_of_pack(part: Partial, compress: bool) -> None:
    raw = encoding.pack(part, compress=compress)
    back = encoding.unpack(raw, SCHEMAS)
    assert encoding.pack(back) == encoding.pack(part)
    assert encoding.digest(back) == encoding.digest(part)
    for table, again in zip(part.tables, back.tables, strict=True):
        for column, other in zip(
            (*table.keys, *table.values), (*again.keys, *again.values), strict=True
        ):
            assert np.array_equal(column, other)
            assert column.dtype == other.dtype


@given(partials)
def test_the_digest_is_that_of_the_uncompressed_bytes(part: Partial) -> None:
    assert encoding.digest(part) == f"sha256:{hashlib.sha256(encoding.pack(part)).hexdigest()}"


def test_equal_content_gives_the_bytes_it_always_gave() -> None:
    assert encoding.digest(_some()) == (
        "sha256:82ad8de8177a9a1169b3bef1f910a9c2af9a6ec96fb6499426c55c8e04667f82"
    )


@settings(max_examples=200)
@given(st.binary(max_size=200), st.data())
def test_random_and_mutated_bytes_never_crash(noise: bytes, data: Any) -> None:
    whole = encoding.pack(_some(), compress=data.draw(st.booleans()))
    at = data.draw(st.integers(0, len(whole)))
    for raw in (
        noise,
        whole[:at],
        whole + noise[:1],
        whole[:at] + noise + whole[at + len(noise) :],
    ):
        if raw == whole or raw == encoding.pack(_some()):
            continue
        with pytest.raises(PartialError):
            encoding.unpack(raw, [TABLE.schema])


@settings(max_examples=200)
@given(st.data())
def test_mutated_bytes_with_a_good_checksum_are_refused_or_read_as_what_they_say(data: Any) -> None:
    header, body = (bytearray(p) for p in _parts(encoding.pack(_some())))
    part = data.draw(st.sampled_from([header, body]))
    part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    raw = _with_crc(bytes(header), bytes(body))
    try:
        back = encoding.unpack(raw, [TABLE.schema])
    except PartialError:
        return
    assert encoding.pack(back)[HEAD.size + len(header) :] == bytes(body)


def _peak(raw: bytes, max_bytes: int = 1 << 24) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(PartialError):
            encoding.unpack(raw, [TABLE.schema], max_bytes=max_bytes)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_lengths_are_checked_before_anything_is_allocated() -> None:
    header, body = _parts(encoding.pack(_some()))
    huge = 1 << 40
    lying = [
        HEAD.pack(MAGIC, VERSION, 0, len(header), huge, huge, 0),
        HEAD.pack(MAGIC, VERSION, 1, 1 << 31, 0, 0, 0),
        _with_crc(header, body, raw_size=huge, flags=1),
        _with_crc(b"\x92\xdd\xff\xff\xff\xff" + header, body),
        _with_crc(b"\x92\x90\xdd\x7f\xff\xff\xff", body),
        _with_crc(header, zlib.compress(bytes(1 << 28), 1), raw_size=1 << 20, flags=1),
        _with_crc(header, zlib.compress(bytes(1 << 20), 1), raw_size=1 << 23, flags=1),
    ]
    for raw in lying:
        assert _peak(raw) < 8 << 20


@pytest.mark.parametrize(
    ("field", "value"),
    [("rows", [2**62]), ("rows", [-1]), ("rows", [1, 1]), ("rows", []), ("schemas", [])],
)
def test_a_header_that_lies_is_refused(field: str, value: Any) -> None:
    header, body = _parts(encoding.pack(_some()))
    said = msgspec.msgpack.decode(header)
    said[field] = value
    with pytest.raises(PartialError):
        encoding.unpack(_with_crc(msgspec.msgpack.encode(said), body), [TABLE.schema])


def _packed_rows(keys: Any, b: Any, low: Any) -> bytes:
    n = len(keys)
    columns = tuple(np.array(v, dtype=np.int64) for v in ([1] * n, [0] * n, low))
    table = partial.TablePartial(TABLE.schema, (np.array(keys), np.array(b, "S2")), columns)
    return encoding.pack(Partial((table,)))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (_packed_rows([2, 1], [b"", b""], [0, 0]), "ascending"),
        (_packed_rows([1, 1], [b"b", b"a"], [0, 0]), "ascending"),
        (_packed_rows([1, 1], [b"a", b"a"], [0, 0]), "ascending"),
        (_packed_rows([1], [b"\x00a"], [0]), "NUL"),
        (_packed_rows([1], [b"a"], [-1]), "normal form"),
        (_packed_rows([1], [b"a"], [2**32]), "normal form"),
    ],
)
def test_rows_out_of_order_or_form_are_refused(raw: bytes, said: str) -> None:
    with pytest.raises(PartialError, match=said):
        encoding.unpack(raw, [TABLE.schema])


def test_a_partial_of_other_tables_is_refused() -> None:
    with pytest.raises(PartialError, match="expected tables"):
        encoding.unpack(encoding.pack(_some()), SCHEMAS)


def _compressed(rows: int, *, cut: int = 0) -> bytes:
    """Pack keys in a compressed body, of which the end is cut off, under a right checksum."""
    table = mr.Table(key="k", n=mr.Sum)
    whole = partial.combine(table, [table.fold(list(range(rows)), n=1)], [0])
    raw = encoding.pack(Partial((whole,)), compress=True)
    magic, version, flags, header, size, body, _ = HEAD.unpack(raw[: HEAD.size])
    rest = raw[HEAD.size : len(raw) - cut]
    head = HEAD.pack(magic, version, flags, header, size, body - cut, zlib.crc32(rest))
    return head + rest


def test_what_a_compressed_body_would_grow_to_is_checked_before_it_does() -> None:
    raw = _compressed(10_000)
    schema = [mr.Table(key="k", n=mr.Sum).schema]
    assert len(raw) < 100_000
    with pytest.raises(PartialError, match="a partial of 160,000 bytes is over the cap of 100,000"):
        encoding.unpack(raw, schema, max_bytes=100_000)
    assert len(encoding.unpack(raw, schema)) == 10_000


def test_a_compressed_body_without_its_own_end_is_refused() -> None:
    schema = [mr.Table(key="k", n=mr.Sum).schema]
    with pytest.raises(PartialError, match="expected a body of"):
        encoding.unpack(_compressed(100, cut=4), schema)  # zlib's checksum is missing, no row is
