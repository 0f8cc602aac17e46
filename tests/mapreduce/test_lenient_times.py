"""Times that cost no record: in every format, and local times of a zone."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.formats.parsed import Parsed, joined
from mapreduce.formats.times import microseconds
from tests.mapreduce.test_times import micros

LONDON = mr.TimeZone(mr.zone_file("Europe/London"))
FIRST = datetime(2019, 7, 1, 8, 15, 30, tzinfo=UTC)
US = timedelta(microseconds=1)
# As text, and what it is in London: local time where it has no offset. None: no time.
TEXTS: list[tuple[Any, datetime | None]] = [
    ("2019-07-01T09:15:30", FIRST),
    ("2019-07-01T08:15:30Z", FIRST),
    ("2019-07-01T10:15:30+02:00", FIRST),
    ("noon", None),
    ("", None),
    (None, None),
    ("2019-02-29T00:00:00", None),
    ("1980-01-06T23:59:59Z", None),
    ("1980-01-07T00:00:00Z", datetime(1980, 1, 7, tzinfo=UTC)),
    ("2099-12-31T23:59:59Z", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ("2100-01-01T00:00:00", None),
    ("1970-01-01T00:00:00Z", None),
    ("x" * 60, None),
    ("2019-12-01 09:15", datetime(2019, 12, 1, 9, 15, tzinfo=UTC)),
    ("2019-10-27T01:30:00", datetime(2019, 10, 27, 0, 30, tzinfo=UTC)),  # the first of two
    ("2019-03-31T01:30:00", datetime(2019, 3, 31, 1, 30, tzinfo=UTC)),  # never shown
]
OF_JSON: list[tuple[Any, datetime | None]] = [*TEXTS, (7, None), ({"a": 1}, None), ([], None)]
FIELD = mr.Time("t", optional=True, zone=LONDON, lenient=True)
FIELDS: dict[str, Any] = {"n": mr.Int("n"), "t": FIELD}


def check(parsed: Parsed, values: list[tuple[Any, datetime | None]]) -> None:
    """Every record is kept, and has its time or none."""
    assert parsed.dropped == {}
    assert not parsed.samples
    assert parsed.columns["n"].tolist() == list(range(len(values)))
    times = [None if moment is None else micros(moment) for _, moment in values]
    has = parsed.present.get("t", np.ones(len(values), np.bool_))
    found = zip(has.tolist(), parsed.columns["t"].tolist(), strict=True)
    assert [time if is_there else None for is_there, time in found] == times
    assert not parsed.columns["t"][~has].any()


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


def records(values: list[tuple[Any, datetime | None]]) -> list[dict[str, Any]]:
    return [{"n": n} if v is None else {"n": n, "t": v} for n, (v, _) in enumerate(values)]


@pytest.mark.parametrize("scanner", ["0", "1"], ids=["plain Python", "compiled"])
@pytest.mark.parametrize("values", [TEXTS, OF_JSON, TEXTS[:2], TEXTS[3:6]])
def test_json(values: Any, scanner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_SCANNER", scanner)
    rows = records(values)
    check(mr.Json(at="data", **FIELDS).parse(json.dumps({"data": rows}).encode()), values)
    check(mr.JsonLines(**FIELDS).parse(lines(rows)), values)
    lists = {"n": [r["n"] for r in rows], "t": [r.get("t") for r in rows]}
    check(mr.JsonColumns(at="", **FIELDS).parse(json.dumps(lists).encode()), values)


@pytest.mark.parametrize("reader", ["arrow", "Python"])
def test_csv(reader: str) -> None:
    rows = [f'{n},"{v or ""}"' if reader == "arrow" else f"{n},{v or ''}" for n, (v, _) in
            enumerate(TEXTS)]  # fmt: skip
    body = "n,t\n" + "\n".join(rows) + "\n"
    if reader == "Python":
        body += 'x,"\n'  # one line for which all are read one by one
    parsed = mr.Csv(**FIELDS).begin()(body.encode())
    if reader == "Python":
        assert parsed.dropped == {"not_a_record": 1}
        parsed = Parsed(parsed.columns, parsed.present, parsed.rows, len(TEXTS))
    check(parsed, TEXTS)


def parquet(column: Any, field: mr.Time = FIELD) -> Parsed:
    out = io.BytesIO()
    n = pa.array(range(len(column)), pa.int64())
    pq.write_table(pa.table({"n": n, "t": column}), out, use_dictionary=False)
    fields: dict[str, Any] = {"n": mr.Int("n"), "t": field}
    return joined([*mr.Parquet(**fields).batches(io.BytesIO(out.getvalue()))], fields)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.string_view()])
def test_parquet_texts(kind: Any) -> None:
    texts = [None if v is None else v for v, _ in TEXTS]
    check(parquet(pa.array(texts).cast(kind)), TEXTS)
    check(parquet(pa.array(texts, pa.string()).dictionary_encode()), TEXTS)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
def test_parquet_timestamps_without_a_zone_are_local(unit: str, zone: str | None) -> None:
    moments: list[tuple[Any, datetime | None]] = [
        (datetime(2019, 7, 1, 9, 15, 30, tzinfo=UTC), FIRST),
        (None, None),
        (datetime(1970, 1, 20, tzinfo=UTC), None),
        (datetime(2150, 1, 1, tzinfo=UTC), None),
        (datetime(2019, 12, 1, 9, tzinfo=UTC), datetime(2019, 12, 1, 9, tzinfo=UTC)),
    ]
    naive = pa.array([m and m.replace(tzinfo=None) for m, _ in moments], pa.timestamp("us"))
    if zone is not None:  # the same numbers are moments then
        moments = [(m, None if moment is None else m) for m, moment in moments]
    check(parquet(naive.cast(pa.timestamp(unit, zone))), moments)
    strict = parquet(naive.cast(pa.timestamp(unit, zone)), mr.Time("t", optional=True))
    assert strict.columns["t"].tolist()[0] == micros(datetime(2019, 7, 1, 9, 15, 30, tzinfo=UTC))


def test_parquet_of_another_type_has_no_times() -> None:
    check(parquet(pa.array([1.5, None, 3.0])), [(None, None)] * 3)


def test_gpx() -> None:
    points = [
        f'<trkpt lat="{n}" lon="0">{"" if v is None else f"<time>{v}</time>"}</trkpt>'
        for n, (v, _) in enumerate(TEXTS)
    ]
    document = f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>".encode()
    time = mr.Time("time", optional=True, zone=LONDON, lenient=True)
    fields: dict[str, Any] = {"n": mr.Int("@lat"), "t": time}
    check(joined([*mr.Gpx(**fields).batches(io.BytesIO(document).read)], fields), TEXTS)


@pytest.mark.parametrize("epoch", ["s", "ms"])
def test_numbers(epoch: Any) -> None:
    unit = 1 if epoch == "s" else 1000
    seconds = (FIRST - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    other = seconds * 1000 if epoch == "s" else seconds  # of the other unit
    values: list[tuple[Any, datetime | None]] = [
        (seconds * unit, FIRST), (other, None), (0, None), (-5, None), (1e300, None),
        (None, None), ("2019-07-01T08:15:30Z", None), (seconds * unit + 0.5 * unit,
        FIRST + timedelta(seconds=0.5)),
    ]  # fmt: skip
    time = mr.Time("t", optional=True, epoch=epoch, zone=LONDON, lenient=True)
    fields: dict[str, Any] = {"n": mr.Int("n"), "t": time}
    rows = records(values)
    check(mr.Json(at="data", **fields).parse(json.dumps({"data": rows}).encode()), values)
    check(mr.JsonLines(**fields).parse(lines(rows)), values)
    table = "n,t\n" + "".join(f"{n},{'' if v is None else v}\n" for n, (v, _) in enumerate(values))
    check(mr.Csv(**fields).begin()(table.encode()), values)
    numbers = [(v if isinstance(v, (int, float)) else None, moment) for v, moment in values]
    column = pa.array([v if v is None else float(v) for v, _ in numbers])
    check(parquet(column, time), numbers)


def test_a_lenient_time_is_optional() -> None:
    with pytest.raises(mr.JobError, match="needs optional=True"):
        mr.JsonLines(t=mr.Time("t", lenient=True))


def test_a_strict_time_with_a_zone_drops_what_is_bad() -> None:
    field = mr.Time("t", zone=LONDON)
    rows = records(TEXTS)
    parsed = mr.Json(at="", t=field).parse(json.dumps(rows).encode())
    assert parsed.dropped == {"no_t": 1, "bad_t": 4}
    assert parsed.columns["t"][0] == micros(FIRST)


moments = st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1))  # noqa: DTZ001 - wall clocks


@given(st.lists(st.tuples(moments, st.sampled_from(["", "Z", "+05:30", "-0800"])), max_size=30))
def test_only_texts_without_an_offset_are_local(found: list[tuple[datetime, str]]) -> None:
    texts = np.array([f"{m.isoformat()}{offset}".encode() for m, offset in found], "S40")
    times, good = microseconds(texts, LONDON)
    plain, _ = microseconds(texts)
    is_local = np.array([not offset for _, offset in found], np.bool_)
    assert good.all()
    assert times.tolist() == np.where(is_local, LONDON.utc(plain), plain).tolist()


@given(st.lists(st.sampled_from([text for text, _ in TEXTS if text]), max_size=40))
def test_a_column_is_read_as_its_texts_are_one_by_one(texts: list[str]) -> None:
    array = np.array([text.encode() for text in texts], "S64")
    times, good = microseconds(array)
    alone = [microseconds(array[n : n + 1]) for n in range(len(texts))]
    assert times.tolist() == [int(time[0]) for time, _ in alone]
    assert good.tolist() == [bool(is_good[0]) for _, is_good in alone]


@pytest.mark.parametrize("text", [b"2019-07-01T08:15:30Z", b"2019-12-31 23:59:59.123456789 -08:30"])
def test_any_odd_byte_in_a_column_is_read_as_it_is_alone(text: bytes) -> None:
    """Beside a good text, which says what the layout is, no other byte passes for one of it."""
    odd = [text]
    for place in range(len(text)):
        odd += [text[:place] + bytes([byte]) + text[place + 1 :] for byte in range(256)]
        odd.append(text)
    array = np.array([*odd, text + b"x", text[:-1]], "S40")
    times, good = microseconds(array)
    alone = [microseconds(array[n : n + 1]) for n in range(len(array))]
    assert times.tolist() == [int(time[0]) for time, _ in alone]
    assert good.tolist() == [bool(is_good[0]) for _, is_good in alone]
    for one, is_good in zip(array.tolist(), good.tolist(), strict=True):
        assert not is_good or re.fullmatch(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:.*", one)
