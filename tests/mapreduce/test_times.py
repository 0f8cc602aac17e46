"""Times: every layout and number against Python's own reader; in every format alike."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.formats.times import SECOND_US, microseconds
from tests.mapreduce.readings import columns

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 - naive is meant
offsets = st.one_of(st.none(), st.integers(-23 * 60, 23 * 60))


def micros(moment: datetime) -> int:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def read(texts: list[bytes]) -> list[int | None]:
    times, good = microseconds(np.array(texts, dtype="S40"))
    return [time if ok else None for time, ok in zip(times.tolist(), good.tolist(), strict=True)]


def written(moment: datetime, offset: int | None, layout: int) -> tuple[bytes, int]:
    """Write a time in one of the layouts; with the microseconds that it stands for."""
    if offset is not None:
        moment = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    text = moment.isoformat(" " if layout & 1 else "T")
    if offset is not None and layout & 2:
        text = text[:-3] + text[-2:]
    if offset == 0 and layout & 4:
        text = text.removesuffix("+00:00").removesuffix("+0000") + "Z"
    return text.encode(), micros(moment)


@given(st.lists(st.tuples(moments, offsets, st.integers(0, 7)), max_size=20))
@example([(datetime(2020, 2, 29, 23, 59, 59, 999_999), 0, 0)])  # noqa: DTZ001 - as above
@example([(datetime(1900, 3, 1), -90, 2), (datetime(2000, 2, 29), None, 1)])  # noqa: DTZ001
def test_times_are_what_python_makes_of_them(found: list[tuple[datetime, int | None, int]]) -> None:
    pairs = [written(*one) for one in found]
    assert read([text for text, _ in pairs]) == [time for _, time in pairs]


@given(st.text(alphabet="0123456789-:T. +Z,", max_size=32))
def test_what_python_refuses_is_no_time(text: str) -> None:
    (time,) = read([text.encode()])
    if time is None:
        return
    digits = text.replace(",", ".").replace(" +", "+").replace(" -", "-").replace(" Z", "Z")
    try:
        moment = datetime.fromisoformat(digits)
    except ValueError:
        pytest.fail(f"{text!r} was read as {time}")
    assert micros(moment) == time


@pytest.mark.parametrize(
    "text",
    [
        b"", b"2019", b"2019-02-29T00:00", b"1900-02-29T00:00", b"2019-13-01T00:00",
        b"2019-00-01T00:00", b"2019-01-00T00:00", b"2019-01-32T00:00", b"2019-01-01T24:00",
        b"2019-01-01T00:60", b"2019-01-01T00:00:60", b"2019-01-01", b"2019-01-01T00",
        b"2019-01-01T00:00:00.", b"2019-01-01T00:00:00+24:00", b"2019-01-01T00:00:00+1",
        b"19-01-01T00:00:00", b"2019-1-1T00:00:00", b"01/02/2019 10:00", b" 2019-01-01T00:00",
    ],
)  # fmt: skip
def test_no_time(text: bytes) -> None:
    assert read([text, b"1970-01-01T00:00:01"]) == [None, SECOND_US]


def test_layouts_may_be_mixed() -> None:
    texts = [b"1970-01-01T00:01", b"x", b"1970-01-01 00:00:00.5 +0100", b"1970-01-01T00:00:00Z"]
    assert read(texts) == [60 * SECOND_US, None, SECOND_US // 2 - 3600 * SECOND_US, 0]


TEXTS: list[Any] = [
    "2019-03-01T08:15:30Z", None, "2019-03-01 08:15:30.250+01:00", "noon", 7, "x" * 41, "2" * 40,
]  # fmt: skip


def lines(values: list[Any]) -> bytes:
    return b"\n".join(json.dumps({"t": value}).encode() for value in values)


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("scanner", ["0", "1"], ids=["plain Python", "compiled"])
def test_json_reads_times(optional: bool, scanner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_SCANNER", scanner)
    field = mr.Time("t", optional=optional)
    document = b"[" + lines(TEXTS).replace(b"\n", b",") + b"]"
    found = columns(mr.Json(at="", t=field).parse(document))
    of_lines = columns(mr.JsonLines(t=field).parse(lines(TEXTS)))
    of_lists = mr.JsonColumns(at="", t=field).parse(json.dumps({"t": TEXTS}).encode())
    assert found == of_lines == columns(of_lists)
    good = [micros(datetime(2019, 3, 1, 8, 15, 30, tzinfo=UTC))]
    good += [0] if optional else []
    good += [micros(datetime(2019, 3, 1, 7, 15, 30, 250_000, tzinfo=UTC))]
    assert found["columns"]["t"] == ("<i8", str(good))
    assert found["dropped"] == {"bad_t": 4} | ({} if optional else {"no_t": 1})
    assert [value for reason, _, value in found["samples"] if reason == "bad_t"][:2] == [
        '"noon"',
        "7",
    ]


@pytest.mark.parametrize("epoch", ["s", "ms"])
def test_numbers_since_1970(epoch: Any) -> None:
    unit = SECOND_US if epoch == "s" else 1000
    values = [0, 1.5, -3, 1_551_428_130, "7", None, 1e300]
    field = mr.Time("t", epoch=epoch)
    document = b"[" + lines(values).replace(b"\n", b",") + b"]"
    found = columns(mr.Json(at="", t=field).parse(document))
    assert found == columns(mr.JsonLines(t=field).parse(lines(values)))
    expected = [0, 3 * unit // 2, -3 * unit, 1_551_428_130 * unit]
    assert found["columns"]["t"] == ("<i8", str(expected))
    assert found["dropped"] == {"bad_t": 2, "no_t": 1}
    table = b"t\n0\n1.5\n-3\n1551428130\nx\n1e300\n"
    of_csv = columns(mr.Csv(t=field).begin()(table))
    assert of_csv["columns"] == found["columns"]
    assert of_csv["dropped"] == {"bad_t": 2}


@pytest.mark.parametrize("quoted", [False, True])
def test_csv_reads_times(quoted: bool) -> None:
    table = b"t,u\n2019-03-01 08:15:30Z,1\nnoon,2\n,3\n2019-03-01 08:15:30.5+0000,4\n"
    table += b'"2019-03-01 08:15:31Z","""5"\n' if quoted else b"2019-03-01 08:15:31Z,5\n"
    found = columns(mr.Csv(t=mr.Time("t")).begin()(table))
    first = micros(datetime(2019, 3, 1, 8, 15, 30, tzinfo=UTC))
    expected = [first, first + 500_000, first + 1_000_000]
    assert found["columns"]["t"] == ("<i8", str(expected))
    assert found["dropped"] == {"bad_t": 1, "no_t": 1}
    assert found["samples"] == [("no_t", 2, ""), ("bad_t", 1, '"noon"')]


@pytest.mark.parametrize(
    "kind", [pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.timestamp("s"), pa.string()]
)
def test_parquet_reads_times(kind: Any) -> None:
    moments = [datetime(2019, 3, 1, 8, 15, 30, tzinfo=UTC), None, datetime(1969, 1, 1, tzinfo=UTC)]
    values: list[Any] = [m if m is None else m.isoformat() for m in moments]
    if kind != pa.string():
        zone = UTC if kind.tz else None
        values = [m if m is None else m.replace(tzinfo=zone) for m in moments]
    out = io.BytesIO()
    pq.write_table(pa.table({"t": pa.array(values, kind)}), out)
    (parsed,) = mr.Parquet(t=mr.Time("t")).batches(io.BytesIO(out.getvalue()))
    assert parsed.columns["t"].tolist() == [micros(m) for m in moments if m is not None]
    assert parsed.dropped == {"no_t": 1}
