"""Parquet to columns: as strict as JSON, whatever types and pages a file has."""

from __future__ import annotations

import decimal
import io
import random
import tracemalloc
import zipfile
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.errors import ObjectError
from mapreduce.formats.parquet import Parquet
from mapreduce.formats.parquet_pages import check_pages
from mapreduce.objects.listing import objects_of
from mapreduce.objects.member_body import ZipBody
from mapreduce.objects.members import located
from mapreduce.objects.reader import Reader
from mapreduce.plan import Piece
from tests.jobs.forms import OfParquet
from tests.mapreduce.readings import columns, read

TRIPS = Parquet(link=mr.Int("link"), speed=mr.Float("v", optional=True, high=400.0))


def written(table: Any, **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **how)
    return out.getvalue()


def all_of(content: bytes, form: Parquet = TRIPS) -> list[dict[str, Any]]:
    return [columns(p) for p in form.batches(io.BytesIO(content))]


def one(array: Any, field: Any, **how: Any) -> Any:
    """Read one column called x."""
    (parsed,) = Parquet(x=field).batches(io.BytesIO(written(pa.table({"x": array}), **how)))
    return parsed


ints = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-9, 9))
floats = st.one_of(st.none(), st.floats(), st.floats(0, 500))


@settings(max_examples=200)
@given(
    st.lists(st.tuples(ints, floats), min_size=1, max_size=60),
    st.booleans(),
    st.sampled_from(["NONE", "SNAPPY", "GZIP", "ZSTD", "BROTLI", "LZ4"]),
)
def test_rows_are_judged_as_json_judges_them(
    rows: list[tuple[int | None, float | None]], dictionary: bool, codec: str
) -> None:
    links, speeds = zip(*rows, strict=True)
    table = pa.table({"link": pa.array(links, pa.int64()), "v": pa.array(speeds, pa.float64())})
    (got,) = all_of(written(table, use_dictionary=dictionary, compression=codec))
    form = mr.Json(at="", **TRIPS.fields)
    fixes = [{"link": a, "v": b if b is None or np.isfinite(b) else "bad"} for a, b in rows]
    expected = columns(read(form, msgspec.json.encode(fixes)))
    for told in (got, expected):
        told.pop("samples")
    assert got == expected


@pytest.mark.parametrize(
    ("array", "values", "dropped"),
    [
        (pa.array([1, None, 3], pa.int8()), [1, 3], {"no_x": 1}),
        (pa.array([1, 2**64 - 1], pa.uint64()), [1], {"bad_x": 1}),
        (pa.array(["7", "x", None, "-0012"]), [7, -12], {"bad_x": 1, "no_x": 1}),
        (pa.array(["7", "x", None, "7"]).dictionary_encode(), [7, 7], {"bad_x": 1, "no_x": 1}),
        (pa.array(["7", "x"], pa.large_string()), [7], {"bad_x": 1}),
        (pa.array([b"7", b"\xff"]), [7], {"bad_x": 1}),
        (pa.array([1.0, 2.5]), [], {"bad_x": 2}),
        (pa.array([True, None]), [], {"bad_x": 1, "no_x": 1}),
        (pa.array([decimal.Decimal(5), None], pa.decimal128(9, 0)), [5], {"no_x": 1}),
        (pa.array([decimal.Decimal("5.1")], pa.decimal128(9, 1)), [], {"bad_x": 1}),
        (pa.array([1, 2], pa.timestamp("s")), [], {"bad_x": 2}),
        (pa.array([None, None], pa.null()), [], {"no_x": 2}),
    ],
    ids=str,
)
def test_integers_of_every_type(array: Any, values: list[int], dropped: dict[str, int]) -> None:
    got = one(array, mr.Int("x"))
    assert (got.columns["x"].tolist(), got.dropped) == (values, dropped)
    assert got.columns["x"].dtype == np.int64


@pytest.mark.parametrize(
    ("array", "values", "dropped"),
    [
        (pa.array([1.5, None, float("nan")], pa.float32()), [1.5], {"no_x": 1, "bad_x": 1}),
        (pa.array(np.array([0.5, np.inf], np.float16)), [0.5], {"bad_x": 1}),
        (pa.array([3, None], pa.int32()), [3.0], {"no_x": 1}),
        (pa.array([decimal.Decimal("5.25"), None], pa.decimal128(9, 2)), [5.25], {"no_x": 1}),
        (pa.array(["1.5"]), [], {"bad_x": 1}),
        (pa.array([False]), [], {"bad_x": 1}),
    ],
    ids=str,
)
def test_floats_of_every_type(array: Any, values: list[float], dropped: dict[str, int]) -> None:
    got = one(array, mr.Float("x"))
    assert (got.columns["x"].tolist(), got.dropped) == (values, dropped)


def test_texts_and_what_is_shown_of_bad_ones() -> None:
    got = one(pa.array(["ab", "toolong", None, ""]), mr.Text("x", width=4))
    assert got.columns["x"].tolist() == [b"ab", b""]
    assert got.dropped == {"bad_x": 1, "no_x": 1}
    assert ("bad_x", 1, '"toolong"') in got.samples


def test_nested_columns_are_found_by_path_and_null_where_their_parent_is() -> None:
    rows = [{"db": {"link": 1, "obd.v": 2.5}}, {"db": None}, {"db": {"link": None, "obd.v": 3.0}}]
    form = Parquet(link=mr.Int("db.link"), v=mr.Float(r"db.obd\.v"))
    (got,) = form.batches(io.BytesIO(written(pa.Table.from_pylist(rows))))
    assert (got.columns["link"].tolist(), got.dropped) == ([1], {"no_link": 2})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"a": [1], "b": [2]}, 'no column "link"; there are: "a", "b"'),
        ({"link": [[1, 2]]}, "column 'link' is a list<"),
        ({"link": [{"x": 1}]}, "column 'link' is a struct<"),
    ],
)
def test_a_column_that_is_missing_or_nested_is_told(table: dict[str, Any], told: str) -> None:
    with pytest.raises(ObjectError) as caught:
        all_of(written(pa.table(table)))
    assert caught.value.reason == "wrong_shape"
    assert told in caught.value.place


def test_a_row_group_belongs_to_one_range() -> None:
    n = 10_000
    table = pa.table({"link": np.arange(n), "v": np.full(n, 2.0)})
    for content in (written(table, row_group_size=700), polars_wrote(table, 700)):
        for step in (1000, 4096, 30_000, len(content)):
            ranges = [(at, at + step) for at in range(0, len(content), step)]
            parts = [list(TRIPS.batches(io.BytesIO(content), a, b)) for a, b in ranges]
            links = [x for part in parts for p in part for x in p.columns["link"].tolist()]
            assert links == list(range(n))


def polars_wrote(table: Any, rows: int) -> bytes:
    out = io.BytesIO()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame.write_parquet(out, row_group_size=rows)
    return out.getvalue()


@settings(max_examples=300)
@given(st.data())
def test_damaged_files_are_unreadable_or_read_and_never_crash(data: st.DataObject) -> None:
    n = 50
    table = pa.table({"link": np.arange(n) % 7, "v": np.arange(n) / 2, "w": ["ab"] * n})
    content = bytearray(written(table, row_group_size=20, compression="ZSTD"))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([None, 1, 8, 100, len(content) // 2]))
    try:
        got = all_of(bytes(content[:cut] if cut else content))
    except ObjectError as error:
        assert error.reason in {"unreadable", "wrong_shape"}  # noqa: PT017 - one of two ends
    else:
        assert sum(part["read"] for part in got) <= n + 1_000_000


PAGED = written(
    pa.table({"link": np.arange(200) % 7, "w": ["ab", "a longer text"] * 100}),
    row_group_size=90, data_page_size=1, write_batch_size=2, use_dictionary=False,
)  # fmt: skip


def test_the_largest_page_of_each_column_is_found() -> None:
    for name, most in (("link", 22), ("w", 29)):
        check_pages(io.BytesIO(PAGED), [0, 1, 2], [name], most)
        with pytest.raises(ObjectError, match=f"column '{name}' has a page of {most} bytes"):
            check_pages(io.BytesIO(PAGED), [0, 1, 2], [name], most - 1)


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(PAGED) - 1), st.integers(0, 255)), max_size=9))
def test_pages_of_damaged_files_are_left_to_pyarrow(changes: list[tuple[int, int]]) -> None:
    content = bytearray(PAGED)
    for place, byte in changes:
        content[place] = byte
    with suppress(ObjectError):
        check_pages(io.BytesIO(content), [0, 1, 2], ["link", "w"], 30)


def test_a_long_text_that_many_rows_share_is_held_once() -> None:
    text = "".join(random.Random(1).choices("abc", k=1 << 20))
    shared = pa.DictionaryArray.from_arrays(np.zeros(60_000, np.int32), [text])
    content = written(pa.table({"x": shared}), store_schema=False)  # as text, so it is asked for
    assert pq.read_schema(io.BytesIO(content)).field("x").type == pa.string()
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    try:
        (got,) = Parquet(x=mr.Text("x")).batches(io.BytesIO(content))
        held = pa.total_allocated_bytes() - before
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(got.columns["x"]) == 60_000
    assert held < 64 << 20
    assert peak_bytes < 64 << 20


def test_parquet_in_a_zip_is_unpacked_once_and_held_against_its_checksum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, rows = io.BytesIO(), np.arange(40_000)
    pq.write_table(pa.table({"link": rows, "v": rows / 100}), table, row_group_size=4_000)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.parquet", table.getvalue())
    good = out.getvalue()
    at = good.rindex(b"PK\x01\x02") + 16
    belied = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
    begun: list[ZipBody] = []
    begin = ZipBody._begin

    def counted(body: ZipBody) -> None:
        begun.append(body)
        begin(body)

    monkeypatch.setattr(ZipBody, "_begin", counted)
    store = mr.Memory({"good.zip": good, "bad.zip": belied})
    runner = AttemptRunner(OfParquet(), Reader(), mr.Limits())
    entries = list(objects_of(store))
    pieces = [Piece(n, e.key, e.size_bytes, e.etag) for n, e in enumerate(entries)]
    _, ledger = runner.run(pieces, [located(store, entry) for entry in entries])
    runner.close()
    assert (ledger.ok, ledger.read) == (1, 40_000)
    (bad,) = ledger.quarantined
    assert (bad.key, bad.reason) == ("bad.zip!/a.parquet", "unreadable")
    assert "its checksum is another" in bad.place
    assert len(begun) == 2
